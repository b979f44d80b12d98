//! Devices whose BARs are switched off under the driver.

use crate::places::{EDU, NIC};
use io_core::{AccessWidth, Bar, ErrorKind, Io};
use lab_guest::{Bound, modes};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};
use vfio_backend::VfioDevice;

/// The Command register and its bit for memory (PCI Local Bus Specification 3.0, 6.2.2).
const COMMAND: usize = 0x04;
const MEMORY: u16 = 1 << 1;

/// edu's first register (QEMU's docs/specs/edu.rst).
const IDENTIFICATION: u32 = 0x0100_00ed;

/// Lets the device answer to accesses to its BARs, or not.
pub fn decode(device: &VfioDevice, on: bool) {
    let command = device.config().try_read16(COMMAND).unwrap();
    let command = if on {
        command | MEMORY
    } else {
        command & !MEMORY
    };
    device.config().try_write16(COMMAND, command).unwrap();
}

/// Puts the device into D0, or D3hot.
pub fn power(device: &VfioDevice, on: bool) {
    let config = device.config();
    // PMCSR is 4 bytes after the header of the capability with the id 1 (PCI Power Management 1.2, 3.2).
    let mut at = usize::from(config.try_read8(0x34).unwrap());
    while config.try_read8(at).unwrap() != 1 {
        at = usize::from(config.try_read8(at + 1).unwrap());
        assert_ne!(at, 0, "it has a power management capability");
    }
    let pmcsr = config.try_read16(at + 4).unwrap();
    let state = if on { pmcsr & !3 } else { pmcsr | 3 };
    config.try_write16(at + 4, state).unwrap();
}

/// Asserts what a driver sees of a BAR that does not answer, of which `at` is a register.
fn assert_lost(bar: &Bar, at: usize) {
    let io = bar.io::<0>().unwrap();
    let error = io.try_read32(at).unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(bar.is_lost());
    assert!(io.try_write32(at, 0).unwrap_err().is_lost());
    let mut bytes = [0; 64];
    let copied = io.copy_to_slice(0, &mut bytes, AccessWidth::Exact(io_core::Width::U32));
    assert!(copied.unwrap_err().is_lost());
}

#[test]
#[ignore = "needs the lab"]
fn a_bar_whose_memory_decode_is_off_is_lost_and_comes_back() {
    let bound = Bound::new(EDU);
    for mode in modes() {
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        let edu = bar.mmio::<0x100>().unwrap();
        for _ in 0..3 {
            assert_eq!(bar.io::<0x100>().unwrap().try_read32(0), Ok(IDENTIFICATION));
            decode(&device, false);
            // What cannot fail finds what a bus has without a device.
            assert_eq!(
                (edu.read32::<0x00>(), edu.read32::<0x04>()),
                (u32::MAX, u32::MAX)
            );
            assert_lost(&bar, 4);
            let called = device.bar_by_calls(0).unwrap();
            assert!(called.io::<4>().unwrap().try_read32(0).is_err());
            // Nobody there yet: lost again at the first access.
            bar.revive().unwrap();
            assert_lost(&bar, 0);
            decode(&device, true);
            bar.revive().unwrap();
            assert!(!bar.is_lost());
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_bar_of_a_device_in_d3_is_lost_and_comes_back() {
    let bound = Bound::new(NIC);
    for mode in modes() {
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        let io = bar.io::<0x100>().unwrap();
        // The Device Status register of an 82574 is no register that reads all ones.
        assert_ne!(io.try_read32(0x08), Ok(u32::MAX));
        power(&device, false);
        assert_lost(&bar, 0x08);
        power(&device, true);
        thread::sleep(Duration::from_millis(20));
        decode(&device, true);
        bar.revive().unwrap();
        assert_ne!(io.try_read32(0x08), Ok(u32::MAX));
        assert!(!bar.is_lost());
    }
}

#[test]
#[ignore = "needs the lab"]
fn threads_that_access_a_bar_when_it_is_switched_off_all_see_it() {
    let bound = Bound::new(EDU);
    for round in 0..20 {
        let device = bound.open().unwrap();
        let bar = device.bar(0).unwrap();
        let started = AtomicUsize::new(0);
        thread::scope(|scope| {
            for index in 0..3 {
                let (bar, started) = (&bar, &started);
                scope.spawn(move || {
                    let io = bar.io::<0x100>().unwrap();
                    started.fetch_add(1, Ordering::Relaxed);
                    loop {
                        let access = match index {
                            0 => io
                                .try_read32(0)
                                .map(|value| assert_eq!(value, IDENTIFICATION)),
                            1 => io.try_write32(0x04, 0),
                            _ => io.copy_to_slice(
                                0,
                                &mut [0; 0x40],
                                AccessWidth::Exact(io_core::Width::U32),
                            ),
                        };
                        if let Err(error) = access {
                            assert!(error.is_lost(), "round {round}: {error}");
                            return;
                        }
                    }
                });
            }
            while started.load(Ordering::Relaxed) < 3 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(round % 5));
            decode(&device, false);
        });
        assert!(bar.is_lost());
    }
}

#[test]
#[ignore = "needs the lab"]
fn calls_to_a_bar_that_is_switched_off_say_so() {
    let bound = Bound::new(EDU);
    let device = bound.open().unwrap();
    decode(&device, false);
    // The kernel's EIO.
    let bar = device.bar_by_calls(0).unwrap();
    let error = bar.io::<4>().unwrap().try_read32(0).unwrap_err();
    assert!(
        error.to_string().contains("BAR 0 of 0000:00:03.0"),
        "{error}"
    );
    let error: io_core::Error = error.into();
    assert_ne!(error.kind(), ErrorKind::InvalidInput);
}
