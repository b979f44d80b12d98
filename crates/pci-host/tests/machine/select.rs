//! What names which device.

use crate::build::{Machine, desktop};
use io_core::{Error, ErrorKind};
use pci_host::{Ids, Selector};

impl Machine {
    /// The addresses of all devices that `text` names.
    fn all(&self, text: &str) -> Vec<String> {
        let all = self.host.select_all(&selector(text)).unwrap();
        all.iter().map(|f| f.address.to_string()).collect()
    }

    fn one(&self, text: &str) -> String {
        self.host
            .select(&selector(text))
            .unwrap()
            .address
            .to_string()
    }

    fn error(&self, text: &str) -> Error {
        self.host.select(&selector(text)).unwrap_err()
    }
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

fn wrong(text: &str) -> String {
    text.parse::<Selector>().unwrap_err().to_string()
}

#[test]
fn each_kind_of_selector_names_its_device() {
    let machine = desktop();
    for (text, address) in [
        ("0000:03:00.0", "0000:03:00.0"),
        ("3:0.0", "0000:03:00.0"),
        ("8086:1572", "0000:04:00.0"),
        ("144D:A80C:144d:a801", "0000:01:00.0"),
        ("path:0000:00:1c.4/00.0", "0000:03:00.0"),
        ("path:0000:00:0e.0", "0000:00:0e.0"),
        ("net:eth0", "0000:02:00.0"),
        ("block:nvme0n1", "0000:01:00.0"),
        ("block:nvme0n1p1", "0000:01:00.0"),
    ] {
        assert_eq!(machine.one(text), address, "{text}");
    }
}

#[test]
fn what_is_printed_can_be_pasted_back() {
    for text in [
        "0000:03:00.0",
        "10000:e1:00.0",
        "03:00.0",
        "8086:10d3",
        "8086:10d3:1af4:1100",
        "path:0000:00:1c.4/00.0/1f.7",
        "path:0000:00:1d.0/00.0/vf12",
        "serial:00-1b-21-ff-ff-3a-5c-9e",
        "net:eth1",
        "block:nvme0n1",
        "@nic",
    ] {
        assert_eq!(selector(text).to_string(), text);
    }
    let machine = desktop();
    for function in machine.host.functions().unwrap() {
        let path = machine.host.device_path(function.address);
        assert_eq!(
            machine.one(&format!("path:{path}")),
            function.address.to_string()
        );
    }
}

#[test]
fn a_path_stays_the_same_when_buses_are_renumbered() {
    let machine = Machine::new();
    machine.function("pci0000:00/0000:00:1c.4", "8086:7ab8", 0x06_0400);
    machine.function(
        "pci0000:00/0000:00:1c.4/0000:09:00.0",
        "8086:125c",
        0x02_0000,
    );
    for machine in [machine, desktop()] {
        let nic = machine
            .host
            .select(&selector("path:0000:00:1c.4/00.0"))
            .unwrap();
        assert_eq!((nic.vendor, nic.device), (0x8086, 0x125c));
    }
}

#[test]
fn a_path_leaves_out_the_domain_of_a_vmd_and_numbers_virtual_functions() {
    let machine = desktop();
    let path = |address: &str| {
        machine
            .host
            .device_path(address.parse().unwrap())
            .to_string()
    };
    assert_eq!(path("10000:e1:00.0"), "0000:00:0e.0/1a.0/00.0");
    // Two of them, on two buses behind the same port: SR-IOV's offset and stride say which is which.
    assert_eq!(path("0000:04:02.0"), "0000:00:1d.0/00.0/vf0");
    assert_eq!(path("0000:05:00.0"), "0000:00:1d.0/00.0/vf1");
}

#[test]
fn several_matches_are_named() {
    let machine = desktop();
    let error = machine.error("8086:125c");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "8086:125c is 2 devices");
    assert_eq!(
        error.hint(),
        Some("name one of them: 0000:02:00.0, 0000:03:00.0")
    );
    assert_eq!(machine.all("8086:125c"), ["0000:02:00.0", "0000:03:00.0"]);
}

#[test]
fn an_address_without_domain_is_in_domain_0_or_refused() {
    let machine = desktop();
    let error = machine.error("e1:00.0");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("name it with its domain: 10000:e1:00.0"));
    machine.function("pci0001:00/0001:03:00.0", "15b3:1017", 0x02_0000);
    let error = machine.error("03:00.0");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "03:00.0 is in 2 domains");
    assert_eq!(
        error.hint(),
        Some("name it with its domain: 0000:03:00.0, 0001:03:00.0")
    );
    assert_eq!(machine.one("0000:03:00.0"), "0000:03:00.0");
}

#[test]
fn what_names_nothing_here_is_said_to() {
    let machine = desktop();
    for (text, message) in [
        (
            "7f:00.0",
            "there is no PCI device 0000:7f:00.0 on this machine",
        ),
        ("8086:ffff", "there is no PCI device with the ids 8086:ffff"),
        (
            "path:0000:00:1c.7/00.0",
            "there is no PCI device at path:0000:00:1c.7/00.0",
        ),
        ("net:wlan0", "there is no network interface wlan0"),
        ("block:sda", "there is no block device sda"),
        (
            "serial:0011223344556677",
            "no PCI device shows the serial number 00-11-22-33-44-55-66-77",
        ),
        ("@nic", "there is no alias nic"),
    ] {
        let error = machine.error(text);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
        assert_eq!(error.to_string(), message);
        assert!(error.hint().is_some(), "{text}");
    }
}

#[test]
fn a_serial_number_is_read_from_configuration_space() {
    let machine = desktop();
    let nic = "sys/devices/pci0000:00/0000:00:1c.4/0000:03:00.0";
    // As lspci -xxxx shows 00-1b-21-ff-ff-3a-5c-9e: the lower half first, little-endian.
    machine.extended(
        nic,
        &[(0x03, &[0x9e, 0x5c, 0x3a, 0xff, 0xff, 0x21, 0x1b, 0x00])],
    );
    assert_eq!(
        machine.one("serial:00-1b-21-ff-ff-3a-5c-9e"),
        "0000:03:00.0"
    );
    // An ordinary user sees 64 bytes, and must not be told that there is none.
    machine.file(&format!("{nic}/config"), [0; 64]);
    let error = machine.error("serial:00-1b-21-ff-ff-3a-5c-9e");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn the_device_of_an_interface_is_found_through_virtio() {
    let machine = Machine::new();
    let nic = machine.function("pci0000:00/0000:00:03.0", "1af4:1000", 0x02_0000);
    machine.interface("ens3", Some(&format!("{nic}/virtio0")));
    assert_eq!(machine.one("net:ens3"), "0000:00:03.0");
}

#[test]
fn what_is_made_of_others_names_them() {
    let machine = desktop();
    machine.interface("bond0", None);
    machine.stack("bond0", "eth0", true);
    machine.stack("bond0", "eth1", true);
    let error = machine.error("net:bond0");
    assert_eq!(error.hint(), Some("it is made of net:eth0, net:eth1"));
    machine.block("sys/devices/virtual/block/dm-0", "254:0");
    machine.hold("dm-0", "nvme0n1p1");
    let error = machine.error("block:dm-0");
    assert_eq!(error.hint(), Some("it is made of block:nvme0n1p1"));
}

#[test]
fn a_drive_with_two_paths_is_that_of_two_controllers() {
    let machine = Machine::new();
    let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
    machine.block(&format!("{subsystem}/nvme0n1"), "259:0");
    for (place, name) in [("0000:00:06.0", "nvme0"), ("0000:00:07.0", "nvme1")] {
        let dir = machine.function(&format!("pci0000:00/{place}"), "144d:a80c", 0x01_0802);
        machine.folder(&format!("{dir}/nvme/{name}"));
        machine.link(
            &format!("{subsystem}/{name}"),
            &format!("{dir}/nvme/{name}"),
        );
    }
    let error = machine.error("block:nvme0n1");
    assert_eq!(error.to_string(), "nvme0n1 is reached by 2 devices");
}

#[test]
fn an_alias_is_what_the_configuration_says() {
    let machine = desktop();
    let file = "etc/outboard/config.toml";
    machine.file(
        file,
        "[alias]\nnic = \"path:0000:00:1c.4/00.0\"\ntwins = \"8086:125c\"\nloop = \"@nic\"\nodd = 7\n",
    );
    assert_eq!(machine.one("@nic"), "0000:03:00.0");
    assert_eq!(machine.all("@twins").len(), 2);
    let message = machine.error("@loop").to_string();
    assert!(
        message.ends_with("config.toml is wrong: it stands for another alias"),
        "{message}"
    );
    let message = machine.error("@odd").to_string();
    assert!(message.contains("no text"), "{message}");
    machine.file(file, "[alias\n");
    let error = machine.error("@nic");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_is_malformed_is_told_what_it_was_taken_for() {
    for (text, why) in [
        ("eth1", "net:eth1"),
        ("01:00", "an address has its function"),
        ("8086:10d3:1af4", "two or four numbers"),
        ("8086:10d", "four hexadecimal digits"),
        ("usb:1-1", "one looks like"),
        ("01:00.9", "not a PCI address"),
        ("path:00:1c.4/00.0", "the address of the first bridge"),
        ("path:0000:00:1c.4/20.0", "the address of the first bridge"),
        ("serial:12-34", "eight bytes"),
        ("net:", "after net:"),
        ("net:..", "after net:"),
        ("block:a/b", "after block:"),
        ("@", "an alias is"),
        ("", "one looks like"),
        ("é:0", "one looks like"),
    ] {
        let error = wrong(text);
        assert!(
            error.starts_with(&format!("'{text}' names no device: ")),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn ids_are_a_cross_check_of_any_device() {
    let machine = desktop();
    let drive = machine.host.select(&selector("01:00.0")).unwrap();
    for (ids, right) in [
        ("144d:a80c", true),
        ("144d:a80c:144d:a801", true),
        ("144d:a80c:144d:a802", false),
        ("144d:a80d", false),
    ] {
        assert_eq!(ids.parse::<Ids>().unwrap().are_of(&drive), right, "{ids}");
    }
    assert!("144d".parse::<Ids>().is_err());
}
