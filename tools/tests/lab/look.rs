//! Commands that look at devices, and what names these.

use super::{EDU, NIC, fails, json, ok};
use std::fs;

/// The address of the one device that is listed.
fn listed(selector: &str) -> String {
    let list = json(&["list", selector]);
    assert!(list.pointer("/data/1").is_none(), "{selector}: {list}");
    let address = list.pointer("/data/0/address").unwrap();
    address.as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs the lab"]
fn every_kind_of_selector_names_the_nic() {
    // What the kernel calls it is what its driver has registered.
    let interface = fs::read_dir(format!("/sys/bus/pci/devices/{NIC}/net")).unwrap();
    let interface = interface.last().unwrap().unwrap().file_name();
    let interface = format!("net:{}", interface.to_str().unwrap());
    // The serial number is that of QEMU's e1000e: its MAC address, with ff-ff in the middle.
    let mac = fs::read_to_string(format!("/sys/class/net/{}/address", &interface[4..])).unwrap();
    let mac: Vec<&str> = mac.trim().split(':').collect();
    let serial = format!("serial:{}-ff-ff-{}", mac[..3].join("-"), mac[3..].join("-"));
    for selector in [
        NIC,
        "03:00.0",
        "8086:10d3",
        "path:0000:00:06.0/00.0",
        &interface,
        &serial,
    ] {
        assert_eq!(listed(selector), NIC, "{selector}");
    }
    assert_eq!(listed("block:nvme0n1"), "0000:04:00.0");
    fs::create_dir_all("/etc/outboard").unwrap();
    fs::write(
        "/etc/outboard/config.toml",
        "[alias]\nnic = \"8086:10d3\"\n",
    )
    .unwrap();
    assert_eq!(listed("@nic"), NIC);
    fs::remove_file("/etc/outboard/config.toml").unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn a_selector_that_names_several_or_none_or_another_than_expected_is_refused() {
    let said = fails(5, &["bind", "1234:11e8", "--dry-run"]);
    assert!(
        said.contains("1234:11e8 is 4 devices\n hint: name one of them: 0000:00:03.0, "),
        "{said}"
    );
    assert_eq!(ok(&["list", "1234:11e8"]).lines().count(), 1 + 4);
    let said = fails(3, &["bind", "net:nonesuch", "--dry-run"]);
    assert!(
        said.contains("there is no network interface nonesuch"),
        "{said}"
    );
    let said = fails(2, &["bind", "eth1"]);
    assert!(said.contains("net:eth1"), "{said}");
    let said = fails(5, &["bind", EDU, "--expect", "8086:10d3", "--dry-run"]);
    assert!(
        said.contains("0000:00:03.0 is 1234:11e8, and 8086:10d3 was expected"),
        "{said}"
    );
    ok(&["bind", EDU, "--expect", "1234:11e8", "--dry-run"]);
}
