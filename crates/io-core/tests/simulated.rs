//! The simulated device: what a driver finds, and what goes wrong when it is told to.
#![expect(clippy::unwrap_used, reason = "test code")]

use io_core::{
    AccessErrorKind, AccessWidth, Bar, ErrorKind, Fault, Io, PciDevice, Width,
    dma::DmaOptions,
    irq::{
        InterruptKind::{Intx, Msi, MsiX},
        Interrupts,
    },
    sim::{Edu, Loader, Ram, SimulatedDevice, Trouble},
};
use std::time::Duration;

const NOW: Duration = Duration::ZERO;

/// An edu that is bus master, and its BAR.
fn edu() -> (SimulatedDevice, Bar) {
    let device = SimulatedDevice::new("0000:00:03.0".parse().unwrap(), Edu::new());
    device.set_bus_master(true).unwrap();
    let bar = device.bar(0).unwrap();
    (device, bar)
}

#[test]
fn a_pin_is_told_of_once_until_it_is_unmasked_and_again_while_it_is_asserted() {
    let (device, bar) = edu();
    let io = bar.io::<0x100>().unwrap();
    let irq = device.enable(Intx, 0..1).unwrap().pop().unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), None);
    io.try_write32(0x60, 1).unwrap();
    io.try_write32(0x60, 2).unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), Some(1), "masked by the first");
    assert_eq!(io.try_read32(0x24), Ok(3));
    irq.unmask().unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), Some(1), "nobody has acknowledged");
    io.try_write32(0x64, 3).unwrap();
    irq.unmask().unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), None);
    assert_eq!(irq.trigger().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn messages_need_bus_mastering_and_are_counted() {
    let (device, bar) = edu();
    let io = bar.io::<0x100>().unwrap();
    let irq = device.enable(Msi, 0..1).unwrap().pop().unwrap();
    for _ in 0..3 {
        io.try_write32(0x60, 1).unwrap();
    }
    assert_eq!(irq.wait(NOW).unwrap(), Some(3));
    irq.mask().unwrap();
    io.try_write32(0x60, 1).unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), None);
    irq.unmask().unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), Some(1), "it was pending");
    irq.trigger().unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), Some(1));
    device.set_bus_master(false).unwrap();
    io.try_write32(0x60, 1).unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), None);

    let twice = device.enable(Msi, 0..1).unwrap_err();
    let other = device.enable(Intx, 0..1).unwrap_err();
    for error in [twice, other] {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
    drop(irq);
    assert!(device.enable(Intx, 0..1).is_ok(), "it is free again");
    let none = device.enable(MsiX, 0..1).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidInput, "{none}");
}

#[test]
fn transfers_go_through_an_iommu() {
    let (device, bar) = edu();
    let io = bar.io::<0x100>().unwrap();
    let transfer = |from: u64, to: u64, command: u64| {
        io.try_write64(0x80, from).unwrap();
        io.try_write64(0x88, to).unwrap();
        io.try_write64(0x90, 8).unwrap();
        io.try_write64(0x98, command).unwrap();
    };
    let options = DmaOptions::default().address_bits(28);
    let mut memory = device.dma().unwrap().allocate(4096, options).unwrap();
    memory[..8].copy_from_slice(b"to there");
    let buffer = memory.share().unwrap();
    let iova = buffer.iova().raw();
    transfer(iova, 0x4_0000, 1);
    buffer.view().try_write64(0, 0).unwrap();
    transfer(0x4_0000, iova, 3);
    let back = buffer.view().try_read64(0).unwrap().to_le_bytes();
    assert_eq!(&back, b"to there");

    device.trouble(Trouble::ShortDma(2));
    buffer.view().try_write64(0, 0).unwrap();
    transfer(0x4_0000, iova, 3);
    assert_eq!(
        buffer.view().try_read64(0),
        Ok(u64::from_le_bytes(*b"to\0\0\0\0\0\0"))
    );
    device.end_trouble();

    device.set_bus_master(false).unwrap();
    buffer.view().try_write64(0, 7).unwrap();
    transfer(0x4_0000, iova, 3);
    assert_eq!(buffer.view().try_read64(0), Ok(7), "it is not bus master");
    device.set_bus_master(true).unwrap();
    drop(buffer);
    transfer(0x4_0000, iova, 3);
}

#[test]
fn what_is_told_to_go_wrong_does_and_ends() {
    let (device, bar) = edu();
    let io = bar.io::<0x100>().unwrap();
    let id = || io.try_read32(0);
    let trouble = |trouble| {
        device.end_trouble();
        device.trouble(trouble);
    };
    trouble(Trouble::Ones);
    io.try_write32(4, 5).unwrap();
    assert_eq!(id(), Ok(u32::MAX));
    device.end_trouble();
    assert_eq!(
        (id(), io.try_read32(4)),
        (Ok(0x0100_00ed), Ok(0)),
        "the write did not arrive"
    );

    trouble(Trouble::LostAfter(2));
    assert!(id().is_ok() && id().is_ok());
    assert!(id().unwrap_err().is_lost() && io.try_write32(4, 5).unwrap_err().is_lost());

    let (bar, at, mask) = (0, 0x20, 1);
    let busy = |reads| Trouble::Stuck {
        bar,
        at,
        mask,
        value: 1,
        reads,
    };
    trouble(busy(Some(2)));
    let status: Vec<_> = (0..4).map(|_| io.try_read32(0x20).unwrap()).collect();
    assert_eq!(status, [1, 1, 0, 0], "late");
    trouble(busy(None));
    assert_eq!(io.try_read32(0x20), Ok(1));
    assert_eq!(id(), Ok(0x0100_00ed), "another register");

    trouble(Trouble::OnlyWidth(Width::U32));
    let error = io.try_write64(0x80, 0).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Fault(Fault::Width));
    device.end_trouble();
    assert!(io.try_write64(0x80, 0).is_ok());
}

#[test]
fn memory_decoding_and_resets_are_as_on_a_bus() {
    let (device, bar) = edu();
    let io = bar.io::<0x100>().unwrap();
    io.try_write32(4, 5).unwrap();
    device.set_memory_decode(false).unwrap();
    assert!(io.try_read32(4).unwrap_err().is_lost());
    assert!(device.is_present());
    device.set_memory_decode(true).unwrap();
    assert_eq!(io.try_read32(4), Ok(!5));
    let irq = device.enable(Intx, 0..1).unwrap().pop().unwrap();
    io.try_write32(0x60, 1).unwrap();
    device.reset().unwrap();
    assert_eq!((io.try_read32(4), io.try_read32(0x24)), (Ok(0), Ok(0)));
    assert_eq!(
        device.config().try_read16(4).unwrap() & 6,
        2,
        "no bus master"
    );
    assert_eq!(irq.wait(NOW).unwrap(), Some(1), "of before");
    irq.unmask().unwrap();
    assert_eq!(irq.wait(NOW).unwrap(), None);
    assert_eq!(device.bar(1).unwrap_err().kind(), ErrorKind::NotFound);
    let error = io.try_read8(0).unwrap_err();
    assert_eq!(
        error.kind(),
        AccessErrorKind::Fault(Fault::Width),
        "as QEMU's"
    );
}

/// The status of a loader that was given this, in these accesses, with this length and sum.
fn load(firmware: &[u8], width: AccessWidth, length: u32, sum: u32) -> u32 {
    let address = "0000:01:00.0".parse().unwrap();
    let device = SimulatedDevice::new(address, Loader::new(0x100, Width::U32));
    let (registers, memory) = (device.bar(0).unwrap(), device.bar(2).unwrap());
    let (registers, memory) = (
        registers.io::<0x10>().unwrap(),
        memory.io::<0x100>().unwrap(),
    );
    assert_eq!(memory.try_read32(0), Ok(u32::MAX), "not held");
    registers.try_write32(0, 1).unwrap();
    assert_eq!(registers.try_read32(4), Ok(1));
    if let Err(error) = memory.copy_from_slice(0, firmware, width) {
        assert_eq!(error.kind(), AccessErrorKind::Fault(Fault::Width));
    }
    registers.try_write32(8, length).unwrap();
    registers.try_write32(12, sum).unwrap();
    registers.try_write32(0, 2).unwrap();
    registers.try_read32(4).unwrap()
}

#[test]
fn a_loader_is_ready_with_what_it_was_told_and_fails_otherwise() {
    let firmware = [1, 0, 0, 0, 2, 0, 0, 0x80];
    let exact = AccessWidth::Exact(Width::U32);
    assert_eq!(load(&firmware, exact, 8, 0x8000_0003), 2, "ready");
    assert_eq!(load(&firmware, exact, 8, 3), 3, "another sum");
    assert_eq!(load(&firmware, exact, 7, 0x8000_0003), 3, "no whole words");
    assert_eq!(
        load(&firmware, exact, 0x104, 0x8000_0003),
        3,
        "more than there is"
    );
    assert_eq!(
        load(&firmware, AccessWidth::Auto, 8, 0x8000_0003),
        3,
        "by 8 bytes"
    );
}

#[test]
fn a_device_of_memory_forgets_in_a_reset() {
    let device = SimulatedDevice::new("0000:02:00.0".parse().unwrap(), Ram::new("memory", 64));
    let bar = device.bar(0).unwrap();
    assert_eq!(bar.size(), 64);
    let io = bar.io::<64>().unwrap();
    io.try_write64(56, 7).unwrap();
    assert_eq!(io.try_read64(56), Ok(7));
    device.reset().unwrap();
    assert_eq!(io.try_read64(56), Ok(0));
    assert!(device.config().try_read32(0).unwrap() == 0x10ab_1234);
}
