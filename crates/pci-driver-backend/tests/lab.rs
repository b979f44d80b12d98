//! Real devices that pci-driver has open, and its registers on devices that we have open, in the lab: see docs/lab.md.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it saw"
)]

use io_core::{
    ErrorKind, Io, PciDevice,
    contract::{Verdict, broken, check},
    irq::{InterruptKind, Interrupts as _},
    pci::Command,
};
use lab_guest::Bound;
use outboard::{Backend, open_on};
use pci_driver::{
    config::PciConfig,
    device::PciDevice as _,
    pci_struct,
    regions::{
        BackedByPciSubregion, PciRegion,
        structured::{PciRegisterRo, PciRegisterRw},
    },
};
use pci_driver_backend::{PciDriverDevice, config_snapshot, region};
use pci_host::Host;
use std::{fs, time::Duration};

const EDU: &str = "00:03.0";
const IVSHMEM_DOORBELL: &str = "00:11.0";
const TESTDEV: &str = "00:13.0";
const NIC: &str = "03:00.0";

pci_struct! {
    /// The first registers of an edu (docs/specs/edu.rst of QEMU).
    struct EduRegisters<'a> : 0x0c {
        identification @ 0x00 : PciRegisterRo<'a, u32>,
        liveness       @ 0x04 : PciRegisterRw<'a, u32>,
        factorial      @ 0x08 : PciRegisterRw<'a, u32>,
    }
}

/// The device, which is closed before it is released.
fn open(address: &str) -> (Bound, PciDriverDevice) {
    lab_guest::fact("kernel");
    let bound = Bound::new(address);
    let device = PciDriverDevice::open(&bound.host, bound.address).unwrap();
    (bound, device)
}

/// Edu's registers, by code that knows of pci-driver alone.
fn assert_alive(region: &dyn PciRegion) {
    let edu = EduRegisters::backed_by(region);
    assert_eq!(edu.identification().read().unwrap(), 0x0100_00ed);
    edu.liveness().write(0x1234_5678).unwrap();
    assert_eq!(edu.liveness().read().unwrap(), !0x1234_5678);
}

#[test]
#[ignore = "needs the lab"]
fn each_device_keeps_to_the_contract() {
    for (address, absent) in [
        (EDU, &["MSI-X", "events", "reset"][..]),
        (IVSHMEM_DOORBELL, &["INTx", "MSI", "events", "reset"]),
        (TESTDEV, &["INTx", "MSI", "MSI-X", "events", "reset"]),
        (NIC, &["events"]),
    ] {
        let (_bound, device) = open(address);
        let findings = check(&device);
        println!("{address} by pci-driver:");
        for finding in &findings {
            println!("  {finding}");
        }
        assert_eq!(broken(&findings).count(), 0);
        let found: Vec<_> = findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Absent)
            .map(|finding| finding.what)
            .collect();
        assert_eq!(found, absent, "{address}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn the_driver_of_edu_runs_on_it_with_each_interrupt_and_dma() {
    let (_bound, device) = open(EDU);
    let mut edu = edu::Edu::new(&device).unwrap();
    for kind in [None, Some(InterruptKind::Msi), Some(InterruptKind::Intx)] {
        if let Some(kind) = kind {
            edu.use_interrupt_of(kind).unwrap();
            edu.raise(0x8000).unwrap();
            edu.raise(0x4000).unwrap();
        }
        assert_eq!(edu.factorial(12).unwrap(), 479_001_600);
        let mut copied = [0; 4];
        edu.write(0, b"copy").unwrap();
        edu.read(0, &mut copied).unwrap();
        assert_eq!(&copied, b"copy");
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_intx_is_masked_by_hand_and_comes_when_it_is_unmasked() {
    let (_bound, device) = open(EDU);
    let bar = device.bar(0).unwrap();
    let io = bar.io::<0x100>().unwrap();
    let enabled = device.enable(InterruptKind::Intx, 0..1).unwrap();
    let [irq] = enabled.as_slice() else {
        panic!("{enabled:?}");
    };
    irq.mask().unwrap();
    irq.mask().unwrap();
    io.try_write32(0x60, 1).unwrap();
    assert_eq!(irq.wait(Duration::from_millis(50)).unwrap(), None);
    irq.unmask().unwrap();
    assert_eq!(irq.wait(Duration::from_secs(5)).unwrap(), Some(1));
    assert_eq!(irq.wait(Duration::from_millis(50)).unwrap(), None, "once");
    irq.unmask().unwrap();
    let again = irq.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(again, Some(1), "it is asserted still");
    io.try_write32(0x64, u32::MAX).unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn some_of_many_vectors_come_where_they_belong_until_all_are_dropped() {
    let (_bound, device) = open(NIC);
    device.set_bus_master(true).unwrap();
    let count = device.info(InterruptKind::MsiX).unwrap().count;
    assert_eq!(count, 5, "as lspci says of an e1000e");
    let mut vectors = device.enable(InterruptKind::MsiX, 2..4).unwrap();
    let bar = device.bar(0).unwrap();
    let io = bar.io::<0x1000>().unwrap();
    // 82574 datasheet: each cause has 4 bits of IVAR (10.2.4.9), 8 and the vector; Tx queue 0 from bit 8 on. Extended
    // masks (EIAC, 10.2.4.7) are left; cause bit 22 is TxQ0, ICS sets it, IMS lets it through.
    io.try_write32(0xe4, (8 | 3) << 8).unwrap();
    io.try_write32(0xd0, 1 << 22).unwrap();
    io.try_write32(0xc8, 1 << 22).unwrap();
    let third = vectors.pop().unwrap();
    assert_eq!(third.vector(), 3);
    assert!(third.wait(Duration::from_secs(5)).unwrap().is_some());
    let more = device.enable(InterruptKind::MsiX, 0..1).unwrap_err();
    assert_eq!(more.kind(), ErrorKind::Unsupported, "{more}");
    drop(third);
    let again = device.enable(InterruptKind::MsiX, 3..4).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unsupported, "{again}");
    drop(vectors);
    assert_eq!(device.enable(InterruptKind::MsiX, 0..5).unwrap().len(), 5);
}

#[test]
#[ignore = "needs the lab"]
fn a_bar_that_is_lost_is_to_be_asked_for_anew() {
    let (_bound, device) = open(EDU);
    let bar = device.bar(0).unwrap();
    device.set_memory_decode(false).unwrap();
    let lost = bar.io::<4>().unwrap().try_read32(0).unwrap_err();
    assert!(lost.to_string().contains("BAR 0 of 0000:00:03.0"), "{lost}");
    assert!(bar.is_lost());
    device.set_memory_decode(true).unwrap();
    let error = bar.revive().unwrap_err();
    assert_eq!(
        error.to_string(),
        "pci-driver cannot map BAR 0 of 0000:00:03.0 again in its place"
    );
    drop(bar);
    let bar = device.bar(0).unwrap();
    assert_eq!(bar.io::<4>().unwrap().try_read32(0), Ok(0x0100_00ed));
}

#[test]
#[ignore = "needs the lab"]
fn registers_of_pci_struct_run_on_every_backend() {
    let assert_on = |backend: Backend| {
        let opened = open_on(&Host::system(), &EDU.parse().unwrap(), Some(backend)).unwrap();
        let bar = opened.device.bar(0).unwrap();
        assert_alive(&region(bar.mmio::<0x0c>().unwrap()));
        // The same bytes as the kernel shows.
        let snapshot = config_snapshot(&*opened.device).unwrap();
        let shown = fs::read(format!("/sys/bus/pci/devices/0000:{EDU}/config")).unwrap();
        let mut bytes = vec![0; shown.len()];
        snapshot.read_bytes(0, &mut bytes).unwrap();
        // Command is the same but for what VFIO keeps of it for itself.
        assert_eq!(bytes.get(..4), shown.get(..4));
        assert_eq!(bytes.get(8..0x34), shown.get(8..0x34));
        let config = PciConfig::backed_by(&snapshot);
        assert_eq!(config.device_id().read().unwrap(), 0x11e8);
    };
    {
        let bound = Bound::new(EDU);
        assert_on(Backend::Type1);
        if lab_guest::fact("kernel") == "full" {
            assert_on(Backend::Iommufd);
        }
        // And on what it has open itself, which both of us reach.
        let device = PciDriverDevice::open(&bound.host, bound.address).unwrap();
        assert_alive(&device.device().bar(0).unwrap());
        let bar = device.bar(0).unwrap();
        assert_alive(&region(bar.mmio::<0x0c>().unwrap()));
    }
    {
        let _bound = Bound::to(EDU, "uio_pci_generic");
        assert_on(Backend::Uio);
    }
    assert_on(Backend::Sysfs);
}

#[test]
#[ignore = "needs the lab"]
fn a_reset_leaves_interrupts_on_and_bus_mastering_off() {
    let (_bound, device) = open(NIC);
    device.set_bus_master(true).unwrap();
    let vectors = device.enable(InterruptKind::MsiX, 0..1).unwrap();
    PciDevice::reset(&device).unwrap();
    let command = PciDevice::config(&device).try_read16(4).unwrap();
    assert!(!Command::from_bits(command).contains(Command::BUS_MASTER));
    // Vectors are masked and pointed anew by the kernel, which shows in MSI-X's Enable.
    let shown = fs::read(format!("/sys/bus/pci/devices/0000:{NIC}/config")).unwrap();
    // The capability of an e1000e in QEMU is at a0h, as lspci says.
    assert_eq!(shown.get(0xa0), Some(&0x11));
    assert!(shown.get(0xa3).is_some_and(|high| high & 0x80 != 0));
    drop(vectors);
}

#[test]
#[ignore = "needs the lab"]
fn what_cannot_be_opened_says_why() {
    let host = Host::system();
    lab_guest::fact("kernel");
    let error = PciDriverDevice::open(&host, EDU.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotBound);
    assert_eq!(error.to_string(), "0000:00:03.0 is not bound to vfio-pci");
    let (bound, first) = open(EDU);
    let error = PciDriverDevice::open(&host, bound.address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(error.to_string(), "pci-driver cannot open 0000:00:03.0");
    let hint = error.hint().unwrap();
    assert!(hint.contains("sudo fuser -v /dev/vfio/"), "{hint}");
    drop(first);
}
