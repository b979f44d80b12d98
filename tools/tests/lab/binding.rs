//! Binding what is in use, what is one of a group, what the kernel holds, and many at once.

use super::{EDU, IVSHMEM, NIC, TESTDEV, fails, json, ok, outboard, run, sysfs, text};
use nix::fcntl::{Flock, FlockArg};
use pci_host::Host;
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Read,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use vfio_backend::VfioDevice;

const DOORBELL: &str = "0000:00:11.0";

// Members of one IOMMU group: the first two have no driver, the kernel's own has the third.
pub const MEMBER: &str = "0000:05:01.0";
pub const SECOND: &str = "0000:05:02.0";
pub const HELD_BY_KERNEL: &str = "0000:05:03.0";

/// What must not change: drivers and overrides of all devices, and the journal.
pub fn machine() -> Vec<(String, (Option<String>, String))> {
    let mut all: Vec<_> = fs::read_dir("/sys/bus/pci/devices")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| (name.clone(), sysfs(&name)))
        .collect();
    let entries = fs::read_dir("/run/outboard/journal").into_iter().flatten();
    all.extend(entries.map(|entry| {
        let path = entry.unwrap().path();
        (
            path.display().to_string(),
            (None, fs::read_to_string(&path).unwrap()),
        )
    }));
    all.sort();
    all
}

/// A refusal names the use, says how to agree to it, and changes nothing. Returns what it says.
pub fn refuses(args: &[&str], code: &str) -> String {
    let before = machine();
    let is_dry = args.contains(&"--dry-run");
    let output = run(args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    // A dry run shows what it would write, all the same.
    let writes = text(&output.stdout);
    assert_eq!(writes.contains("echo "), is_dry, "{writes}");
    assert_eq!(writes.is_empty(), !is_dry, "{writes}");
    assert!(said.contains("nothing was changed"), "{said}");
    let word = code.split(':').next().unwrap();
    assert!(said.contains(&format!("allow: --allow {code}")), "{said}");
    let output = run(&[args, &["--json"]].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let field = |value: &Value, path: &str| value.pointer(path).cloned().unwrap();
    assert_eq!(field(&json, "/schema"), "outboard.error/1");
    assert_eq!(field(&json, "/error/exit"), 5);
    let findings = field(&json, "/error/findings");
    let mut findings = findings.as_array().unwrap().iter();
    let found = findings.find(|f| field(f, "/allow") == *code).unwrap();
    assert_eq!(field(found, "/code"), *word);
    assert_ne!(field(found, "/hint"), "");
    super::schema::check(&json);
    if is_dry {
        assert_eq!(field(&json, "/error/data/dry_run"), true);
        let device = field(&json, "/error/data/devices/0");
        let lines: Vec<_> = writes.lines().collect();
        assert_eq!(
            field(&device, "/writes").as_array().unwrap().len(),
            lines.len()
        );
        let all = field(&device, "/findings");
        assert!(all.as_array().unwrap().contains(found), "{all}");
    }
    assert_eq!(machine(), before, "{args:?}");
    said
}

#[test]
#[ignore = "needs the lab"]
fn other_members_of_the_group_come_along_only_if_they_are_named() {
    let before = machine();
    let code = format!("group:{HELD_BY_KERNEL}");
    let said = refuses(&["bind", MEMBER], &code);
    assert!(said.contains(&format!("--with {HELD_BY_KERNEL}")), "{said}");
    assert!(
        !said.contains("0000:00:08.0"),
        "the bridge is no member: {said}"
    );
    // Consent to another one is no consent to this one.
    refuses(
        &["bind", MEMBER, "--allow", &format!("group:{SECOND}")],
        &code,
    );
    fails(2, &["bind", MEMBER, "--allow", "everything"]);
    // Nor does a device of another group come along.
    let said = fails(5, &["bind", MEMBER, "--with", NIC]);
    assert!(said.contains("is in another IOMMU group"), "{said}");
    assert_eq!(machine(), before);

    let bound = json(&["bind", MEMBER, "--with", HELD_BY_KERNEL]);
    assert_eq!(bound["data"]["devices"][1]["address"], HELD_BY_KERNEL);
    for device in [MEMBER, HELD_BY_KERNEL] {
        assert_eq!(sysfs(device), (Some("vfio-pci".into()), "vfio-pci".into()));
    }
    // That is a group which VFIO gives to a program.
    drop(VfioDevice::open(&Host::system(), MEMBER.parse().unwrap()).unwrap());
    ok(&["release", MEMBER, HELD_BY_KERNEL]);
    assert_eq!(machine(), before);

    let bound = json(&["bind", MEMBER, "--allow", &code]);
    assert_eq!(bound["data"]["devices"][0]["findings"][0]["allow"], *code);
    ok(&["release", MEMBER]);
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs the lab"]
fn an_unbind_that_the_kernel_holds_back_is_given_up_and_taken_up_later() {
    let before = machine();
    ok(&["bind", NIC]);
    let bound = machine();
    let device = VfioDevice::open(&Host::system(), NIC.parse().unwrap()).unwrap();
    for args in [vec!["release", NIC], vec!["undo", "--last"]] {
        fails(5, &args);
        assert_eq!(machine(), bound, "{args:?}");
    }

    // Somebody insists. The kernel does not come back until the device is closed, but the command does.
    let started = Instant::now();
    let said = fails(7, &["release", NIC, "--allow", "open", "--timeout", "3"]);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert!(said.contains("is not given back yet"), "{said}");
    assert!(said.contains("drivers/vfio-pci/unbind` after 3s"), "{said}");
    assert!(said.contains("once nobody has it open"), "{said}");
    let said = ok(&["log"]);
    assert!(said.contains(NIC), "{said}");

    drop(device);
    // The helper that was left in the kernel comes to its end.
    let started = Instant::now();
    while sysfs(NIC).0.as_deref() == Some("vfio-pci") {
        assert!(started.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(20));
    }
    ok(&["undo", "--last"]);
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs the lab"]
fn a_bind_to_another_driver_that_the_kernel_holds_back_is_in_the_journal() {
    let before = machine();
    ok(&["bind", EDU]);
    let device = VfioDevice::open(&Host::system(), EDU.parse().unwrap()).unwrap();
    let to_uio = ["bind", EDU, "--driver", "uio_pci_generic", "--timeout", "3"];
    fails(5, &to_uio);
    let said = fails(7, &[&to_uio[..], &["--allow", "open"]].concat());
    assert!(
        said.contains("of the journal keeps what it was before"),
        "{said}"
    );
    assert!(
        ok(&["log"]).contains("stopped after 1 writes"),
        "{}",
        ok(&["log"])
    );
    drop(device);
    let started = Instant::now();
    while sysfs(EDU).0.as_deref() == Some("vfio-pci") {
        assert!(started.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(20));
    }
    ok(&["release", EDU]);
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs the lab"]
fn many_devices_are_bound_at_once_and_what_fails_is_told_apart() {
    let before = machine();
    let said = fails(5, &["bind", "1af4:1110"]);
    assert!(said.contains("is 2 devices"), "{said}");
    let output = run(&["bind", "1af4:1110", TESTDEV, EDU, "--all"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout)
            .matches("is bound to vfio-pci now")
            .count(),
        4
    );
    assert!(
        text(&output.stderr).ends_with("done: 4 of 4 devices\n"),
        "{output:?}"
    );
    for device in [IVSHMEM, DOORBELL, TESTDEV, EDU] {
        assert_eq!(sysfs(device).0.as_deref(), Some("vfio-pci"), "{device}");
    }
    assert_eq!(json(&["bind", IVSHMEM, EDU])["data"]["changed"], false);
    ok(&["release", IVSHMEM, DOORBELL, TESTDEV, EDU]);
    assert_eq!(machine(), before);

    // Somebody else is at work on one of them.
    let file = File::open(format!("/run/outboard/locks/{TESTDEV}")).unwrap();
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    let output = run(&["bind", IVSHMEM, TESTDEV, EDU, "--timeout", "10", "--json"]);
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["error"]["kind"], "partly_done");
    let devices = &json["error"]["data"]["devices"];
    assert_eq!(devices[0]["changed"], true, "{devices}");
    assert_eq!(devices[1]["changed"], false);
    let error = devices[1]["error"].as_str().unwrap();
    assert!(
        error.contains("another process binds or releases"),
        "{error}"
    );
    assert_eq!(devices[2]["changed"], true, "{devices}");
    assert_eq!(sysfs(TESTDEV).0, None);
    drop(lock);
    ok(&["release", IVSHMEM, EDU]);
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_not_the_expected_one_is_left_alone() {
    let before = machine();
    fails(5, &["bind", NIC, EDU, "--expect", "8086:10d3"]);
    assert_eq!(machine(), before);
    ok(&["bind", NIC, "--expect", "8086:10d3"]);
    ok(&["release", NIC]);
    assert_eq!(machine(), before);
}

/// Starts `run`, and waits until the program in it says something.
fn started(args: &[&str], script: &str) -> std::process::Child {
    let mut child = outboard(&[&["run"], args, &["--", "sh", "-c", script]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut word = [0; 3];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut word)
        .unwrap();
    child
}

#[test]
#[ignore = "needs the lab"]
fn a_program_has_the_device_while_it_runs() {
    let before = machine();
    let script = "echo $OUTBOARD_DEVICE $OUTBOARD_NODE; \
                  readlink /sys/bus/pci/devices/$OUTBOARD_DEVICE/driver; exit 7";
    let output = run(&["run", IVSHMEM, "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.starts_with("0000:00:10.0 /dev/vfio/7\n"), "{said}");
    assert!(said.ends_with("/vfio-pci\n"), "{said}");
    assert_eq!(machine(), before);
    // It crashes.
    let output = run(&["run", NIC, "--", "sh", "-c", "kill -SEGV $$"]);
    assert_eq!(output.status.code(), Some(128 + 11), "{output:?}");
    assert_eq!(machine(), before);
    // It was bound before, and stays so.
    ok(&["bind", IVSHMEM]);
    let bound = machine();
    assert_eq!(run(&["run", IVSHMEM, "--", "true"]).status.code(), Some(0));
    assert_eq!(machine(), bound);
    ok(&["release", IVSHMEM]);
}

#[test]
#[ignore = "needs the lab"]
fn what_keeps_a_program_from_running_has_a_status_of_its_own() {
    let before = machine();
    for (status, args) in [
        (127, vec!["run", NIC, "--", "/no/such/program"]),
        (126, vec!["run", NIC, "--", "/proc"]),
        (121, vec!["run", "0000:7f:00.0", "--", "true"]),
        (123, vec!["run", MEMBER, "--", "true"]),
        (2, vec!["run", NIC]),
    ] {
        fails(status, &args);
        assert_eq!(machine(), before, "{args:?}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_device_comes_back_whatever_ends_the_program_or_the_terminal() {
    let before = machine();
    for signal in ["HUP", "TERM", "INT", "QUIT"] {
        let mut child = started(&[NIC], "echo yes; exec sleep 60");
        assert_eq!(sysfs(NIC).0.as_deref(), Some("vfio-pci"));
        let kill = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        let number = ["", "HUP", "INT", "QUIT"].iter().position(|s| *s == signal);
        let number = i32::try_from(number.unwrap_or(15)).unwrap();
        assert_eq!(status.code(), Some(128 + number), "{signal}");
        assert_eq!(machine(), before, "{signal}");
    }
    // We are killed, and the journal knows.
    let mut child = started(&[NIC], "echo yes; exec sleep 1");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sysfs(NIC).0.as_deref(), Some("vfio-pci"));
    ok(&["undo", "--last"]);
    assert_eq!(machine(), before);
}
