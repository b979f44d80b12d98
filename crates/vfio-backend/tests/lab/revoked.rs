//! BARs that are taken away while threads use them, and the order in which a device is left.

use crate::{
    edu::ADDRESS_BITS,
    held::{Held, mapped_bars},
    hot::sysfs,
    places::EDU,
    random::Random,
};
use io_core::{
    Bar, Io, Revocable,
    dma::{DmaBuffer, DmaOptions},
    event::{Ending, until_event},
    pci::PciAddress,
};
use lab_guest::{Bound, modes};
use std::{
    fs::File,
    ops::ControlFlow,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

const ROUNDS: usize = 200;
const THREADS: usize = 8;
const SEED: u64 = 0x7265_766f_6b65;

/// edu's first register (QEMU's docs/specs/edu.rst).
const IDENTIFICATION: u32 = 0x0100_00ed;

/// Uses the BAR until it is taken away. Whoever has it must not find that it was `taken`.
fn use_until_taken(bar: &Revocable<Bar>, taken: &AtomicBool, accesses: &AtomicU64) {
    while let Some(bar) = bar.try_access() {
        let edu = bar.mmio::<0x100>().unwrap();
        for _ in 0..10 {
            assert!(!taken.load(Ordering::SeqCst));
            assert_eq!(edu.read32::<0>(), IDENTIFICATION);
        }
        assert!(!taken.load(Ordering::SeqCst));
        accesses.fetch_add(1, Ordering::Relaxed);
        drop(bar);
        thread::yield_now();
    }
}

#[test]
#[ignore = "needs the lab"]
fn no_thread_accesses_a_bar_that_was_taken_away_and_unmapped() {
    let bound = Bound::new(EDU);
    let mut random = Random(SEED);
    let device = bound.open().unwrap();
    for round in 0..ROUNDS {
        let bar = Revocable::new(device.bar(0).unwrap());
        let (taken, accesses) = (AtomicBool::new(false), AtomicU64::new(0));
        assert_eq!(mapped_bars(), 1);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| use_until_taken(&bar, &taken, &accesses));
            }
            while accesses.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            thread::sleep(random.microseconds(3000));
            let mapped = bar.revoke();
            taken.store(true, Ordering::SeqCst);
            let ended = accesses.load(Ordering::Relaxed);
            assert_eq!(mapped_bars(), 1, "revoked, and not unmapped yet");
            drop(mapped);
            // An access now would be one to nothing, and end this program.
            assert_eq!(mapped_bars(), 0);
            assert_eq!(accesses.load(Ordering::Relaxed), ended, "round {round}");
        });
        assert!(bar.try_access().is_none());
    }
}

/// Whether the function itself says that it is bus master: bit 2 of Command, read by sysfs (PCI Local Bus 3.0, 6.2.2).
fn is_bus_master(address: PciAddress) -> bool {
    let config = File::open(sysfs(address).join("config")).unwrap();
    let mut command = [0; 2];
    config.read_exact_at(&mut command, 4).unwrap();
    u16::from_le_bytes(command) & 4 != 0
}

/// Does something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A driver's device, in the order in which it is left, with something between any two.
struct Driver<A: FnMut(), B: FnMut(), C: FnMut()> {
    _first: OnDrop<A>,
    _buffer: DmaBuffer,
    _second: OnDrop<B>,
    bar: Bar,
    _third: OnDrop<C>,
}

#[test]
#[ignore = "needs the lab"]
fn a_device_is_left_by_bus_mastering_memory_bars_and_its_handle_in_this_order() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let address = bound.address;
        // The first mapping of all makes what stays: the page of ones.
        bound.open_in(mode).bar(0).unwrap();
        let before = Held::now();
        let device = bound.open_in(mode);
        let unpinned = Held::now().pinned().to_owned();
        let options = DmaOptions::default().address_bits(ADDRESS_BITS);
        let space = device.dma().unwrap();
        let buffer = space.allocate(4096, options).unwrap().share().unwrap();
        let pinned = Held::now().pinned().to_owned();
        assert_ne!(pinned, unpinned, "{mode}");
        device.set_bus_master(true).unwrap();
        assert!(is_bus_master(address));
        let steps = AtomicU64::new(0);
        let driver = Driver {
            _first: OnDrop(|| {
                assert!(!is_bus_master(address), "{mode}: first of all");
                assert_eq!(Held::now().pinned(), pinned, "{mode}");
                steps.fetch_add(1, Ordering::Relaxed);
            }),
            _buffer: buffer,
            _second: OnDrop(|| {
                assert_eq!(Held::now().pinned(), unpinned, "{mode}: what it reached");
                assert_eq!(mapped_bars(), 1, "{mode}");
                steps.fetch_add(1, Ordering::Relaxed);
            }),
            bar: device.bar(0).unwrap(),
            _third: OnDrop(|| {
                assert_eq!(mapped_bars(), 0, "{mode}: the BAR");
                steps.fetch_add(1, Ordering::Relaxed);
            }),
        };
        let ending = until_event(&device, move || {
            // All of it goes with the work, and not its BAR alone.
            let driver = &driver;
            assert_eq!(driver.bar.io::<4>()?.try_read32(0)?, IDENTIFICATION);
            Ok(ControlFlow::Break(()))
        });
        assert_eq!(ending.unwrap(), Ending::Done(()));
        assert_eq!(steps.load(Ordering::Relaxed), 3);
        drop(device);
        assert_eq!(Held::now(), before, "{mode}: the handle");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_closed_is_not_bus_master() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let bar = device.bar(0).unwrap();
        device.set_bus_master(true).unwrap();
        drop(device);
        assert!(is_bus_master(bound.address), "{mode}: the BAR holds it");
        drop(bar);
        assert!(!is_bus_master(bound.address), "{mode}");
    }
}
