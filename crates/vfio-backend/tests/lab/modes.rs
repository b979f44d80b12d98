//! The kernel's interfaces to the IOMMU, and what keeps a device from being opened.

use crate::places::{EDU, EDU_BEHIND_BRIDGE};
use io_core::{ErrorKind, Io};
use lab_guest::{Bound, modes};
use std::fs;
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

#[test]
#[ignore = "needs the lab"]
fn every_mode_opens_the_same_device() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        assert_eq!(device.context().mode(), mode);
        assert_eq!(device.config().try_read32(0), Ok(0x11e8_1234), "{mode}");
        let bar = device.bar(0).unwrap();
        assert_eq!(bar.mmio::<4>().unwrap().read32::<0>(), 0x0100_00ed);
    }
}

#[test]
#[ignore = "needs the lab"]
fn the_best_mode_is_chosen() {
    let bound = Bound::new(EDU);
    let device = bound.open().unwrap();
    assert_eq!(device.context().mode(), *modes().last().unwrap());
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_open_in_any_mode_is_busy_in_every_other() {
    for first in modes() {
        let bound = Bound::new(EDU);
        let _device = bound.open_in(first);
        for second in modes() {
            let context = VfioContext::new(&bound.host, second).unwrap();
            let error = context.open(bound.address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy, "{first}, {second}: {error}");
            assert!(error.hint().unwrap().contains("fuser"), "{error}");
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_group_with_members_of_other_drivers_is_refused_by_their_names() {
    let bound = Bound::new(EDU_BEHIND_BRIDGE);
    for mode in modes() {
        let context = VfioContext::new(&bound.host, mode).unwrap();
        let error = context.open(bound.address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(
            error.to_string(),
            "0000:05:01.0 shares IOMMU group 6 with devices that other drivers have: 0000:05:03.0 (virtio-pci)",
            "{mode}"
        );
    }
}

/// The descriptors and mappings of this process, and the memory that it has pinned.
fn held() -> (usize, usize, String) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let pinned = status
        .lines()
        .filter(|line| line.starts_with("VmLck") || line.starts_with("VmPin"));
    (
        fs::read_dir("/proc/self/fd").unwrap().count(),
        fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .filter(|l| l.contains("vfio"))
            .count(),
        pinned.collect(),
    )
}

#[test]
#[ignore = "needs the lab"]
fn a_thousand_times_open_and_closed_nothing_is_left() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let before = held();
        for _ in 0..1000 {
            let device = bound.open_in(mode);
            let _bar = device.bar(0).unwrap();
            let memory = device
                .dma()
                .unwrap()
                .allocate(4096, Default::default())
                .unwrap();
            let _buffer = memory.share().unwrap();
        }
        assert_eq!(held(), before, "{mode}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_kernel_without_an_interface_says_so() {
    let bound = Bound::new(EDU);
    let error = |mode| VfioContext::new(&bound.host, mode).unwrap_err();
    #[expect(unsafe_code, reason = "it is refused")]
    // SAFETY: no device is opened.
    let without = error(IommuMode::NoIommu(unsafe {
        vfio_backend::UnsafeNoIommu::new()
    }));
    assert_eq!(without.kind(), ErrorKind::Unsupported);
    assert!(
        without
            .hint()
            .unwrap()
            .contains("enable_unsafe_noiommu_mode")
    );
    if !modes().contains(&IommuMode::Iommufd) {
        let iommufd = error(IommuMode::Iommufd);
        assert_eq!(iommufd.kind(), ErrorKind::NotFound);
        assert!(iommufd.hint().unwrap().contains("CONFIG_IOMMUFD"));
    }
}

mod noiommu {
    use super::*;
    use crate::nobody;
    use io_core::PciDevice;
    use io_core::irq::InterruptKind::Msi;
    use pci_host::Host;
    use std::os::unix::fs::chown;

    #[test]
    #[ignore = "needs the lab"]
    fn a_device_without_an_iommu_has_registers_and_interrupts_and_no_dma() {
        fs::write(
            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
            "1",
        )
        .unwrap();
        let bound = Bound::new(EDU);
        let error = VfioDevice::open(&bound.host, bound.address).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Unsupported,
            "never by itself: {error}"
        );
        assert!(error.hint().unwrap().contains("IommuMode::NoIommu"));
        #[expect(unsafe_code, reason = "opens a device without an IOMMU")]
        // SAFETY: the device is told no addresses.
        let device = bound.open_in(IommuMode::NoIommu(unsafe {
            vfio_backend::UnsafeNoIommu::new()
        }));
        assert!(device.dma().is_none());
        let bar = device.bar(0).unwrap();
        assert_eq!(bar.mmio::<4>().unwrap().read32::<0>(), 0x0100_00ed);
        let irq = device
            .interrupts()
            .unwrap()
            .enable(Msi, 0..1)
            .unwrap()
            .pop()
            .unwrap();
        device.set_bus_master(true).unwrap();
        crate::edu::Edu(&bar).raise(1);
        let soon = std::time::Duration::from_secs(5);
        assert_eq!(irq.wait(soon).unwrap(), Some(1));
        crate::edu::Edu(&bar).acknowledge();
    }
    #[test]
    #[ignore = "needs the lab"]
    fn who_owns_the_node_but_lacks_the_capability_is_told_which() {
        #[expect(unsafe_code, reason = "opens a device without an IOMMU")]
        // SAFETY: no device is opened.
        let mode = IommuMode::NoIommu(unsafe { vfio_backend::UnsafeNoIommu::new() });
        if nobody::told().is_some() {
            let context = VfioContext::new(&Host::system(), mode).unwrap();
            let error = context.open(EDU.parse().unwrap()).unwrap_err();
            assert_eq!(error.errno(), Some(1), "EPERM: {error}");
            assert!(error.hint().unwrap().contains("CAP_SYS_RAWIO"));
            return;
        }
        let switch = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
        fs::write(switch, "1").unwrap();
        let bound = Bound::new(EDU);
        let function = bound.host.function(bound.address).unwrap();
        let node = bound.host.vfio_group(function.iommu_group.unwrap());
        chown(&node, Some(nobody::NOBODY), None).unwrap();
        let name = "modes::noiommu::who_owns_the_node_but_lacks_the_capability_is_told_which";
        nobody::run(name, 64, "");
        chown(&node, Some(0), None).unwrap();
    }
}
