//! Commands that look at devices, and what names these.

use super::{EDU, NIC, fails, json, ok, run};
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

#[test]
#[ignore = "needs the lab"]
fn show_says_what_lspci_and_sysfs_say() {
    let said = ok(&["show", NIC]);
    // As lspci -vv shows QEMU's e1000e: MSI-X of 5 vectors in BAR 3, PCI Express endpoint.
    for words in [
        "0000:03:00.0 8086:10d3",
        "path:0000:00:06.0/00.0",
        "MSI-X: 5 vectors; table in BAR 3 at 0x0",
        "Advanced Error Reporting",
        "128K of 32-bit memory at 0x",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let json = json(&["show", NIC]);
    assert_eq!(json["schema"], "outboard.show/1");
    assert_eq!(json["data"]["capabilities_complete"], true);
    assert_eq!(json["data"]["driver"], "e1000e");
}

#[test]
#[ignore = "needs the lab"]
fn the_group_behind_the_pci_bridge_names_the_bridge_and_who_blocks_it() {
    let json = json(&["groups", "05:01.0"]);
    let group = &json["data"][0];
    let members: Vec<_> = group["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["address"])
        .collect();
    assert_eq!(
        members,
        [
            "0000:00:08.0",
            "0000:05:01.0",
            "0000:05:02.0",
            "0000:05:03.0"
        ]
    );
    assert_eq!(group["viable"], false);
    let said = ok(&["groups", "05:01.0"]);
    assert!(
        said.contains("not viable now: 0000:05:03.0 is bound to virtio-pci"),
        "{said}"
    );
    assert!(
        said.contains("because 0000:00:08.0 leads to conventional PCI"),
        "{said}"
    );
}

/// The checks of `doctor` that do not pass, as `fail about`.
fn missing(args: &[&str]) -> (Option<i32>, Vec<String>) {
    let output = run(&[&["doctor", "--json"], args].concat());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = json
        .pointer("/data/checks")
        .unwrap()
        .as_array()
        .unwrap()
        .iter();
    let text = |check: &serde_json::Value, name: &str| {
        let text = check.get(name).unwrap().as_str().unwrap();
        text.to_owned()
    };
    let checks = checks.map(|check| format!("{} {}", text(check, "outcome"), text(check, "about")));
    let missing = checks.filter(|check| !check.starts_with("pass")).collect();
    (output.status.code(), missing)
}

#[test]
#[ignore = "needs the lab"]
fn doctor_finds_nothing_missing_but_the_driver_of_the_nic() {
    assert_eq!(missing(&[NIC]), (Some(0), vec!["warn driver".to_owned()]));
    // edu at the root has no reset, and the one behind the bridge shares its group with a NIC.
    let (status, missing) = missing(&["05:01.0"]);
    assert_eq!(status, Some(9));
    assert!(missing.contains(&"fail group".to_owned()), "{missing:?}");
}

/// Without an IOMMU.
mod noiommu {
    use super::{NIC, missing};

    #[test]
    #[ignore = "needs the lab"]
    fn doctor_misses_the_iommu() {
        let (status, missing) = missing(&[NIC]);
        // Another test may have told VFIO to go without.
        let told = missing.contains(&"warn iommu".to_owned());
        assert!(
            told || missing.contains(&"fail iommu".to_owned()),
            "{missing:?}"
        );
        assert!(told || status == Some(9));
    }
}

/// With the kernel locked down, by the first test that runs.
mod lockdown {
    use super::missing;
    use std::{fs, process::Command};

    #[test]
    #[ignore = "needs the lab"]
    fn doctor_says_that_the_kernel_is_locked_down() {
        let folder = "/sys/kernel/security";
        let file = "/sys/kernel/security/lockdown";
        if !fs::exists(file).unwrap() {
            let mut mount = Command::new("mount");
            mount.args(["-t", "securityfs", "securityfs", folder]);
            assert!(mount.status().unwrap().success());
        }
        if fs::read_to_string(file).unwrap().contains("[none]") {
            fs::write(file, "integrity").unwrap();
        }
        let (status, missing) = missing(&[]);
        assert_eq!(status, Some(0), "VFIO works");
        assert!(missing.contains(&"warn lockdown".to_owned()), "{missing:?}");
    }
}
