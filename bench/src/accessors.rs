//! Single accesses, at constant offsets and at those known at run time.
#![expect(unsafe_code, reason = "raw volatile accesses are the rival")]

use std::hint::black_box;

use io_core::Io;
use outboard_bench::Target;
use pci_driver::regions::PciRegion;

use crate::memory::{Memory, OFFSETS};
use crate::row::{Row, Run};

/// As many accesses as `each_offset` makes.
const CONSTANTS: u32 = 16;

/// Does `$body` for sixteen constants called `$at`.
macro_rules! each_offset {
    ($at:ident => $body:expr) => {
        each_offset!($at => $body;
            0x00 0x08 0x10 0x18 0x20 0x28 0x30 0x38 0x40 0x48 0x50 0x58 0x60 0x68 0x70 0x78)
    };
    ($at:ident => $body:expr; $($offset:literal)*) => {{$({
        const $at: usize = $offset;
        $body;
    })*}};
}

/// One volatile load.
///
/// # Safety
///
/// There is a `T` at `offset` of `base`, aligned.
#[inline(always)]
unsafe fn load<T>(base: *mut u8, offset: usize) -> T {
    // SAFETY: the caller has shown it.
    unsafe { base.wrapping_add(offset).cast::<T>().read_volatile() }
}

/// One volatile store.
///
/// # Safety
///
/// There is a `T` at `offset` of `base`, aligned.
#[inline(always)]
unsafe fn store<T>(base: *mut u8, offset: usize, value: T) {
    // SAFETY: the caller has shown it.
    unsafe { base.wrapping_add(offset).cast::<T>().write_volatile(value) };
}

/// `load`, with the checks that `try_read32` makes.
#[inline(always)]
fn checked_load(base: *mut u8, size: usize, offset: usize) -> Option<u32> {
    // SAFETY: checked.
    checked(base, size, offset).then(|| unsafe { load(base, offset) })
}

/// `store`, with the checks that `try_write32` makes.
#[inline(always)]
fn checked_store(base: *mut u8, size: usize, offset: usize, value: u32) -> Option<()> {
    // SAFETY: checked.
    checked(base, size, offset).then(|| unsafe { store(base, offset, value) })
}

/// Whether there are four bytes at `offset`, and aligned.
#[inline(always)]
fn checked(base: *mut u8, size: usize, offset: usize) -> bool {
    size.checked_sub(4).is_some_and(|last| offset <= last)
        && base.addr().wrapping_add(offset) % 4 == 0
}

pub fn rows() -> Vec<Row> {
    let mut rows = constant_offsets();
    rows.extend(either());
    rows.extend(run_time_offsets());
    rows.extend(other_crates());
    rows
}

/// A side that does `$body` in each pass, with `$name` made before.
macro_rules! run {
    ($memory:ident, $($name:ident = $value:expr),* => $body:expr) => {
        Box::new(|$memory: &Memory, passes: u32| {
            $(let $name = $value;)*
            for _ in 0..passes {
                $body
            }
        })
    };
}

fn raw_read<T: 'static>() -> Run {
    // SAFETY: the mapping is larger.
    run!(memory, base = memory.base() => each_offset!(AT => unsafe { load::<T>(base, AT) }))
}

fn raw_write<T: Copy + 'static>(value: T) -> Run {
    Box::new(move |memory, passes| {
        let (base, value) = (memory.base(), black_box(value));
        for _ in 0..passes {
            // SAFETY: the mapping is larger.
            each_offset!(AT => unsafe { store::<T>(base, AT, value) });
        }
    })
}

fn constant_offsets() -> Vec<Row> {
    let row = |name, ours| Row::new(name, Target::MoreInstructions(0), CONSTANTS, ours);
    macro_rules! widths {
        ($($ty:ty: $read:ident, $write:ident;)*) => {vec![$(
            row(
                stringify!($read),
                run!(memory, bar = memory.mmio() => each_offset!(AT => bar.$read::<AT>())),
            ).against("read_volatile", raw_read::<$ty>()),
            row(
                stringify!($write),
                run!(memory, bar = memory.mmio(), value = black_box(7) =>
                    each_offset!(AT => bar.$write::<AT>(value))),
            ).against("write_volatile", raw_write::<$ty>(7)),
        )*]};
    }
    let mut rows = widths! {
        u8: read8, write8;
        u16: read16, write16;
        u32: read32, write32;
        u64: read64, write64;
    };
    rows.push(
        row(
            "relaxed read32",
            run!(memory, bar = memory.mmio().relaxed() => each_offset!(AT => bar.read32::<AT>())),
        )
        .against("read_volatile", raw_read::<u32>()),
    );
    rows.push(
        row(
            "relaxed write32",
            run!(memory, bar = memory.mmio().relaxed(), value = black_box(7) =>
                each_offset!(AT => bar.write32::<AT>(value))),
        )
        .against("write_volatile", raw_write::<u32>(7)),
    );
    rows
}

/// A `SysOrIoMap` in memory, of which nothing is known each time, beside a pointer in memory.
fn either() -> Vec<Row> {
    let row = |name, ours| Row::new(name, Target::MoreInstructions(2), CONSTANTS, ours);
    let raw_read = || {
        run!(memory, base = memory.base() =>
            // SAFETY: the mapping is larger.
            each_offset!(AT => unsafe { load::<u32>(*black_box(&base), AT) }))
    };
    let raw_write = || {
        run!(memory, base = memory.base(), value = black_box(7) =>
            // SAFETY: the mapping is larger.
            each_offset!(AT => unsafe { store::<u32>(*black_box(&base), AT, value) }))
    };
    macro_rules! arms {
        ($($io:literal: $read:literal, $write:literal;)*) => {vec![$(
            row(
                $read,
                run!(memory, map = memory.map($io) => each_offset!(AT => black_box(&map).read32::<AT>())),
            ).against("read_volatile", raw_read()),
            row(
                $write,
                run!(memory, map = memory.map($io), value = black_box(7) =>
                    each_offset!(AT => black_box(&map).write32::<AT>(value))),
            ).against("write_volatile", raw_write()),
        )*]};
    }
    arms! {
        true: "SysOrIoMap::Io read32", "SysOrIoMap::Io write32";
        false: "SysOrIoMap::Sys read32", "SysOrIoMap::Sys write32";
    }
}

fn row_at_run_time(name: &str, ours: Run) -> Row {
    let accesses = u32::try_from(OFFSETS).expect("a small number");
    Row::new(name, Target::Nothing, accesses, ours)
}

fn try_read32() -> Run {
    run!(memory, bar = memory.mmio(), offsets = memory.offsets() =>
        for offset in offsets {
            bar.try_read32(*offset).expect("in bounds");
        }
    )
}

fn try_write32() -> Run {
    run!(memory, bar = memory.mmio(), offsets = memory.offsets(), value = black_box(7) =>
        for offset in offsets {
            bar.try_write32(*offset, value).expect("in bounds");
        }
    )
}

fn run_time_offsets() -> Vec<Row> {
    let read = run!(memory, base = memory.base(), size = memory.size(), offsets = memory.offsets() =>
        for offset in offsets {
            checked_load(base, size, *offset).expect("in bounds");
        }
    );
    let write = run!(memory, base = memory.base(), size = memory.size(), offsets = memory.offsets(),
        value = black_box(7) =>
        for offset in offsets {
            checked_store(base, size, *offset, value).expect("in bounds");
        }
    );
    vec![
        row_at_run_time("try_read32", try_read32()).against("checks and read_volatile", read),
        row_at_run_time("try_write32", try_write32()).against("checks and write_volatile", write),
    ]
}

fn other_crates() -> Vec<Row> {
    let safe_read = run!(memory, registers = &mut memory.safe_mmio() =>
        each_offset!(AT => registers.get(AT / 4).expect("in bounds").read()));
    let safe_write = run!(memory, registers = &mut memory.safe_mmio(), value = black_box(7) =>
        each_offset!(AT => registers.get(AT / 4).expect("in bounds").write(value)));
    let pci_read = run!(memory, bar = memory.pci_driver(), offsets = memory.offsets() =>
        for offset in offsets {
            bar.read_le_u32(u64::try_from(*offset).expect("64 bits")).expect("in bounds");
        }
    );
    let pci_write = run!(memory, bar = memory.pci_driver(), offsets = memory.offsets(), value = black_box(7) =>
        for offset in offsets {
            bar.write_le_u32(u64::try_from(*offset).expect("64 bits"), value).expect("in bounds");
        }
    );
    let row = |name, ours| Row::new(name, Target::Nothing, CONSTANTS, ours);
    vec![
        row(
            "read32, beside safe-mmio",
            run!(memory, bar = memory.mmio() => each_offset!(AT => bar.read32::<AT>())),
        )
        .against("safe-mmio read", safe_read),
        row(
            "write32, beside safe-mmio",
            run!(memory, bar = memory.mmio(), value = black_box(7) =>
                each_offset!(AT => bar.write32::<AT>(value))),
        )
        .against("safe-mmio write", safe_write),
        row_at_run_time("try_read32, beside pci-driver", try_read32())
            .against("pci-driver read_le_u32", pci_read),
        row_at_run_time("try_write32, beside pci-driver", try_write32())
            .against("pci-driver write_le_u32", pci_write),
    ]
}
