//! While the kernel waits within an unbind, with the device's lock held: everything else answers.

use super::{NIC, binding::machine, ok, outboard, sysfs, text};
use pci_host::Host;
use serde_json::Value;
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use vfio_backend::VfioDevice;

/// What hangs in the kernel does so for ever; what is only slow is not that slow.
const FOR_EVER: Duration = Duration::from_secs(60);

/// The NIC, whose unbind the kernel holds back until this is dropped. It is as it was before then.
struct Held {
    before: Vec<(String, (Option<String>, String))>,
    device: Option<VfioDevice>,
}

impl Held {
    fn new() -> Self {
        let before = machine();
        ok(&["bind", NIC]);
        let device = VfioDevice::open(&Host::system(), NIC.parse().unwrap()).unwrap();
        let output = answers(&["release", NIC, "--allow", "open", "--timeout", "1"]);
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        Self {
            before,
            device: Some(device),
        }
    }

    /// The device is closed, and the kernel goes on.
    fn close(mut self) {
        drop(self.device.take());
        let started = Instant::now();
        while sysfs(NIC).0.as_deref() == Some("vfio-pci") {
            assert!(started.elapsed() < FOR_EVER);
            sleep(Duration::from_millis(20));
        }
        ok(&["undo", "--last"]);
        assert_eq!(machine(), self.before);
    }
}

/// What a process says, if it ends.
fn ends(mut child: Child) -> Option<Output> {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > FOR_EVER {
            return None;
        }
        sleep(Duration::from_millis(10));
    }
    Some(child.wait_with_output().unwrap())
}

/// What a command says, which must not hang. What it prints must fit into a pipe, or into this file.
fn answers(args: &[&str]) -> Output {
    let path = PathBuf::from(format!("/tmp/held-{}", std::process::id()));
    let file = File::create(&path).unwrap();
    let mut command = outboard(args);
    command.stdout(file).stderr(Stdio::piped());
    let mut output = ends(command.spawn().unwrap()).unwrap_or_else(|| panic!("{args:?} hangs"));
    output.stdout = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    output
}

/// The files below a device that may be read.
fn readable(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if about.is_dir() {
            files.extend(readable(&path));
        } else if about.is_file()
            && about.permissions().mode() & 0o400 != 0
            && !name.starts_with("resource")
            && name != "rom"
        {
            files.push(path);
        }
    }
    files
}

/// Newer kernels (6.12.107) do not keep `driver_override` under the lock, so that nothing waits there.
mod stock {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn of_all_that_sysfs_says_of_a_held_device_only_what_is_under_its_lock_has_to_wait() {
        let held = Held::new();
        let start = |path: PathBuf| {
            let mut cat = Command::new("cat");
            cat.arg(&path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .stdin(Stdio::null());
            (path, cat.spawn().unwrap())
        };
        let mut cats: Vec<_> = readable(&Path::new("/sys/bus/pci/devices").join(NIC))
            .into_iter()
            .map(start)
            .collect();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            cats.retain_mut(|(_, cat)| cat.try_wait().unwrap().is_none());
            sleep(Duration::from_millis(50));
        }
        let waiting: Vec<_> = cats.iter().map(|(path, _)| path.clone()).collect();
        held.close();
        for (_, mut cat) in cats {
            cat.wait().unwrap();
        }
        // Some kernels take the lock for uevent too, Debian 12's among them.
        let is_under_lock =
            |path: &PathBuf| path.ends_with("driver_override") || path.ends_with("uevent");
        assert!(waiting.iter().all(is_under_lock), "{waiting:?}");
        assert!(waiting.iter().any(|path| path.ends_with("driver_override")));
    }

    #[test]
    #[ignore = "needs the lab"]
    fn commands_that_look_answer_while_the_kernel_holds_a_device() {
        let held = Held::new();
        for args in [
            &["list"][..],
            &["list", "--json"],
            &["list", NIC],
            &["show", NIC],
            &["show", NIC, "--json"],
            &["users", NIC],
            &["groups"],
            &["groups", NIC],
            &["log"],
            &["doctor", NIC],
            &["doctor"],
        ] {
            let output = answers(args);
            let said = text(&output.stdout);
            assert!(
                matches!(output.status.code(), Some(0 | 9)),
                "{args:?}: {output:?}"
            );
            if args.last() == Some(&"--json") {
                crate::schema::check(&serde_json::from_str::<Value>(&said).unwrap());
            } else {
                assert_ne!(said, "", "{args:?}");
            }
        }
        let said = text(&answers(&["users", NIC]).stdout);
        let holder = format!("(process {}", std::process::id());
        assert!(said.contains(&holder), "{holder} in {said}");
        held.close();
    }

    #[test]
    #[ignore = "needs the lab"]
    fn commands_that_change_a_device_which_the_kernel_holds_end_in_time_with_a_sentence() {
        let held = Held::new();
        for args in [
            &["bind", NIC][..],
            &["bind", NIC, "--dry-run"],
            &["bind", NIC, "--driver", "uio_pci_generic"],
            &["release", NIC],
            &["release", NIC, "--to", "e1000e"],
            &["undo", "--last"],
        ] {
            let args = [args, &["--timeout", "1"]].concat();
            let output = answers(&args);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(7), "{args:?}: {said}");
            assert!(said.contains(NIC), "{args:?}: {said}");
        }
        let output = answers(&["run", NIC, "--timeout", "1", "--", "true"]);
        assert_eq!(output.status.code(), Some(124), "{output:?}");
        held.close();
    }
}
