//! Resets, and what they leave as it was.
#![expect(clippy::print_stdout, reason = "says which ways there are")]

use crate::{
    edu::Edu,
    places::{EDU, EDU_BEHIND_PORT, NIC, NVME},
};
use io_core::{
    ErrorKind, Io,
    irq::{
        InterruptKind::{Intx, Msi, MsiX},
        Interrupts,
    },
};
use lab_guest::{Bound, modes};
use std::{fs, time::Duration};
use vfio_backend::{VfioContext, VfioDevice};

const SOON: Duration = Duration::from_secs(5);

/// The functions behind the lab's bridge: one IOMMU group, and one bus to reset.
const BEHIND_BRIDGE: [&str; 3] = ["05:01.0", "05:02.0", "05:03.0"];

/// Cache Line Size, a register that nothing depends on (PCI Local Bus 3.0 section 6.2.4).
const CACHE_LINE_SIZE: usize = 0x0c;

/// VET of an 82574, the type of VLAN frames: 8100h after a reset (its datasheet, 10.2.2.9).
const VET: usize = 0x38;

/// Resets the NIC, and asserts what is lost and what is not.
fn assert_restored(device: &VfioDevice, what: &str, reset: impl Fn() -> io_core::Result<()>) {
    let bar = device.bar(0).unwrap();
    let (io, config) = (bar.io::<0x100>().unwrap(), device.config());
    let irqs = device.enable(MsiX, 0..3).unwrap();
    device.set_bus_master(true).unwrap();
    config.try_write8(CACHE_LINE_SIZE, 0x10).unwrap();
    io.try_write32(VET, 0x88a8).unwrap();
    let header = |from| {
        (from..0x40)
            .step_by(4)
            .map(|at| config.try_read32(at).unwrap())
    };
    let before: Vec<_> = header(8).collect();
    reset().unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(header(8).collect::<Vec<_>>(), before, "{what}");
    let command = config.try_read16(4).unwrap();
    assert_eq!(command & 6, 2, "{what}: memory is on, bus mastering off");
    // QEMU's goes through D3hot and back without a reset, although it says otherwise (No_Soft_Reset is 0).
    let vet = if what == "pm" { 0x88a8 } else { 0x8100 };
    assert_eq!(io.try_read32(VET), Ok(vet), "{what}");
    for irq in &irqs {
        irq.trigger().unwrap();
        assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{what}");
    }
}

/// Resets the function in each of the ways that the kernel knows, but for the bus if `but_bus`.
fn each_way(address: &str, but_bus: bool) {
    let bound = Bound::new(address);
    let file = format!("/sys/bus/pci/devices/{}/reset_method", bound.address);
    let ways = fs::read_to_string(&file).unwrap();
    println!("{}: {}", bound.address, ways.trim());
    for way in ways
        .split_whitespace()
        .filter(|way| !but_bus || *way != "bus")
    {
        fs::write(&file, way).unwrap();
        for mode in modes() {
            let device = bound.open_in(mode);
            if address == NIC {
                assert_restored(&device, way, || device.reset());
                continue;
            }
            let kind = if address == NVME { MsiX } else { Msi };
            let irq = device.enable(kind, 0..1).unwrap().pop().unwrap();
            device.reset().unwrap();
            irq.trigger().unwrap();
            assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{way}");
        }
    }
    fs::write(&file, ways).unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn each_way_to_reset_a_function_leaves_its_configuration_and_interrupts() {
    // QEMU's ports lose the link of a PCI Express device in a reset of the bus, unless the kernel drives them natively.
    each_way(NIC, true);
    each_way(NVME, true);
    each_way(EDU_BEHIND_PORT, false);
}

mod pciehp {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn each_way_to_reset_a_function_leaves_its_configuration_and_interrupts() {
        each_way(NIC, false);
        each_way(NVME, false);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_hot_reset_leaves_configuration_and_interrupts() {
        for mode in modes() {
            let bound = Bound::new(NIC);
            let device = bound.open_in(mode);
            assert_eq!(device.hot_reset_functions().unwrap(), [bound.address]);
            assert_restored(&device, "hot reset", || device.hot_reset());
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn interrupts_of_a_device_come_after_a_hot_reset() {
    for mode in modes() {
        let bound = Bound::new(EDU_BEHIND_PORT);
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        let edu = Edu(&bar);
        edu.acknowledge();
        assert_eq!(device.hot_reset_functions().unwrap(), [bound.address]);
        for kind in [Intx, Msi] {
            let irq = device.enable(kind, 0..1).unwrap().pop().unwrap();
            for _ in 0..3 {
                device.hot_reset().unwrap();
                device.set_bus_master(true).unwrap();
                edu.raise(1);
                assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{kind}, {mode}");
                assert_eq!(edu.acknowledge(), 1);
                if kind == Intx {
                    irq.unmask().unwrap();
                }
            }
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_behind_nothing_has_no_hot_reset() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let errors = [
            device.hot_reset().unwrap_err(),
            device.hot_reset_functions().unwrap_err(),
            device.reset().unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("0000:00:03.0"), "{error}");
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_hot_reset_takes_all_behind_a_bridge_and_those_that_are_open_go_on() {
    for mode in modes() {
        let bound = BEHIND_BRIDGE.map(Bound::new);
        let context = VfioContext::new(&bound[0].host, mode).unwrap();
        let [first, second] = [0, 1].map(|index| context.open(bound[index].address).unwrap());
        let taken = first.hot_reset_functions().unwrap();
        for bound in &bound {
            assert!(taken.contains(&bound.address), "{mode}: {taken:?}");
        }
        let bar = second.bar(0).unwrap();
        let edu = Edu(&bar);
        edu.acknowledge();
        let irq = second.enable(Msi, 0..1).unwrap().pop().unwrap();
        second.set_bus_master(true).unwrap();
        first.hot_reset().unwrap();
        let command = second.config().try_read16(4).unwrap();
        assert_eq!(
            command & 6,
            2,
            "{mode}: the other one's bus mastering is off"
        );
        second.set_bus_master(true).unwrap();
        edu.raise(1);
        assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{mode}");
        edu.acknowledge();
    }
}

mod noiommu {
    use super::*;
    use vfio_backend::{IommuMode, UnsafeNoIommu};

    #[test]
    #[ignore = "needs the lab"]
    fn a_hot_reset_without_an_iommu_leaves_configuration_and_interrupts() {
        let switch = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
        fs::write(switch, "1").unwrap();
        let bound = Bound::new(EDU_BEHIND_PORT);
        #[expect(unsafe_code, reason = "opens a device without an IOMMU")]
        // SAFETY: the device is told no addresses.
        let mode = IommuMode::NoIommu(unsafe { UnsafeNoIommu::new() });
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        let edu = Edu(&bar);
        edu.acknowledge();
        assert_eq!(device.hot_reset_functions().unwrap(), [bound.address]);
        let irq = device.enable(Msi, 0..1).unwrap().pop().unwrap();
        let header = || {
            let config = device.config();
            let dwords = (8..0x40).step_by(4);
            dwords
                .map(|at| config.try_read32(at).unwrap())
                .collect::<Vec<_>>()
        };
        device.set_bus_master(true).unwrap();
        let before = header();
        device.hot_reset().unwrap();
        assert_eq!(header(), before);
        let command = device.config().try_read16(4).unwrap();
        assert_eq!(command & 6, 2, "memory is on, bus mastering off");
        device.set_bus_master(true).unwrap();
        edu.raise(1);
        assert_eq!(irq.wait(SOON).unwrap(), Some(1));
        edu.acknowledge();
    }
}
