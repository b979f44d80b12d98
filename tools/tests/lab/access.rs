//! `outboard access`, with systemd-udevd in the guest.

use super::{Bound, IVSHMEM, fails, file, ok, run, text};
use pci_host::Host;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// The link to the node of its group.
const LINK: &str = "/dev/outboard/by-path/0000:00:10.0/group";

pub fn settle() {
    let settled = Command::new("udevadm").arg("settle").status().unwrap();
    assert!(settled.success());
}

fn bind() -> Bound {
    let bound = Bound::new(IVSHMEM);
    settle();
    bound
}

/// The node of the group, which the kernel names.
pub fn node() -> PathBuf {
    let host = Host::system();
    let function = host.function(IVSHMEM.parse().unwrap()).unwrap();
    host.vfio_group(function.iommu_group.unwrap())
}

/// Owner, group and permissions.
pub fn owner(node: &Path) -> (u32, u32, u32) {
    let about = fs::metadata(node).unwrap();
    (about.uid(), about.gid(), about.mode() & 0o7777)
}

/// Loads firmware as a user who may lock 8 MiB of memory, as systemd lets them.
fn load_as(user: &str, image: &str) -> Output {
    let outboard = env!("CARGO_BIN_EXE_outboard");
    let script = format!("ulimit -l 8192 && exec {outboard} fw load {IVSHMEM} {image} --bar 2");
    let mut su = Command::new("su");
    su.args(["-s", "/bin/sh", user, "-c", &script]);
    su.output().unwrap()
}

/// Our files in `/etc`.
fn files() -> Vec<String> {
    let dirs = [
        "/etc/udev/rules.d",
        "/etc/security/limits.d",
        "/etc/systemd/system/user@1000.service.d",
    ];
    let entries = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten();
    entries
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect()
}

fn who_is_granted_a_device_opens_it_until_that_is_revoked() {
    let dir = TempDir::new().unwrap();
    let image = file(&dir, "image", b"firmware");
    for path in [dir.path(), Path::new(&image)] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, mode).unwrap();
    }
    let loads = |user: &str| {
        let output = load_as(user, &image);
        let said = text(&output.stderr);
        match output.status.code() {
            Some(0) => true,
            Some(4) if said.contains("Permission denied") => {
                let hint = format!("sudo outboard access grant {IVSHMEM} $USER");
                assert!(said.contains(&hint), "{said}");
                false
            }
            _ => panic!("{said}"),
        }
    };
    let bound = bind();
    assert!(!loads("alice"));

    let printed = ok(&["access", "grant", IVSHMEM, "alice", "--print"]);
    assert!(printed.contains("OWNER=\"alice\""), "{printed}");
    assert_eq!(files(), [""; 0], "nothing is written");

    let said = ok(&["access", "grant", IVSHMEM, "alice", "--memlock", "64M"]);
    let start = format!("alice may open {IVSHMEM}: by {}", node().display());
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(owner(&node()), (1000, 0, 0o600));
    assert_eq!(fs::canonicalize(LINK).unwrap(), node());
    assert!(loads("alice"));
    assert!(!loads("bob"));
    for file in files().iter().filter(|file| file.ends_with(".rules")) {
        let verified = Command::new("udevadm").args(["verify", file]).status();
        assert!(verified.unwrap().success());
    }
    let again = ok(&["access", "grant", IVSHMEM, "alice", "--memlock", "64M"]);
    assert!(again.contains("already"), "{again}");
    let show = ok(&["access", "show"]);
    let line = format!("alice  path:{IVSHMEM}  1af4:1110:1af4:1100  {IVSHMEM}, ");
    assert!(show.starts_with(&line), "{show}");

    drop(bound);
    let _bound = bind();
    assert!(loads("alice"), "the next time too");

    let said = ok(&["access", "revoke", IVSHMEM, "alice"]);
    assert!(said.contains("may not open"), "{said}");
    assert_eq!(owner(&node()), (0, 0, 0o600));
    assert!(!Path::new(LINK).exists());
    assert!(!loads("alice"));
    assert_eq!(files(), [""; 0]);
    assert!(
        run(&["access", "revoke", IVSHMEM, "alice"])
            .status
            .success()
    );
}

/// Behind the bridge are three devices in one group (docs/lab.md).
fn the_node_of_a_group_is_given_only_with_consent_to_all_that_it_gives() {
    let said = fails(5, &["access", "grant", "0000:05:01.0", "alice"]);
    for other in ["0000:05:02.0", "0000:05:03.0"] {
        assert!(said.contains(&format!("--with {other}")), "{said}");
    }
    assert_eq!(files(), [""; 0]);
    let with = ["--with", "0000:05:02.0", "--with", "0000:05:03.0"];
    let said = ok(&[&["access", "grant", "0000:05:01.0", "alice"], &with[..]].concat());
    assert!(said.contains("when it is bound"), "{said}");
    ok(&["access", "revoke", "path:0000:00:08.0/01.0", "alice"]);
    assert_eq!(files(), [""; 0]);
}

mod udev {
    #[test]
    #[ignore = "needs the lab"]
    fn who_is_granted_a_device_opens_it_until_that_is_revoked() {
        super::who_is_granted_a_device_opens_it_until_that_is_revoked();
    }

    #[test]
    #[ignore = "needs the lab"]
    fn the_node_of_a_group_is_given_only_with_consent_to_all_that_it_gives() {
        super::the_node_of_a_group_is_given_only_with_consent_to_all_that_it_gives();
    }
}

mod udev_full {
    #[test]
    #[ignore = "needs the lab"]
    fn who_is_granted_a_device_opens_it_until_that_is_revoked() {
        super::who_is_granted_a_device_opens_it_until_that_is_revoked();
    }
}
