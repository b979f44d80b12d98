//! Devices that go without being asked, behind ports that the kernel drives natively.

use super::{DATA_LINK_PROTOCOL, SOON, VET, held, inject};
use crate::{
    hot::Slot,
    places::{FATALLY_ILL, PULLED_OUT},
};
use io_core::{
    ErrorKind, Io, PciDevice,
    event::{
        DeviceEvent::{Failed, RemovalRequested},
        DeviceEvents,
    },
};
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_pulled_out_is_told_of_and_is_not_present() {
    let slot = Slot::new(PULLED_OUT);
    let (device, bar) = held(slot.open());
    let io = bar.io::<0x100>().unwrap();
    let status = io.try_read32(0x08).unwrap();
    let watch = device.watch().unwrap();
    let pulled = Instant::now();
    slot.cut_power();
    assert_eq!(watch.wait(SOON).unwrap(), Some(RemovalRequested));
    let told = pulled.elapsed();
    // QEMU's answer. On a machine it is all ones; neither raises a signal.
    assert_eq!(io.try_read32(0x08), Ok(0), "was {status:#x}");
    assert!(!bar.is_lost());
    assert!(!device.is_present());
    // VFIO has the vendor id from memory.
    assert_eq!(device.config().try_read16(0), Ok(0x8086));
    if let Err(error) = device.set_bus_master(false) {
        assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    }
    let error = device.reset().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    let released = Instant::now();
    drop((device, bar));
    slot.gone();
    println!(
        "pulled out: told after {told:.1?}, gone {:.1?} after its release",
        released.elapsed()
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_fatal_error_is_told_and_the_device_is_as_after_a_reset() {
    let slot = Slot::new(FATALLY_ILL);
    let (device, bar) = held(slot.open());
    let io = bar.io::<0x100>().unwrap();
    io.try_write32(VET, 0x88a8).unwrap();
    let watch = device.watch().unwrap();
    let injected = Instant::now();
    inject(slot.address, DATA_LINK_PROTOCOL);
    assert_eq!(watch.wait(SOON).unwrap(), Some(Failed));
    println!("fatal: told after {:.1?}", injected.elapsed());
    assert_eq!(watch.wait(Duration::from_secs(2)).unwrap(), None);
    // The kernel has reset it by its bus, and VFIO restores nothing before it is told to: no memory, and no signal.
    assert!(device.is_present());
    assert_eq!(device.config().try_read16(4), Ok(0));
    assert_eq!((io.try_read32(VET), bar.is_lost()), (Ok(0), false));
    // Memory on: then VFIO has the addresses of its BARs for it.
    device.config().try_write16(4, 2).unwrap();
    assert_eq!(io.try_read32(VET), Ok(0x8100));
    device.reset().unwrap();
    assert_eq!(io.try_read32(VET), Ok(0x8100));
    // Once more, with a reset that comes before the memory bit: it leaves configuration space as it was, and so the BARs are off.
    inject(slot.address, DATA_LINK_PROTOCOL);
    assert_eq!(watch.wait(SOON).unwrap(), Some(Failed));
    assert_eq!(watch.wait(Duration::from_secs(2)).unwrap(), None);
    device.reset().unwrap();
    assert_eq!(device.config().try_read16(4), Ok(0));
    assert!(io.try_read32(VET).unwrap_err().is_lost());
    device.config().try_write16(4, 2).unwrap();
    bar.revive().unwrap();
    assert_eq!(io.try_read32(VET), Ok(0x8100));
}
