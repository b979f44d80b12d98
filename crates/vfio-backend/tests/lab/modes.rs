//! The kernel's interfaces to the IOMMU, and what keeps a device from being opened.

use crate::{
    held::Held,
    nobody,
    places::{EDU, EDU_BEHIND_BRIDGE, NIC},
};
use io_core::{ErrorKind, Io, PciDevice, irq::InterruptKind::Msi};
use lab_guest::{Bound, modes};
use pci_host::Host;
use std::{fs, os::unix::fs::chown};
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
            let hint = error.hint().unwrap();
            let node = match first {
                IommuMode::Iommufd => bound.host.vfio_cdev(bound.address).unwrap(),
                _ => nobody::group(&bound),
            };
            let this = format!("this program has {} open", node.display());
            assert!(hint.contains(&this), "{first}, {second}: {hint}");
        }
    }
}

/// Opens the device twice in `context`, and looks whether the first handle keeps its interrupts.
fn opened_twice(bound: &Bound, context: &VfioContext) {
    let mode = context.mode();
    let device = context.open(bound.address).unwrap();
    let bar = device.bar(0).unwrap();
    let mut irqs = device.interrupts().unwrap().enable(Msi, 0..1).unwrap();
    let irq = irqs.pop().unwrap();
    let error = context.open(bound.address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{mode}: {error}");
    assert_eq!(
        error.to_string(),
        "0000:00:03.0 is open already, in this program"
    );
    device.set_bus_master(true).unwrap();
    crate::edu::Edu(&bar).raise(1);
    let soon = std::time::Duration::from_secs(5);
    assert_eq!(irq.wait(soon).unwrap(), Some(1), "{mode}");
    crate::edu::Edu(&bar).acknowledge();
    drop((device, irq));
    assert!(
        context.open(bound.address).is_err(),
        "{mode}: the BAR holds it"
    );
    drop(bar);
    // Closed, it can be opened again; and what cannot be opened is not taken for open.
    context.open(bound.address).unwrap();
    let elsewhere = context.open(NIC.parse().unwrap()).unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::NotBound);
}

#[test]
#[ignore = "needs the lab"]
fn a_device_is_open_once_in_a_context() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        opened_twice(&bound, &VfioContext::new(&bound.host, mode).unwrap());
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

#[test]
#[ignore = "needs the lab"]
fn a_thousand_times_open_and_closed_nothing_is_left() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let open = || {
            let device = bound.open_in(mode);
            let _bar = device.bar(0).unwrap();
            let memory = device
                .dma()
                .unwrap()
                .allocate(4096, Default::default())
                .unwrap();
            let _buffer = memory.share().unwrap();
        };
        // The first mapping of all makes what stays: the page of ones.
        open();
        let before = Held::now();
        for _ in 0..1000 {
            open();
        }
        assert_eq!(Held::now(), before, "{mode}");
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

mod stock {
    use super::*;
    use std::{path::Path, process::Command};

    fn run(program: &str, argument: &Path) {
        let status = Command::new(program).arg(argument).status().unwrap();
        assert!(status.success(), "{program} {}", argument.display());
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_kernel_whose_module_of_iommus_is_not_loaded_is_told_which() {
        let bound = Bound::new(EDU);
        let name = "vfio_iommu_type1.ko";
        let modules = fs::read_dir("/lab/modules").unwrap();
        let mut files = modules.map(|file| file.unwrap().path());
        let module = files
            .find(|file| file.to_string_lossy().ends_with(name))
            .unwrap();
        run("rmmod", Path::new("vfio_iommu_type1"));
        let error = VfioContext::new(&bound.host, IommuMode::Type1).unwrap_err();
        run("insmod", &module);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let hint = "load the module: sudo modprobe vfio_iommu_type1";
        assert_eq!(error.hint(), Some(hint));
        drop(bound.open_in(IommuMode::Type1));
    }
}

mod noiommu {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn a_thousand_times_open_and_closed_without_an_iommu_nothing_is_left() {
        fs::write(
            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
            "1",
        )
        .unwrap();
        let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
        fs::write(pool, "1").unwrap();
        let bound = Bound::new(EDU);
        #[expect(unsafe_code, reason = "opens a device without an IOMMU")]
        let open = || {
            // SAFETY: the device is told no addresses.
            let mode = IommuMode::NoIommu(unsafe { vfio_backend::UnsafeNoIommu::new() });
            let device = bound.open_in(mode);
            // SAFETY: as above.
            let space = unsafe { device.context().use_physical_memory() }.unwrap();
            let memory = space.allocate(4096, Default::default()).unwrap();
            let _buffer = memory.share().unwrap();
            let _bar = device.bar(0).unwrap();
        };
        open();
        let before = Held::now();
        for _ in 0..1000 {
            open();
        }
        assert_eq!(Held::now(), before);
        fs::write(pool, "0").unwrap();
    }

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
        let context = device.context().clone();
        drop((device, bar, irq));
        opened_twice(&bound, &context);
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
