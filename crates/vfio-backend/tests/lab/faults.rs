//! BARs that are switched off and on again at random moments while threads use them.
#![expect(
    clippy::print_stdout,
    reason = "the numbers are for who reads the test's output"
)]

use crate::{
    edu::{self, ADDRESS_BITS},
    held::Held,
    lost::{decode, power},
    places::{EDU, IVSHMEM, NIC},
    random::Random,
};
use io_core::{
    AccessError, AccessWidth::Auto, AccessWidth::Exact, Bar, Io, Width, dma::DmaBuffer,
    dma::DmaOptions,
};
use lab_guest::{Bound, modes};
use std::{
    iter,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};
use vfio_backend::VfioDevice;

const LIMIT: Duration = Duration::from_secs(20);
const SEED: u64 = 0x6661_756c_7473;

/// Makes some accesses, and asserts that what they found is right.
type User<'a> = Box<dyn FnMut() -> Result<(), AccessError> + Send + 'a>;

/// A part of a BAR that is the same at every access.
fn reader<'a>(bar: &'a Bar, at: usize, value: u32) -> User<'a> {
    let io = bar.io::<0>().unwrap();
    Box::new(move || {
        assert_eq!(io.try_read32(at)?, value);
        Ok(())
    })
}

/// Lets `users` go on until the BAR was lost so many times, by what `switch` does at random moments.
fn disturb(
    bar: &Bar,
    users: Vec<User<'_>>,
    faults: u64,
    random: &mut Random,
    switch: impl Fn(u64, bool),
) -> Vec<u64> {
    let ended = AtomicBool::new(false);
    let right: Vec<_> = users.iter().map(|_| AtomicU64::new(0)).collect();
    let counts = || right.iter().map(|count| count.load(Ordering::SeqCst));
    thread::scope(|scope| {
        for (mut user, right) in users.into_iter().zip(&right) {
            let ended = &ended;
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    match user() {
                        Ok(()) => _ = right.fetch_add(1, Ordering::SeqCst),
                        Err(error) => assert!(error.is_lost(), "{error}"),
                    }
                    // QEMU's second processor may have no timer for a while that would let others run.
                    thread::yield_now();
                }
            });
        }
        for fault in 0..faults {
            thread::sleep(random.microseconds(3000));
            assert!(!bar.is_lost());
            let (how, started) = (random.next(), Instant::now());
            switch(how, false);
            while !bar.is_lost() {
                assert!(started.elapsed() < LIMIT, "fault {fault} did not come");
                thread::yield_now();
            }
            thread::sleep(random.microseconds(1000));
            switch(how, true);
            // An access that met nobody may say so now only: everybody has to have been answered since.
            let before: Vec<_> = counts().collect();
            while bar.is_lost() || iter::zip(counts(), &before).any(|(now, before)| now == *before)
            {
                assert!(started.elapsed() < LIMIT, "fault {fault} did not end");
                bar.revive().unwrap();
                thread::yield_now();
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    counts().collect()
}

/// Opens a device in each mode, has it disturbed, and asserts that nothing is left.
fn each(address: &str, faults: u64, scenario: impl Fn(&VfioDevice, u64, &mut Random) -> Vec<u64>) {
    let (bound, mut random) = (Bound::new(address), Random(SEED));
    println!("{address}: seed {SEED:#x}");
    for mode in modes() {
        scenario(&bound.open_in(mode), 1, &mut random);
        let (before, started) = (Held::now(), Instant::now());
        let right = scenario(&bound.open_in(mode), faults, &mut random);
        assert_eq!(Held::now(), before, "{mode}");
        let time = started.elapsed();
        println!("{address}, {mode}: {faults} faults in {time:.1?}, answered {right:?}");
    }
}

/// Has an edu copy bytes from one buffer to the other, an access or two at a time.
fn copies<'a>(bar: &'a Bar, [from, to]: [DmaBuffer; 2]) -> User<'a> {
    let io = bar.io::<0x100>().unwrap();
    let (mut byte, mut step) = (0_u8, 0);
    Box::new(move || {
        // The command's lowest bit is there as long as it runs (QEMU's docs/specs/edu.rst).
        if io.try_read64(0x98)? & 1 != 0 {
            return Ok(());
        }
        if step == 0 {
            byte = byte.wrapping_add(1);
            from.view().fill(0, 64, byte, Auto).unwrap();
        }
        if step == 2 {
            let mut bytes = [0; 64];
            to.view().copy_to_slice(0, &mut bytes, Auto).unwrap();
            assert_eq!(bytes, [byte; 64]);
            step = 0;
            return Ok(());
        }
        let (source, target, command) = match step {
            0 => (from.iova().raw(), edu::MEMORY, 1),
            _ => (edu::MEMORY, to.iova().raw(), 3),
        };
        io.try_write64(0x80, source)?;
        io.try_write64(0x88, target)?;
        io.try_write64(0x90, 64)?;
        io.try_write64(0x98, command)?;
        step += 1;
        Ok(())
    })
}

#[test]
#[ignore = "needs the lab"]
fn two_hundred_faults_under_registers_and_dma_leave_nothing_and_nothing_wrong() {
    each(EDU, 200, |device, faults, random| {
        device.set_bus_master(true).unwrap();
        let space = device.dma().unwrap();
        let options = DmaOptions::default().address_bits(ADDRESS_BITS);
        let buffers = [0; 2].map(|_| space.allocate(4096, options).unwrap().share().unwrap());
        let bar = device.bar(0).unwrap();
        let io = bar.io::<0x100>().unwrap();
        let mut value = 0_u32;
        let users: Vec<User<'_>> = vec![
            // The identification, and the complement of what was written last.
            reader(&bar, 0x00, 0x0100_00ed),
            Box::new(move || {
                value = value.wrapping_add(1);
                io.try_write32(0x04, value)?;
                assert_eq!(io.try_read32(0x04)?, !value);
                Ok(())
            }),
            copies(&bar, buffers),
        ];
        let right = disturb(&bar, users, faults, random, |_, on| decode(device, on));
        device.set_bus_master(false).unwrap();
        right
    });
}

#[test]
#[ignore = "needs the lab"]
fn fifty_faults_under_bulk_copies_leave_nothing_and_nothing_wrong() {
    const LEN: usize = 8 << 10;

    each(IVSHMEM, 50, |device, faults, random| {
        let bar = device.bar(2).unwrap();
        let io = bar.io::<0>().unwrap();
        let kept: Vec<u8> = (0..=250).cycle().take(LEN).collect();
        io.copy_from_slice(0, &kept, Auto).unwrap();
        io.try_write32(2 * LEN, 7).unwrap();
        let (mut byte, mut bytes, mut others) = (0_u8, vec![0; LEN], vec![0; LEN]);
        let users: Vec<User<'_>> = vec![
            reader(&bar, 2 * LEN, 7),
            Box::new(move || {
                io.copy_to_slice(0, &mut bytes, Exact(Width::U32))?;
                assert!(bytes == kept);
                Ok(())
            }),
            Box::new(move || {
                byte = byte.wrapping_add(1) & 0x7f;
                others.fill(byte);
                io.copy_from_slice(LEN, &others, Auto)?;
                others.fill(0);
                io.copy_to_slice(LEN, &mut others, Auto)?;
                assert!(others.iter().all(|other| *other == byte));
                Ok(())
            }),
        ];
        disturb(&bar, users, faults, random, |_, on| decode(device, on))
    });
}

#[test]
#[ignore = "needs the lab"]
fn fifty_times_in_d3_or_without_memory_leave_nothing_and_nothing_wrong() {
    // VET of an 82574, the type of VLAN frames, and its multicast table (its datasheet, 10.2.2.9 and 10.2.5.16). QEMU's keeps
    // both through D3hot.
    const VET: usize = 0x38;
    const MTA: usize = 0x5200;

    each(NIC, 50, |device, faults, random| {
        let bar = device.bar(0).unwrap();
        let io = bar.io::<0x6000>().unwrap();
        io.try_write32(VET, 0x88a8).unwrap();
        io.fill(MTA, 0x200, 0x5a, Exact(Width::U32)).unwrap();
        let mut bytes = [0; 0x200];
        let users: Vec<User<'_>> = vec![
            reader(&bar, VET, 0x88a8),
            Box::new(move || io.try_write32(VET, 0x88a8)),
            Box::new(move || {
                io.copy_to_slice(MTA, &mut bytes, Exact(Width::U32))?;
                assert_eq!(bytes, [0x5a; 0x200]);
                Ok(())
            }),
        ];
        disturb(&bar, users, faults, random, |how, on| {
            if how % 2 == 0 {
                decode(device, on);
                return;
            }
            power(device, on);
            if on {
                decode(device, on);
            }
        })
    });
}
