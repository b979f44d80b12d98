//! Devices that go without being asked, behind ports that the kernel drives natively.

use super::{DATA_LINK_PROTOCOL, SOON, held, inject};
use crate::{
    hot::Slot,
    places::{FATALLY_ILL, PULLED_OUT},
};
use io_core::{
    Io, PciDevice,
    event::{
        DeviceEvent::{Failed, RemovalRequested},
        DeviceEvents,
    },
};
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_pulled_out_is_told_of_and_reads_nothing() {
    let slot = Slot::new(PULLED_OUT);
    let (device, bar) = held(slot.open());
    let io = bar.io::<0x100>().unwrap();
    let status = io.try_read32(0x08).unwrap();
    let watch = device.watch().unwrap();
    let pulled = Instant::now();
    slot.cut_power();
    assert_eq!(watch.wait(SOON).unwrap(), Some(RemovalRequested));
    let told = pulled.elapsed();
    println!(
        "pulled out: status was {status:#x}, is {:x?}",
        io.try_read32(0x08)
    );
    for at in [0, 2, 4, 6, 8, 0x2c, 0x34, 0x100] {
        let value = device.config_extended().unwrap().try_read16(at);
        println!("config {at:#x}: {value:x?}");
    }
    println!(
        "present: {}, bar lost: {}",
        device.is_present(),
        bar.is_lost()
    );
    println!("bus master off: {:?}", device.set_bus_master(false));
    println!("reset: {:?}", device.reset());
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
fn a_fatal_error_is_told() {
    let slot = Slot::new(FATALLY_ILL);
    let (device, bar) = held(slot.open());
    let io = bar.io::<0x100>().unwrap();
    let status = io.try_read32(0x08).unwrap();
    let watch = device.watch().unwrap();
    let injected = Instant::now();
    inject(slot.address, DATA_LINK_PROTOCOL);
    assert_eq!(watch.wait(SOON).unwrap(), Some(Failed));
    println!("fatal: told after {:.1?}", injected.elapsed());
    for _ in 0..3 {
        println!(
            "after {:.1?}: status was {status:#x}, is {:x?}; present {}, lost {}",
            injected.elapsed(),
            io.try_read32(0x08),
            device.is_present(),
            bar.is_lost()
        );
        let next = watch.wait(Duration::from_secs(2)).unwrap();
        println!("after {:.1?}: {next:?}", injected.elapsed());
    }
}
