//! Interrupts of real devices.

use crate::{
    edu::Edu,
    places::{DOORBELL, EDU, EDU_BEHIND_PORT, NIC},
};
use io_core::{
    ErrorKind, Io, PciDevice,
    irq::{
        InterruptKind::{Intx, Msi, MsiX},
        Interrupts,
    },
};
use lab_guest::{Bound, modes};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(100);

#[test]
#[ignore = "needs the lab"]
fn an_intx_comes_once_until_it_is_unmasked() {
    let bound = Bound::new(EDU);
    let device = bound.open().unwrap();
    let bar = device.bar(0).unwrap();
    let edu = Edu(&bar);
    edu.acknowledge();
    let interrupts = device.interrupts().unwrap();
    assert!(interrupts.info(Intx).unwrap().maskable);
    let irq = interrupts.enable(Intx, 0..1).unwrap().pop().unwrap();
    assert_eq!((irq.kind(), irq.vector()), (Intx, 0));
    assert_eq!(irq.wait(Duration::ZERO).unwrap(), None);

    edu.raise(1);
    assert_eq!(irq.wait(SOON).unwrap(), Some(1));
    assert_eq!(edu.acknowledge(), 1);
    edu.raise(2);
    assert_eq!(irq.wait(SHORT).unwrap(), None, "masked by the first one");
    irq.unmask().unwrap();
    assert_eq!(irq.wait(SOON).unwrap(), Some(1), "the level was kept");
    edu.acknowledge();
    irq.unmask().unwrap();
    irq.mask().unwrap();
    edu.raise(4);
    assert_eq!(irq.wait(SHORT).unwrap(), None);
    irq.unmask().unwrap();
    assert_eq!(irq.wait(SOON).unwrap(), Some(1));
    edu.acknowledge();
}

#[test]
#[ignore = "needs the lab"]
fn an_msi_comes_each_time_if_the_device_is_bus_master() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        let edu = Edu(&bar);
        edu.acknowledge();
        let irq = PciDevice::interrupts(&device).unwrap().enable(Msi, 0..1);
        let irq = irq.unwrap().pop().unwrap();
        edu.raise(1);
        assert_eq!(irq.wait(SHORT).unwrap(), None, "not bus master");
        edu.acknowledge();
        device.set_bus_master(true).unwrap();
        for cause in 1..=3 {
            edu.raise(cause);
            assert_eq!(irq.wait(SOON).unwrap(), Some(1));
            assert_eq!(edu.acknowledge(), cause);
        }
        // Without waiting in between, they are counted.
        for _ in 0..3 {
            irq.trigger().unwrap();
        }
        assert_eq!(irq.wait(SOON).unwrap(), Some(3));
        let error = irq.mask().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn each_vector_of_msi_x_signals_its_own_event() {
    let bound = Bound::new(DOORBELL);
    let device = bound.open().unwrap();
    device.set_bus_master(true).unwrap();
    let bar = device.bar(0).unwrap();
    let registers = bar.mmio::<0x10>().unwrap();
    let interrupts = device.interrupts().unwrap();
    let count = interrupts.info(MsiX).unwrap().count;
    let irqs = interrupts.enable(MsiX, 0..count).unwrap();
    // QEMU's docs/specs/ivshmem-spec.rst: IVPosition at 8, Doorbell at 12 (peer in the upper half, vector).
    let me = registers.read32::<8>();
    for (vector, irq) in (0..count).zip(&irqs) {
        registers.write32::<12>(me << 16 | vector);
        assert_eq!(irq.wait(SOON).unwrap(), Some(1));
        let others = irqs.iter().filter(|other| other.vector() != vector);
        for other in others {
            assert_eq!(other.wait(Duration::ZERO).unwrap(), None);
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn one_vector_is_dropped_and_enabled_again_and_the_others_lose_nothing() {
    let bound = Bound::new(DOORBELL);
    let device = bound.open().unwrap();
    device.set_bus_master(true).unwrap();
    let interrupts = device.interrupts().unwrap();
    let mut irqs = interrupts.enable(MsiX, 0..3).unwrap();
    irqs[0].trigger().unwrap();
    drop(irqs.remove(1));
    let again = interrupts.enable(MsiX, 1..2).unwrap().pop().unwrap();
    again.trigger().unwrap();
    assert_eq!(again.wait(SOON).unwrap(), Some(1));
    assert_eq!(irqs[0].wait(SOON).unwrap(), Some(1), "from before");
    irqs[1].trigger().unwrap();
    assert_eq!(
        (irqs[1].vector(), irqs[1].wait(SOON).unwrap()),
        (2, Some(1))
    );

    // More than at first: where the kernel can (MSI-X without NORESIZE, Linux 6.5 and later).
    let more = interrupts.enable(MsiX, 3..4);
    if interrupts.info(MsiX).unwrap().growable {
        let more = more.unwrap();
        more[0].trigger().unwrap();
        assert_eq!(more[0].wait(SOON).unwrap(), Some(1));
    } else {
        let error = more.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().unwrap().contains("all of them at once"));
    }
    irqs[0].trigger().unwrap();
    assert_eq!(irqs[0].wait(SOON).unwrap(), Some(1));
}

#[test]
#[ignore = "needs the lab"]
fn what_cannot_be_enabled_is_refused_and_changes_nothing() {
    let bound = Bound::new(NIC);
    let device = bound.open().unwrap();
    let interrupts = device.interrupts().unwrap();
    let kind = |result: io_core::Result<Vec<_>>| result.unwrap_err().kind();
    let count = interrupts.info(MsiX).unwrap().count;
    assert_eq!(
        kind(interrupts.enable(MsiX, 0..count + 1)),
        ErrorKind::InvalidInput
    );
    assert_eq!(kind(interrupts.enable(MsiX, 1..1)), ErrorKind::InvalidInput);
    let irqs = interrupts.enable(MsiX, 0..2).unwrap();
    assert_eq!(kind(interrupts.enable(Msi, 0..1)), ErrorKind::Busy);
    assert_eq!(kind(interrupts.enable(MsiX, 1..2)), ErrorKind::Busy);
    irqs[1].trigger().unwrap();
    assert_eq!(irqs[1].wait(SOON).unwrap(), Some(1));
    drop(irqs);
    assert_eq!(interrupts.enable(Msi, 0..1).unwrap().len(), 1);
}

#[test]
#[ignore = "needs the lab"]
fn interrupts_are_enabled_still_after_a_reset() {
    let bound = Bound::new(EDU_BEHIND_PORT);
    let device = bound.open().unwrap();
    let bar = device.bar(0).unwrap();
    let edu = Edu(&bar);
    let irq = device
        .interrupts()
        .unwrap()
        .enable(Msi, 0..1)
        .unwrap()
        .pop()
        .unwrap();
    device.set_bus_master(true).unwrap();
    device.reset().unwrap();
    assert_eq!(
        device.config().try_read16(4).unwrap() & 4,
        0,
        "no bus master after a reset"
    );
    device.set_bus_master(true).unwrap();
    edu.raise(1);
    assert_eq!(irq.wait(SOON).unwrap(), Some(1));
    edu.acknowledge();

    let bound = Bound::new(EDU);
    let error = bound.open().unwrap().reset().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the kernel knows no way to reset 0000:00:03.0 alone"
    );
}

#[test]
#[ignore = "needs the lab"]
fn an_intx_comes_and_is_masked_and_unmasked_after_a_reset_as_before() {
    for mode in modes() {
        let bound = Bound::new(EDU_BEHIND_PORT);
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        let edu = Edu(&bar);
        edu.acknowledge();
        let irq = device.enable(Intx, 0..1).unwrap().pop().unwrap();
        // Once more with one that came, and is masked by that, when it is reset.
        for masked in [false, true] {
            if masked {
                edu.raise(1);
                assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{mode}");
                assert_eq!(edu.acknowledge(), 1);
            }
            device.reset().unwrap();
            edu.raise(2);
            assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{mode}, {masked}");
            assert_eq!(edu.acknowledge(), 2);
            irq.unmask().unwrap();
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_wait_takes_as_long_as_it_was_told() {
    let bound = Bound::new(EDU);
    let device = bound.open().unwrap();
    let irq = device
        .interrupts()
        .unwrap()
        .enable(Msi, 0..1)
        .unwrap()
        .pop()
        .unwrap();
    let started = Instant::now();
    assert_eq!(irq.wait(SHORT).unwrap(), None);
    assert!(started.elapsed() >= SHORT);
    // An event from another thread ends it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SHORT);
            irq.trigger().unwrap();
        });
        assert_eq!(irq.wait(Duration::MAX).unwrap(), Some(1));
    });
}
