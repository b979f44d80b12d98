//! The journal: whatever happens to a bind, it can be taken back.

use super::{EDU, NIC, fails, json, ok, run, sysfs};
use nix::sys::signal::{Signal, raise};
use pci_host::{Execution, Host, Moment};
use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

const NVME: &str = "0000:04:00.0";
const JOURNAL: &str = "/run/outboard/journal";

/// How the process that is killed is told what to do: the work, the device, and the moment of its end.
const VICTIM: &str = "OUTBOARD_TEST_VICTIM";

/// How many entries the journal has, without those of devices that other tests have pulled out while they were bound.
fn entries() -> usize {
    let mut count = 0;
    for file in fs::read_dir(JOURNAL).into_iter().flatten() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let (_, address) = name.split_once('-').unwrap();
        if Path::new("/sys/bus/pci/devices").join(address).exists() {
            count += 1;
        } else {
            fs::remove_file(file.path()).unwrap();
        }
    }
    count
}

/// Does a part of the work, and is killed.
fn be_killed(task: &str) {
    let mut words = task.split(' ');
    let mut word = || words.next().unwrap();
    let (work, device, last) = (word(), word(), word().parse::<usize>().unwrap());
    let host = Host::system();
    let function = host.function(device.parse().unwrap()).unwrap();
    let plan = match work {
        "bind" => host.plan_bind(&function, "vfio-pci").unwrap(),
        _ => host.plan_release(&function).unwrap(),
    };
    let moments = AtomicUsize::new(0);
    let kill = |_: Moment<'_>, _: bool| {
        if moments.fetch_add(1, Ordering::Relaxed) == last {
            raise(Signal::SIGKILL).unwrap();
        }
    };
    Execution::new(&host).watch(&kill).run(&plan).unwrap();
}

/// Has a process do that, which is killed at this moment. Whether it was, and did not come to its end before.
fn killed(test: &str, work: &str, device: &str, moment: usize) -> bool {
    let mut victim = Command::new(env::current_exe().unwrap());
    let output = victim
        .args(["--ignored", "--exact", test])
        .env(VICTIM, format!("{work} {device} {moment}"))
        .output()
        .unwrap();
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "{output:?}");
    killed
}

#[test]
#[ignore = "needs the lab"]
fn a_bind_that_is_killed_at_any_moment_can_be_taken_back_or_done_again() {
    if let Ok(task) = env::var(VICTIM) {
        return be_killed(&task);
    }
    let test = "journal::a_bind_that_is_killed_at_any_moment_can_be_taken_back_or_done_again";
    // A network card, a drive, and a device that no driver has.
    for device in [NIC, NVME, EDU] {
        let before = sysfs(device);
        let all = ["undo", "release", "bind"];
        for after in &all[..if device == NIC { 3 } else { 1 }] {
            let mut moments = 0;
            loop {
                let was_killed = killed(test, "bind", device, moments);
                match *after {
                    // Before the entry was made there is nothing to be taken back.
                    "undo" if entries() == 0 => drop(fails(3, &["undo", "--last"])),
                    "undo" => drop(ok(&["undo", "--last"])),
                    "release" => drop(ok(&["release", device])),
                    _ => {
                        ok(&["bind", device]);
                        assert_eq!(sysfs(device), (Some("vfio-pci".into()), "vfio-pci".into()));
                        ok(&["release", device]);
                    }
                }
                assert_eq!(
                    sysfs(device),
                    before,
                    "{device} killed at {moments}, then {after}"
                );
                assert_eq!(entries(), 0, "{device} killed at {moments}, then {after}");
                if !was_killed {
                    break;
                }
                moments += 1;
            }
            let writes = if before.0.is_some() { 3 } else { 2 };
            assert_eq!(
                moments,
                2 + 2 * writes + 1,
                "an entry, the writes, and the end"
            );
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_release_that_is_killed_at_any_moment_can_be_done_again() {
    if let Ok(task) = env::var(VICTIM) {
        return be_killed(&task);
    }
    let test = "journal::a_release_that_is_killed_at_any_moment_can_be_done_again";
    for device in [NIC, NVME, EDU] {
        let before = sysfs(device);
        let mut moments = 0;
        loop {
            ok(&["bind", device]);
            let was_killed = killed(test, "release", device, moments);
            let again: &[&str] = match moments % 2 {
                0 => &["release", device],
                _ => &["undo", "--last"],
            };
            if was_killed {
                ok(again);
            }
            assert_eq!(sysfs(device), before, "{device} killed at {moments}");
            assert_eq!(entries(), 0, "{device} killed at {moments}");
            if !was_killed {
                break;
            }
            moments += 1;
        }
        assert!(moments >= 5, "{moments}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn the_command_that_is_killed_at_any_time_leaves_what_the_next_one_takes_back() {
    let before = sysfs(NIC);
    let mut killed = 0;
    // A bind takes some tens of milliseconds here.
    for delay in (0..120).step_by(8) {
        let mut child = super::outboard(&["bind", NIC])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        ok(&["release", NIC]);
        assert_eq!(sysfs(NIC), before, "after {delay} ms");
        assert_eq!(entries(), 0, "after {delay} ms");
    }
    assert!(killed > 0, "no bind was killed before it was done");
}

#[test]
#[ignore = "needs the lab"]
fn the_journal_shows_what_can_be_taken_back() {
    let before = sysfs(NIC);
    assert_eq!(entries(), 0);
    assert_eq!(ok(&["log"]), "");
    let bound = json(&["bind", NIC]);
    ok(&["bind", NIC, "--driver", "uio_pci_generic"]);
    let log = json(&["log"]);
    assert_eq!(log["schema"], "outboard.log/1");
    let entries = log["data"]["entries"].as_array().unwrap();
    assert_eq!(entries[0]["id"], bound["data"]["devices"][0]["entry"]);
    assert_eq!(entries[0]["path"], "0000:00:06.0/00.0");
    assert_eq!(entries[0]["former_driver"], "e1000e");
    assert_eq!(entries[0]["complete"], true);
    assert_eq!(entries[1]["former_driver"], "vfio-pci");
    assert_eq!(entries[1]["former_override"], "vfio-pci");
    let said = ok(&["log"]);
    assert!(
        said.contains("to uio_pci_generic; it had the driver vfio-pci"),
        "{said}"
    );

    let plan = ok(&["undo", "--last", "--dry-run"]);
    assert_eq!(plan.lines().count(), 3, "{plan}");
    let said = ok(&["undo", "--last"]);
    assert_eq!(
        said,
        "0000:03:00.0 is as it was before, with the driver vfio-pci\n"
    );
    assert_eq!(sysfs(NIC), (Some("vfio-pci".into()), "vfio-pci".into()));
    let id = bound["data"]["devices"][0]["entry"].to_string();
    let undone = json(&["undo", &id]);
    assert_eq!(undone["data"]["changed"], true);
    assert_eq!(sysfs(NIC), before);
    let said = fails(3, &["undo", &id]);
    assert!(
        said.contains(&format!("the journal has no entry {id}")),
        "{said}"
    );
    fails(2, &["undo"]);
}

#[test]
#[ignore = "needs the lab"]
fn a_release_may_name_another_driver_that_is_made_for_the_device() {
    let before = sysfs(NIC);
    ok(&["bind", NIC]);
    // nvme is not made for a network card, and the kernel says so; no override makes it.
    let bound = sysfs(NIC);
    let output = run(&["release", NIC, "--to", "nvme"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_ne!(sysfs(NIC).0.as_deref(), Some("nvme"));
    fails(5, &["release", NIC, "--to", "vfio-pci"]);
    fails(3, &["release", NIC, "--to", "nonesuch"]);
    // The journal still knows what there was.
    assert_ne!(sysfs(NIC), bound);
    ok(&["undo", "--last"]);
    assert_eq!(sysfs(NIC), before);

    ok(&["bind", NIC]);
    ok(&["release", NIC, "--to", "e1000e"]);
    assert_eq!(sysfs(NIC), before);
    assert_eq!(entries(), 0);
}

#[test]
#[ignore = "needs the lab"]
fn a_damaged_entry_is_said_to_be_and_nothing_is_lost() {
    let before = sysfs(NIC);
    let id = json(&["bind", NIC])["data"]["devices"][0]["entry"].to_string();
    let file = format!("{JOURNAL}/{id}-{NIC}");
    let good = fs::read(&file).unwrap();
    fs::write(&file, "half of an ent").unwrap();
    for command in [vec!["release", NIC], vec!["undo", &id]] {
        let said = fails(1, &command);
        assert!(said.contains(&format!("{file} cannot be read")), "{said}");
    }
    assert!(ok(&["log"]).contains("damaged: "));
    // Other devices are not held up by it.
    ok(&["bind", EDU]);
    ok(&["release", EDU]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "half of an ent");
    fs::write(&file, good).unwrap();
    ok(&["release", NIC]);
    assert_eq!(sysfs(NIC), before);
}

#[test]
#[ignore = "needs the lab"]
fn an_entry_of_another_boot_is_not_carried_out() {
    let before = sysfs(NIC);
    let id = json(&["bind", NIC])["data"]["devices"][0]["entry"].to_string();
    let file = format!("{JOURNAL}/{id}-{NIC}");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let entry = fs::read_to_string(&file).unwrap();
    fs::write(&file, entry.replace(boot.trim(), "of-another-day")).unwrap();
    let said = ok(&["undo", &id]);
    assert!(said.contains("the machine was restarted since"), "{said}");
    assert_eq!(sysfs(NIC), (Some("vfio-pci".into()), "vfio-pci".into()));
    assert_eq!(entries(), 0);
    ok(&["release", NIC]);
    assert_eq!(sysfs(NIC), before, "as the kernel would have it");
}

#[test]
#[ignore = "needs the lab"]
fn two_commands_at_once_leave_one_entry() {
    let before = sysfs(NIC);
    let commands: Vec<_> = (0..4)
        .map(|_| {
            let mut bind = super::outboard(&["bind", NIC]);
            bind.stdout(Stdio::null()).stderr(Stdio::null());
            bind.spawn().unwrap()
        })
        .collect();
    let done = commands
        .into_iter()
        .map(|mut child| child.wait().unwrap().code());
    let done: Vec<_> = done.collect();
    assert!(done.contains(&Some(0)), "{done:?}");
    // Those that came late find it bound, or changed since they looked.
    assert!(
        done.iter().all(|code| matches!(code, Some(0 | 5))),
        "{done:?}"
    );
    assert_eq!(entries(), 1);
    ok(&["release", NIC]);
    assert_eq!(sysfs(NIC), before);
}
