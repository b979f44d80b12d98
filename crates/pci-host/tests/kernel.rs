//! What the kernel says of itself and of this process, from files that the tests have written.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::Error;
use pci_host::Host;
use std::{fs, io};
use tempfile::TempDir;

/// A machine with this one file.
fn machine(path: &str, text: &str) -> (TempDir, Host) {
    let root = TempDir::new().unwrap();
    let file = root.path().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    let host = Host::at(root.path());
    (root, host)
}

/// What Debian 12's kernel has there, as the lab shows it.
const LOCKED: &str = "none [integrity] confidentiality\n";

#[test]
fn a_lockdown_is_told_by_its_mode() {
    for text in [LOCKED, "[none] integrity confidentiality\n", "", "[", "]["] {
        let (_root, host) = machine("sys/kernel/security/lockdown", text);
        let expected = (text == LOCKED).then_some("integrity");
        assert_eq!(host.lockdown().as_deref(), expected, "{text}");
    }
}

#[test]
fn a_lockdown_is_a_reason_for_eperm_and_for_nothing_else() {
    let (_root, host) = machine("sys/kernel/security/lockdown", LOCKED);
    let error = |errno| Error::from_os("cannot", io::Error::from_raw_os_error(errno));
    let eperm = host.or_lockdown(error(1).with_hint("run it with sudo"));
    let hint = eperm.hint().unwrap();
    assert!(
        hint.starts_with("run it with sudo; the kernel is locked down (integrity)"),
        "{hint}"
    );
    assert_eq!(host.or_lockdown(error(13)).hint(), None, "EACCES");
    let (_root, open) = machine("sys/nothing", "");
    assert_eq!(open.or_lockdown(error(1)).hint(), None);
}

#[test]
fn locked_memory_is_what_the_kernel_says() {
    // proc_pid_status(5).
    let status = "Name:\tcat\nVmLck:\t      12 kB\nVmPin:\t       0 kB\nThreads:\t1\n";
    let (_root, host) = machine("proc/self/status", status);
    assert_eq!(host.locked_memory("VmLck"), Some(12 * 1024));
    assert_eq!(host.locked_memory("VmPin"), Some(0));
    for field in ["Name", "Threads", "Vm", "VmSwap"] {
        assert_eq!(host.locked_memory(field), None, "{field}");
    }
}

#[test]
fn a_capability_is_a_bit_of_what_the_kernel_says() {
    // proc_pid_status(5); CAP_IPC_LOCK is 14, and CAP_SYS_RAWIO 17 (include/uapi/linux/capability.h).
    let status =
        "CapPrm:\t000001ffffffffff\nCapEff:\t0000000000004000\nCapBnd:\t000001ffffffffff\n";
    let (_root, host) = machine("proc/self/status", status);
    let has = [14, 17, 13, 0, 64, u32::MAX].map(|number| host.has_capability(number));
    assert_eq!(has, [true, false, false, false, false, false]);
    let (_root, host) = machine("proc/self/status", "CapEff:\tnothing\n");
    assert!(!host.has_capability(14));
}

#[test]
fn an_open_node_is_found_by_its_path() {
    let (root, host) = machine("proc/self/fd/name", "");
    let link = root.path().join("proc/self/fd/3");
    std::os::unix::fs::symlink("/dev/vfio/7", link).unwrap();
    assert!(host.has_open("/dev/vfio/7".as_ref()));
    assert!(!host.has_open("/dev/vfio/70".as_ref()));
    let (_root, host) = machine("sys/nothing", "");
    assert!(!host.has_open("/dev/vfio/7".as_ref()));
}
