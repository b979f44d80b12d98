//! Real devices through the kernel's uio_pci_generic, and through /sys alone, in the lab: see docs/lab.md.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod full;
mod lockdown;
mod physical;
mod taken;

use io_core::{Bar, ErrorKind, Io, PciDevice, irq::InterruptKind};
use lab_guest::Bound;
use pci_host::Host;
use std::{fs, time::Duration};
use uio_backend::{UioDevice, UioNode};

const EDU: &str = "00:03.0";
const IVSHMEM: &str = "00:10.0";
const TESTDEV: &str = "00:13.0";
const NIC: &str = "03:00.0";

const SOON: Duration = Duration::from_secs(5);
const NOW: Duration = Duration::ZERO;

const UIO: &str = "uio_pci_generic";

/// The function, which has no driver, opened by `/sys` alone.
fn by_sysfs(address: &str) -> UioDevice {
    lab_guest::fact("kernel");
    let device = UioDevice::open(&Host::system(), address.parse().unwrap()).unwrap();
    assert!(device.node().is_none());
    device
}

/// The same by uio_pci_generic, until the first of the two is dropped.
fn by_uio(address: &str) -> (UioDevice, Bound) {
    let bound = Bound::to(address, UIO);
    let device = UioDevice::open(&bound.host, bound.address).unwrap();
    assert_eq!(device.node().unwrap().info().title, UIO);
    (device, bound)
}

/// Command, by the kernel's own view of configuration space.
fn command(address: &str) -> u16 {
    let config = fs::read(format!("/sys/bus/pci/devices/0000:{address}/config")).unwrap();
    u16::from_le_bytes(*config[4..].first_chunk().unwrap())
}

/// Lets an edu compute 7! (docs/specs/edu.rst of QEMU).
fn assert_computes(bar: &Bar) {
    let io = bar.io::<0x100>().unwrap();
    assert_eq!(io.try_read32(0), Ok(0x0100_00ed), "identification");
    io.try_write32(4, 0x1234_5678).unwrap();
    assert_eq!(io.try_read32(4), Ok(!0x1234_5678), "liveness check");
    io.try_write32(8, 7).unwrap();
    while io.try_read32(0x20).unwrap() & 1 != 0 {}
    assert_eq!(io.try_read32(8), Ok(5040));
}

#[test]
#[ignore = "needs the lab"]
fn registers_are_reached_with_and_without_a_driver() {
    let (device, _bound) = by_uio(EDU);
    assert_computes(&device.bar(0).unwrap());
    // The same BAR as the map of the UIO device.
    let info = device.node().unwrap().info();
    let node = UioNode::open(&Host::system(), &info.name).unwrap();
    let map = node.map(&info.maps[0].index.to_string()).unwrap();
    assert_eq!(map.size(), 1 << 20);
    assert_computes(&map);
    let error = node.map("registers").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().starts_with("its maps: "), "{error:?}");
    drop((map, node, device, _bound));

    let device = by_sysfs(EDU);
    let bar = device.bar(0).unwrap();
    assert_eq!(bar.size(), 1 << 20, "as lspci says");
    assert_computes(&bar);
    assert_eq!(device.config().try_read32(0), Ok(0x11e8_1234));
    let error = device.bar(1).unwrap_err();
    assert_eq!(error.hint(), Some("its BARs: 0"), "{error}");
}

#[test]
#[ignore = "needs the lab"]
fn intx_comes_as_often_as_the_device_asserts_it() {
    let (device, _bound) = by_uio(EDU);
    let bar = device.bar(0).unwrap();
    let io = bar.io::<0x100>().unwrap();
    let acknowledge = || {
        let causes = io.try_read32(0x24).unwrap();
        io.try_write32(0x64, u32::MAX).unwrap();
        causes
    };
    acknowledge();
    let irqs = PciDevice::interrupts(&device).unwrap();
    let info = irqs.info(InterruptKind::Intx).unwrap();
    assert!(info.count == 1 && info.maskable, "{info:?}");
    for _ in 0..3 {
        let irq = irqs
            .enable(InterruptKind::Intx, 0..1)
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(irq.wait(NOW).unwrap(), None, "none of before");
        for cause in 1..=3 {
            io.try_write32(0x60, cause).unwrap();
            assert_eq!(irq.wait(SOON).unwrap(), Some(1));
            assert_eq!(irq.wait(NOW).unwrap(), None, "once");
            assert_eq!(acknowledge(), cause);
            irq.unmask().unwrap();
        }
        irq.mask().unwrap();
        io.try_write32(0x60, 1).unwrap();
        assert_eq!(irq.wait(Duration::from_millis(50)).unwrap(), None, "masked");
        irq.unmask().unwrap();
        assert_eq!(irq.wait(SOON).unwrap(), Some(1), "it is asserted still");
        acknowledge();
        let twice = irqs.enable(InterruptKind::Intx, 0..1).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Busy);
        assert_eq!(irq.trigger().unwrap_err().kind(), ErrorKind::Unsupported);
    }
    let msi = irqs.enable(InterruptKind::Msi, 0..1).unwrap_err();
    assert_eq!(msi.hint(), Some("UIO has INTx only; VFIO has the others"));
    drop(device);
    assert!(command(EDU) & 0x400 != 0, "it may not assert INTx any more");
}

#[test]
#[ignore = "needs the lab"]
fn a_device_without_intx_says_so() {
    let (device, _bound) = by_uio(IVSHMEM);
    let irqs = PciDevice::interrupts(&device).unwrap();
    assert_eq!(irqs.info(InterruptKind::Intx).unwrap().count, 0);
    assert!(irqs.enable(InterruptKind::Intx, 0..1).is_err());
    let error = device.node().unwrap().interrupt().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    drop((device, _bound));
    assert!(PciDevice::interrupts(&by_sysfs(IVSHMEM)).is_none());
}

#[test]
#[ignore = "needs the lab"]
fn prefetchable_and_64_bit_bars_are_mapped_whole_and_write_combined() {
    let (uio, bound) = by_uio(IVSHMEM);
    for device in [&uio, &uio.clone()] {
        let bar = device.bar(2).unwrap();
        assert_eq!(bar.size(), 64 << 20);
        let last = bar.size() - 8;
        bar.io::<0>()
            .unwrap()
            .try_write64(last, 0x0123_4567_89ab_cdef)
            .unwrap();
        let combined = device.bar_write_combined(2).unwrap();
        assert_eq!(combined.size(), bar.size());
        let read = combined.io::<0>().unwrap().try_read64(last);
        assert_eq!(read, Ok(0x0123_4567_89ab_cdef), "the same memory");
        let error = device.bar_write_combined(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    drop((uio, bound));
    let device = by_sysfs(IVSHMEM);
    let combined = device.bar_write_combined(2).unwrap();
    assert_eq!(
        combined.io::<8>().unwrap().try_read64((64 << 20) - 8),
        Ok(0x0123_4567_89ab_cdef)
    );
}

#[test]
#[ignore = "needs the lab"]
fn io_ports_are_reached_by_calls() {
    let assert_ports = |device: &UioDevice| {
        let ports = device.bar(1).unwrap();
        assert_eq!(ports.size(), 256);
        let io = ports.io::<16>().unwrap();
        // The header of QEMU's pci-testdev (docs/specs/pci-testdev.rst): the test's number, its width; at 4 the offset, at 8
        // the data to be written there, and at 12 how often that was done since the test was chosen.
        io.try_write8(0, 0).unwrap();
        assert_eq!((io.try_read8(1), io.try_read32(12)), (Ok(1), Ok(0)));
        let offset = usize::try_from(io.try_read32(4).unwrap()).unwrap();
        for count in 1..=3 {
            io.try_write8(offset, io.try_read8(8).unwrap()).unwrap();
            assert_eq!(io.try_read32(12), Ok(count));
        }
        assert!(io.try_read64(8).is_err(), "no port has 8 bytes");
    };
    assert_ports(&by_sysfs(TESTDEV));
    assert_ports(&by_uio(TESTDEV).0);
}

#[test]
#[ignore = "needs the lab"]
fn bus_mastering_is_off_at_first_and_at_last() {
    let assert_off = |device: UioDevice, address: &str| {
        assert_eq!(command(address) & 6, 2, "memory alone");
        let bar = device.bar(0).unwrap();
        device.set_bus_master(true).unwrap();
        assert_eq!(command(address) & 6, 6);
        drop(device);
        assert_eq!(command(address) & 6, 6, "a BAR is in use");
        drop(bar);
        assert_eq!(command(address) & 4, 0);
    };
    let (device, bound) = by_uio(EDU);
    assert_off(device, EDU);
    drop(bound);
    let before = enables(EDU);
    assert_off(by_sysfs(EDU), EDU);
    assert_eq!(enables(EDU), before, "enabled no more often than disabled");
}

/// How often the kernel was told to enable the function.
fn enables(address: &str) -> String {
    fs::read_to_string(format!("/sys/bus/pci/devices/0000:{address}/enable")).unwrap()
}

#[test]
#[ignore = "needs the lab"]
fn an_access_to_memory_that_is_switched_off_raises_no_signal() {
    let device = by_sysfs(EDU);
    let bar = device.bar(0).unwrap();
    let io = bar.io::<0x100>().unwrap();
    let decode = device.config().try_read16(4).unwrap();
    device.config().try_write16(4, decode & !2).unwrap();
    let nobody = io.try_read32(0).unwrap();
    assert!([0, u32::MAX].contains(&nobody), "QEMU's bus answers 0");
    assert!(device.is_present(), "configuration space answers");
    drop((bar, device));
    let device = by_sysfs(EDU);
    assert_computes(&device.bar(0).unwrap());
}

#[test]
#[ignore = "needs the lab"]
fn a_reset_leaves_configuration_and_bus_mastering_off() {
    let (device, _bound) = by_uio(NIC);
    // Type of VLAN frames: 8100h after a reset (82574 datasheet, 10.2.2.9); Cache Line Size.
    let bar = device.bar(0).unwrap();
    let io = bar.io::<0x100>().unwrap();
    device.config().try_write8(0x0c, 0x10).unwrap();
    device.set_bus_master(true).unwrap();
    device.reset().unwrap();
    assert_eq!(device.config().try_read8(0x0c), Ok(0x10));
    assert_eq!(command(NIC) & 6, 2);
    assert!(io.try_read32(8).is_ok());
    drop((device, _bound));
    let none = by_sysfs(EDU).reset().unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Unsupported);
    assert_eq!(
        none.to_string(),
        "the kernel knows no way to reset 0000:00:03.0 alone"
    );
}

#[test]
#[ignore = "needs the lab"]
fn what_is_in_use_is_refused() {
    let host = Host::system();
    let first = by_sysfs(EDU);
    let error = UioDevice::open(&host, EDU.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(error.to_string(), "0000:00:03.0 is open already");
    drop(first);
    drop(by_sysfs(EDU));

    let bound = Bound::new(EDU);
    let error = UioDevice::open(&host, bound.address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotBound);
    assert_eq!(
        error.to_string(),
        "0000:00:03.0 is bound to vfio-pci, which drives it"
    );
    assert_eq!(error.hint(), Some("VFIO has it: open it by vfio-backend"));
    drop(bound);
    let error = UioDevice::open(&host, "00:1e.7".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
#[ignore = "needs the lab"]
fn the_driver_of_edu_runs_without_knowing_what_carries_it() {
    let (device, _bound) = by_uio(EDU);
    let mut edu = edu::Edu::new(&device).unwrap();
    edu.check_liveness(0x1234_5678).unwrap();
    assert_eq!(edu.factorial(10).unwrap(), 3_628_800);
    assert_eq!(edu.use_interrupt().unwrap(), InterruptKind::Intx);
    edu.raise(0x8000).unwrap();
    assert_eq!(edu.factorial(12).unwrap(), 479_001_600);
    let error = edu.write(0, b"no IOMMU").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    drop(edu);
    drop((device, _bound));

    let device = by_sysfs(EDU);
    let mut edu = edu::Edu::new(&device).unwrap();
    assert_eq!(edu.factorial(10).unwrap(), 3_628_800);
    let error = edu.use_interrupt().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
