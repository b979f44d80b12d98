//! Devices that are files in a temporary folder, where nothing answers: what is written there can be seen. What the kernel
//! makes of it is shown in the lab.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use io_core::{ErrorKind, PciDevice};
use pci_host::Host;
use std::{
    fs,
    os::unix::fs::{FileExt, symlink},
    path::PathBuf,
    thread,
};
use tempfile::TempDir;
use uio_backend::{UioDevice, UioNode};

const FUNCTION: &str = "sys/bus/pci/devices/0000:03:00.0";

/// A machine with a function that has no driver.
struct Machine(TempDir);

impl Machine {
    fn new(header_type: u8) -> Self {
        let machine = Self(TempDir::new().unwrap());
        let mut config = [0; 256];
        (config[0x04], config[0x0e]) = (0x06, header_type);
        machine.file(&format!("{FUNCTION}/config"), config);
        for name in ["vendor", "device", "subsystem_vendor", "subsystem_device"] {
            machine.file(&format!("{FUNCTION}/{name}"), "0x1234\n");
        }
        if header_type != 0 {
            machine.file(&format!("{FUNCTION}/secondary_bus_number"), "1\n");
        }
        machine.file(&format!("{FUNCTION}/class"), "0x00ff00\n");
        machine.file(&format!("{FUNCTION}/revision"), "0x00\n");
        machine.file(&format!("{FUNCTION}/enable"), "0");
        machine.file(&format!("{FUNCTION}/resource"), "0x0 0x0 0x0\n".repeat(7));
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn open(&self) -> io_core::Result<UioDevice> {
        UioDevice::open(&self.host(), "03:00.0".parse().unwrap())
    }

    fn host(&self) -> Host {
        Host::at(self.0.path())
    }

    fn command(&self) -> u16 {
        let config = fs::read(self.path(&format!("{FUNCTION}/config"))).unwrap();
        u16::from_le_bytes([config[4], config[5]])
    }

    fn set_command(&self, command: u16) {
        let config = self.path(&format!("{FUNCTION}/config"));
        let config = fs::OpenOptions::new().write(true).open(config).unwrap();
        config.write_all_at(&command.to_le_bytes(), 4).unwrap();
    }

    fn enable(&self) -> String {
        fs::read_to_string(self.path(&format!("{FUNCTION}/enable"))).unwrap()
    }
}

#[test]
fn a_device_is_enabled_as_long_as_it_is_open_and_no_bus_master_at_first_and_at_last() {
    let machine = Machine::new(0);
    let device = machine.open().unwrap();
    assert_eq!((machine.enable().as_str(), machine.command()), ("1", 2));
    device.set_bus_master(true).unwrap();
    assert_eq!(machine.command(), 6);
    drop(device);
    assert_eq!((machine.enable().as_str(), machine.command()), ("0", 2));
}

#[test]
fn a_bridge_is_refused_and_stays_bus_master_for_what_is_behind_it() {
    let machine = Machine::new(1);
    let error = machine.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = "0000:03:00.0 is a bridge: the devices behind it need its bus mastering";
    assert_eq!(error.to_string(), message);
    assert_eq!((machine.enable().as_str(), machine.command()), ("0", 6));
}

#[test]
fn a_driver_that_has_taken_the_device_meanwhile_keeps_it_as_it_is() {
    let machine = Machine::new(0);
    let device = machine.open().unwrap();
    symlink(
        "../drivers/nvme",
        machine.path(&format!("{FUNCTION}/driver")),
    )
    .unwrap();
    machine.set_command(0x0406);
    drop(device);
    assert_eq!(
        (machine.enable().as_str(), machine.command()),
        ("1", 0x0406)
    );
}

#[test]
fn ones_that_nobody_answered_are_not_written_back() {
    let machine = Machine::new(0);
    let device = machine.open().unwrap();
    machine.set_command(u16::MAX);
    machine.file(&format!("{FUNCTION}/config"), [0xff; 256]);
    for error in [
        device.set_bus_master(false).unwrap_err(),
        device.set_memory_decode(true).unwrap_err(),
        device.reset().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
        assert!(
            error.to_string().ends_with("0000:03:00.0 does not answer"),
            "{error}"
        );
        assert_eq!(error.hint(), None);
    }
    drop(device);
    assert_eq!(machine.command(), u16::MAX);
    assert_eq!(machine.enable(), "1", "it may be another's by now");
}

#[test]
fn bus_mastering_that_is_off_is_not_switched_on_by_another_change_of_command() {
    let machine = Machine::new(0);
    let device = machine.open().unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            for on in [true, false].repeat(20_000) {
                device.set_memory_decode(on).unwrap();
            }
        });
        while !other.is_finished() {
            device.set_bus_master(true).unwrap();
            device.set_bus_master(false).unwrap();
            assert_eq!(machine.command() & 4, 0);
        }
    });
}

#[test]
fn a_map_that_cannot_be_is_an_error() {
    let machine = Machine::new(0);
    machine.file("dev/uio0", [0; 8192]);
    machine.file("sys/class/uio/uio0/name", "odd\n");
    let all = format!("{:#x}\n", u64::MAX);
    for (name, text) in [("addr", "0x0\n"), ("size", &all), ("offset", &all)] {
        machine.file(&format!("sys/class/uio/uio0/maps/map1/{name}"), text);
    }
    let node = UioNode::open(&machine.host(), "uio0").unwrap();
    assert!(node.map("1").is_err());
}
