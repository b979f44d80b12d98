//! The lab seen from inside: the devices that topology.rs promises, on which all other lab tests build.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// What sysfs has for the device at `address`, without the leading `0000:`.
fn device(address: &str) -> PathBuf {
    // This is the lab, or a panic.
    lab_guest::fact("kernel");
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
    assert_eq!(rows.len(), 17);
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

/// The IOMMUs that the kernel uses, without their numbers.
fn iommus() -> Vec<String> {
    let iommus = fs::read_dir("/sys/class/iommu").unwrap().flatten();
    let names = iommus.map(|iommu| iommu.file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .map(|name| {
            name.trim_end_matches(|c: char| c.is_ascii_digit())
                .to_owned()
        })
        .collect();
    names.dedup();
    names
}

/// A device that vfio-pci has while this lives.
struct Bound(&'static str);

impl Bound {
    fn new(address: &'static str) -> Self {
        fs::write(device(address).join("driver_override"), "vfio-pci").unwrap();
        fs::write("/sys/bus/pci/drivers_probe", format!("0000:{address}")).unwrap();
        assert_eq!(target(address, "driver").as_deref(), Some("vfio-pci"));
        Self(address)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let folder = device(self.0);
        fs::write(folder.join("driver/unbind"), format!("0000:{}", self.0)).unwrap();
        fs::write(folder.join("driver_override"), "\n").unwrap();
    }
}

mod full {
    use super::{Bound, Path, fs, iommus};

    #[test]
    #[ignore = "needs the lab"]
    fn the_kernel_is_the_lab_s_own_with_iommufd_and_aer_injection() {
        assert_eq!(lab_guest::fact("kernel"), "full");
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert!(release.starts_with("6.12."), "{release}");
        assert_eq!(iommus(), ["dmar"]);
        let _bound = Bound::new("00:10.0");
        for path in ["/dev/iommu", "/dev/aer_inject", "/dev/vfio/devices/vfio0"] {
            assert!(Path::new(path).exists(), "{path}");
        }
    }
}

mod noiommu {
    use super::{Bound, Path, fs, iommus};

    #[test]
    #[ignore = "needs the lab"]
    fn vfio_takes_a_device_when_it_is_told_to_do_without_an_iommu() {
        assert_eq!(lab_guest::fact("iommu"), "none");
        assert!(iommus().is_empty());
        let mode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
        fs::write(mode, "Y").unwrap();
        let _bound = Bound::new("00:10.0");
        assert!(Path::new("/dev/vfio/noiommu-0").exists());
    }
}

mod amd {
    use super::{iommus, target};

    #[test]
    #[ignore = "needs the lab"]
    fn the_iommu_is_amd_s_and_the_drivers_of_the_kernel_work_behind_it() {
        assert_eq!(iommus(), ["ivhd"]);
        assert!(target("00:10.0", "iommu_group").is_some());
        assert_eq!(target("04:00.0", "driver").as_deref(), Some("nvme"));
    }
}

mod virtio {
    use super::{Bound, iommus, target};

    #[test]
    #[ignore = "needs the lab"]
    fn the_iommu_is_virtio_s_and_a_device_has_a_group_as_soon_as_it_has_a_driver() {
        assert_eq!(iommus(), ["0000:00:01."]);
        assert_eq!(target("00:13.0", "iommu_group"), None);
        let _bound = Bound::new("00:13.0");
        assert!(target("00:13.0", "iommu_group").is_some());
    }
}

mod qemu10 {
    use super::{device, fs, read};

    #[test]
    #[ignore = "needs the lab"]
    fn igb_makes_virtual_functions() {
        assert_eq!(read("06:00.0", "device"), "0x10c9");
        fs::write(device("06:00.0").join("sriov_numvfs"), "2").unwrap();
        for address in ["06:10.0", "06:10.2"] {
            assert_eq!(read(address, "device"), "0x10ca", "{address}");
        }
        fs::write(device("06:00.0").join("sriov_numvfs"), "0").unwrap();
    }
}
