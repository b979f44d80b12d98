//! The lab seen from inside: the devices that topology.rs promises, on which all other lab tests build.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// What sysfs has for the device at `address`, without the leading `0000:`.
fn device(address: &str) -> PathBuf {
    assert!(
        std::env::var_os("OUTBOARD_LAB").is_some(),
        "these tests are run by `cargo xtask test`"
    );
    Path::new("/sys/bus/pci/devices").join(format!("0000:{address}"))
}

fn read(address: &str, file: &str) -> String {
    let text = fs::read_to_string(device(address).join(file)).unwrap();
    text.trim().to_owned()
}

/// The name that the link `link` of a device points to.
fn target(address: &str, link: &str) -> Option<String> {
    let target = fs::read_link(device(address).join(link)).ok()?;
    Some(target.file_name().unwrap().to_str().unwrap().to_owned())
}

#[test]
#[ignore = "needs the lab"]
fn each_device_of_the_table_is_at_its_address() {
    let source = include_str!("../src/topology.rs").lines();
    let rows: Vec<&str> = source
        .filter_map(|line| line.strip_prefix("//! | `0000:"))
        .collect();
    assert_eq!(rows.len(), 16);
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let address = cells[0].trim_matches('`');
        let (vendor, device) = cells[2].split_once(':').unwrap();
        assert_eq!(read(address, "vendor"), format!("0x{vendor}"), "{address}");
        assert_eq!(read(address, "device"), format!("0x{device}"), "{address}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn what_is_behind_the_bridge_shares_a_group_and_what_is_behind_a_root_port_does_not() {
    let group = |address| target(address, "iommu_group").unwrap();
    for address in ["05:01.0", "05:02.0", "05:03.0"] {
        assert_eq!(group(address), group("00:08.0"), "{address}");
    }
    for address in [
        "00:03.0", "01:00.0", "03:00.0", "04:00.0", "00:10.0", "00:11.0",
    ] {
        let devices = fs::read_dir(device(address).join("iommu_group/devices")).unwrap();
        assert_eq!(devices.count(), 1, "{address}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn devices_have_their_kernel_drivers_and_vfio_pci_is_ready() {
    let driver = |address| target(address, "driver");
    assert_eq!(driver("03:00.0").as_deref(), Some("e1000e"));
    assert_eq!(driver("04:00.0").as_deref(), Some("nvme"));
    assert_eq!(driver("05:03.0").as_deref(), Some("virtio-pci"));
    assert_eq!(driver("00:03.0"), None);
    for name in ["vfio-pci", "uio_pci_generic"] {
        assert!(
            Path::new("/sys/bus/pci/drivers").join(name).is_dir(),
            "{name}"
        );
    }
    assert!(Path::new("/dev/vfio/vfio").exists());
}
