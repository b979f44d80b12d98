//! A kernel that is locked down lets root do nothing of this.

use crate::EDU;
use io_core::PciDevice;
use pci_host::Host;
use std::{fs, path::Path, process::Command};
use uio_backend::UioDevice;

#[test]
#[ignore = "needs the lab"]
fn what_the_kernel_refuses_is_said_to_be_its_lockdown() {
    assert_eq!(lab_guest::fact("kernel"), "stock");
    let file = Path::new("/sys/kernel/security/lockdown");
    if !file.exists() {
        let mut mount = Command::new("mount");
        mount.args(["-t", "securityfs", "securityfs", "/sys/kernel/security"]);
        assert!(mount.status().unwrap().success());
    }
    let host = Host::system();
    if host.lockdown().is_none() {
        fs::write(file, "integrity").unwrap();
    }
    let device = UioDevice::open(&host, EDU.parse().unwrap()).unwrap();
    for error in [
        device.bar(0).unwrap_err(),
        device.set_bus_master(true).unwrap_err(),
    ] {
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("locked down (integrity)"), "{error}: {hint}");
    }
}
