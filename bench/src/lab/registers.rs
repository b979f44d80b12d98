//! Registers of a BAR that VFIO has mapped, beside raw volatile accesses and pci-driver.
#![expect(unsafe_code, reason = "raw volatile accesses are the rival")]

use std::hint::black_box;

use io_core::Io;
use outboard_bench::Target;
use pci_driver::regions::{PciMemoryRegion, PciRegion, Permissions};

use crate::contest::Contest;
use crate::{Result, bound};

/// ivshmem-plain, whose BAR 2 is memory, and edu, whose BAR 0 are registers that QEMU emulates.
const MEMORY: (&str, u8) = ("0000:00:10.0", 2);
const EMULATED: (&str, u8) = ("0000:00:03.0", 0);

/// What is known of either at compile time.
const KNOWN: usize = 0x1000;

/// How many accesses there are in a pass.
const ACCESSES: u32 = 16;

/// No slower, to the hundredth that the turns can tell.
const NO_SLOWER: Target = Target::Time(1.01);

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

/// A side that does `$body` in each pass, with `$name` of which the compiler knows nothing.
macro_rules! side {
    ($name:ident => $body:expr) => {
        &mut |passes: u32| {
            let $name = black_box($name);
            for _ in 0..passes {
                $body
            }
        }
    };
}

pub fn rows(contest: &Contest<'_>) -> Result<()> {
    memory(contest)?;
    emulated(contest)
}

fn memory(contest: &Contest<'_>) -> Result<()> {
    let names = [
        "BAR of memory, read32",
        "BAR of memory, write32",
        "BAR of memory, try_read32",
        "BAR of memory, try_write32",
    ];
    if !names.iter().any(|name| contest.wants(name)) {
        return Ok(());
    }
    let device = bound::open(MEMORY.0, contest.mode)?;
    let bar = device.bar(MEMORY.1)?;
    let (io, any) = (bar.mmio::<KNOWN>()?, bar.io::<KNOWN>()?);
    let base = bound::start(&bar)?;
    let offsets: [u64; 16] = std::array::from_fn(|index| u64::try_from(index * 8).unwrap_or(0));
    let places = offsets.map(|offset| usize::try_from(offset).unwrap_or(0));
    // SAFETY: it is mapped for as long as `bar` lives.
    let theirs = unsafe { PciMemoryRegion::new_raw(base, bar.size(), Permissions::ReadWrite) };
    let theirs = &theirs;
    let [read, write, try_read, try_write] = names;
    if contest.wants(read) {
        let ours = side!(io => each_offset!(AT => io.read32::<AT>()));
        // SAFETY: there are `KNOWN` bytes, mapped and aligned.
        let raw = side!(base => each_offset!(AT => unsafe { load(base, AT) }));
        contest.row((read, "read_volatile"), NO_SLOWER, ACCESSES, (ours, raw));
    }
    if contest.wants(write) {
        let ours = side!(io => each_offset!(AT => io.write32::<AT>(7)));
        // SAFETY: there are `KNOWN` bytes, mapped and aligned.
        let raw = side!(base => each_offset!(AT => unsafe { store(base, AT, 7) }));
        contest.row((write, "write_volatile"), NO_SLOWER, ACCESSES, (ours, raw));
    }
    if contest.wants(try_read) {
        let ours = side!(any => for at in black_box(&places) {
            any.try_read32(*at).expect("in bounds");
        });
        let other = side!(theirs => for at in black_box(&offsets) {
            theirs.read_le_u32(*at).expect("in bounds");
        });
        contest.row(
            (try_read, "pci-driver"),
            Target::Nothing,
            ACCESSES,
            (ours, other),
        );
    }
    if contest.wants(try_write) {
        let ours = side!(any => for at in black_box(&places) {
            any.try_write32(*at, 7).expect("in bounds");
        });
        let other = side!(theirs => for at in black_box(&offsets) {
            theirs.write_le_u32(*at, 7).expect("in bounds");
        });
        contest.row(
            (try_write, "pci-driver"),
            Target::Nothing,
            ACCESSES,
            (ours, other),
        );
    }
    Ok(())
}

/// A register that is read by leaving the emulated processor; its offset is that of edu's identification.
fn emulated(contest: &Contest<'_>) -> Result<()> {
    let what = "emulated register, read32";
    if !contest.wants(what) {
        return Ok(());
    }
    let device = bound::open(EMULATED.0, contest.mode)?;
    let bar = device.bar(EMULATED.1)?;
    let io = bar.mmio::<KNOWN>()?;
    let base = bound::start(&bar)?;
    let ours = side!(io => {
        io.read32::<0>();
    });
    let raw = side!(base => {
        // SAFETY: there are `KNOWN` bytes, mapped and aligned.
        unsafe { load(base, 0) };
    });
    contest.row((what, "read_volatile"), NO_SLOWER, 1, (ours, raw));
    Ok(())
}

/// One volatile load.
///
/// # Safety
///
/// There are four bytes at `at` of `base`, aligned.
#[inline(always)]
unsafe fn load(base: *mut u8, at: usize) -> u32 {
    // SAFETY: the caller has shown it.
    unsafe { base.wrapping_add(at).cast::<u32>().read_volatile() }
}

/// One volatile store.
///
/// # Safety
///
/// There are four bytes at `at` of `base`, aligned.
#[inline(always)]
unsafe fn store(base: *mut u8, at: usize, value: u32) {
    // SAFETY: the caller has shown it.
    unsafe { base.wrapping_add(at).cast::<u32>().write_volatile(value) };
}
