//! Hot-plug, driven from inside the guest.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab_guest::Qmp;
use serde_json::json;

/// The empty root port 0000:00:05.0, and what is plugged into it.
const PORT: &str = "rp2";
const PLUGGED: &str = "/sys/bus/pci/devices/0000:02:00.0";

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `path` is there, or is not.
fn becomes(path: &str, there: bool) -> bool {
    let start = Instant::now();
    while Path::new(path).exists() != there {
        if start.elapsed() > LIMIT {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    true
}

#[test]
#[ignore = "needs the lab"]
fn a_device_is_plugged_in_and_pulled_out_again() {
    lab_guest::fact("kernel");
    assert!(!Path::new(PLUGGED).exists());
    let mut qmp = Qmp::connect().unwrap();
    qmp.device_add(PORT, "e1000e", "hot").unwrap();
    assert!(
        becomes(&format!("{PLUGGED}/driver"), true),
        "e1000e takes it"
    );
    let id = fs::read_to_string(format!("{PLUGGED}/device")).unwrap();
    assert_eq!(id.trim(), "0x10d3");

    // Another connection, as the next test would make it, and the same QEMU.
    drop(qmp);
    let mut qmp = Qmp::connect().unwrap();
    qmp.device_del("hot").unwrap();
    assert!(becomes(PLUGGED, false));
    while qmp.event("DEVICE_DELETED", LIMIT).unwrap().get("device") != Some(&json!("hot")) {}
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_told_of_an_error_has_it_in_its_registers() {
    lab_guest::fact("kernel");
    let mut qmp = Qmp::connect().unwrap();
    qmp.device_add(PORT, "e1000e", "erring").unwrap();
    assert!(becomes(&format!("{PLUGGED}/driver"), true));
    qmp.pcie_aer_inject_error("erring", "BAD_TLP").unwrap();
    let config = fs::read(format!("{PLUGGED}/config")).unwrap();
    // PCI Express Base Specification 7.8.4: the capability's id is 1; at 0x10 is the status of correctable errors, whose
    // bit 6 is Bad TLP. Where it is on QEMU's e1000e, `lspci -vv` says.
    assert_eq!(config[0x100..0x102], [1, 0]);
    assert_eq!(config[0x110] & 0x40, 0x40);
    qmp.device_del("erring").unwrap();
    assert!(becomes(PLUGGED, false));
}

#[test]
#[ignore = "needs the lab"]
fn a_write_to_pvpanic_is_an_event_on_the_host_and_the_guest_goes_on() {
    lab_guest::fact("kernel");
    let mut qmp = Qmp::connect().unwrap();
    let device = Path::new("/sys/bus/pci/devices/0000:00:14.0");
    fs::write(device.join("enable"), "1").unwrap();
    let resource = fs::read_to_string(device.join("resource")).unwrap();
    let address = resource.split(' ').next().unwrap();
    // QEMU's docs/specs/pvpanic.rst: bit 0 of the one register says that the guest panicked.
    let devmem = Command::new("devmem").args([address, "8", "1"]).status();
    assert!(devmem.unwrap().success());
    let event = qmp.event("GUEST_PANICKED", LIMIT).unwrap();
    assert_eq!(event.get("action"), Some(&json!("run")));
    fs::write(device.join("enable"), "0").unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn what_qemu_refuses_is_an_error_with_its_reason() {
    lab_guest::fact("kernel");
    let mut qmp = Qmp::connect().unwrap();
    let error = qmp.device_del("nothing").unwrap_err().to_string();
    assert!(error.contains("Device 'nothing' not found"), "{error}");
    let error = qmp
        .pcie_aer_inject_error("nothing", "BAD_TLP")
        .unwrap_err()
        .to_string();
    assert!(error.contains("nothing"), "{error}");
}
