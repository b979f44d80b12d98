//! Devices that are plugged in, used and unplugged again and again.
#![expect(
    clippy::print_stdout,
    reason = "the times are for who reads the test's output"
)]

use crate::{
    edu::{ADDRESS_BITS, Edu},
    held::Held,
    hot::Hot,
    random::Random,
};
use io_core::{
    AccessWidth, Bar, Io, Revocable,
    dma::{DmaBuffer, DmaOptions},
    event::{DeviceEvent::RemovalRequested, DeviceEvents},
    irq::{Interrupt, InterruptKind::Msi, Interrupts},
};
use lab_guest::modes;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};
use vfio_backend::{IommuMode, VfioDevice};

/// How often a device comes and goes in each mode.
const CYCLES: usize = 100;
const SOON: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(20);
const SEED: u64 = 0x6f75_7462_6f61_7264;

/// edu's first register, and its third, which has the complement of what was written to it (QEMU's docs/specs/edu.rst).
const IDENTIFICATION: u32 = 0x0100_00ed;
const LIVENESS: usize = 0x04;

/// How often the device has done what it was asked for.
#[derive(Default)]
struct Done {
    reads: AtomicU64,
    interrupts: AtomicU64,
    transfers: AtomicU64,
}

impl Done {
    fn all(&self) -> [u64; 3] {
        [&self.reads, &self.interrupts, &self.transfers].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Reads and writes registers until the BAR is taken away. Until then the device answers: it is asked for, and not gone.
fn use_registers(bar: &Revocable<Bar>, done: &Done) {
    for value in 0.. {
        let Some(bar) = bar.try_access() else { return };
        let io = bar.io::<0x100>().unwrap();
        assert_eq!(io.try_read32(0), Ok(IDENTIFICATION));
        io.try_write32(LIVENESS, value).unwrap();
        assert_eq!(io.try_read32(LIVENESS), Ok(!value));
        done.reads.fetch_add(2, Ordering::Relaxed);
        drop(bar);
        // QEMU's processors may have no timer for a while that would let others run.
        thread::yield_now();
    }
}

/// Has interrupts raised, and waits for each.
fn use_interrupt(bar: &Revocable<Bar>, irq: &dyn Interrupt, done: &Done) {
    loop {
        let Some(access) = bar.try_access() else {
            return;
        };
        Edu(&access).raise(1);
        drop(access);
        assert_eq!(irq.wait(SOON).unwrap(), Some(1));
        let Some(access) = bar.try_access() else {
            return;
        };
        assert_eq!(Edu(&access).acknowledge(), 1);
        done.interrupts.fetch_add(1, Ordering::Relaxed);
    }
}

/// Has bytes copied from one buffer to another, and returns both: the device may have begun another copy.
fn use_memory(bar: &Revocable<Bar>, [from, to]: [DmaBuffer; 2], done: &Done) -> [DmaBuffer; 2] {
    for byte in (1..=u8::MAX).cycle() {
        from.view().fill(0, 64, byte, AccessWidth::Auto).unwrap();
        for copy in [
            |edu: &Edu<'_>, from: &DmaBuffer, _: &DmaBuffer| edu.read(from.iova(), 64),
            |edu: &Edu<'_>, _: &DmaBuffer, to: &DmaBuffer| edu.write(to.iova(), 64),
        ] {
            let Some(bar) = bar.try_access() else {
                return [from, to];
            };
            copy(&Edu(&bar), &from, &to);
        }
        let mut bytes = [0; 64];
        let copied = to.view().copy_to_slice(0, &mut bytes, AccessWidth::Auto);
        copied.unwrap();
        assert_eq!(bytes, [byte; 64]);
        done.transfers.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("there is always another byte")
}

/// Uses a device until it is asked back at a moment of `random`, and lets go of it.
fn let_go(hot: &mut Hot, device: VfioDevice, random: &mut Random, done: &Done) {
    let watch = device.watch().unwrap();
    let bar = Revocable::new(device.bar(0).unwrap());
    let space = device.dma().unwrap();
    let options = DmaOptions::default().address_bits(ADDRESS_BITS);
    let buffers = [0; 2].map(|_| space.allocate(4096, options).unwrap().share().unwrap());
    if let Some(bar) = bar.try_access() {
        Edu(&bar).acknowledge();
    }
    let irq = device.enable(Msi, 0..1).unwrap().pop().unwrap();
    device.set_bus_master(true).unwrap();
    let (bar, buffers) = thread::scope(|scope| {
        scope.spawn(|| use_registers(&bar, done));
        scope.spawn(|| use_interrupt(&bar, irq.as_ref(), done));
        let memory = scope.spawn(|| use_memory(&bar, buffers, done));
        thread::sleep(random.microseconds(150_000));
        hot.ask();
        assert_eq!(watch.wait(LONG).unwrap(), Some(RemovalRequested));
        (bar.revoke(), memory.join().unwrap())
    });
    device.set_bus_master(false).unwrap();
    drop((buffers, bar, irq, watch, device));
}

/// Plugs a device in, has it used, and waits until it is gone.
fn cycle(mode: IommuMode, random: &mut Random, done: &Done) {
    let mut hot = Hot::plug("edu");
    let device = hot.open_in(mode);
    let_go(&mut hot, device, random, done);
    hot.gone();
}

#[test]
#[ignore = "needs the lab"]
fn a_hundred_times_in_each_mode_plugged_in_used_and_unplugged_nothing_is_left() {
    let (mut random, done) = (Random(SEED), Done::default());
    println!("seed {SEED:#x}");
    for mode in modes() {
        // The first mapping of all makes what stays: the page of ones.
        cycle(mode, &mut random, &done);
        let (before, started) = (Held::now(), Instant::now());
        for number in 0..CYCLES {
            cycle(mode, &mut random, &done);
            assert_eq!(Held::now(), before, "{mode}: after {number} more");
        }
        println!("{mode}: {CYCLES} in {:.1?}", started.elapsed());
    }
    let [reads, interrupts, transfers] = done.all();
    println!("{reads} reads, {interrupts} interrupts and {transfers} transfers");
    assert!(reads > 0 && interrupts > 0 && transfers > 0);
}
