//! Accessors, each in a function of its own: `cargo xtask test` looks at the instructions they become.
//!
//! ```console
//! $ cargo rustc --package outboard-io-core --example accessors --release -- --emit asm
//! ```

use io_core::{AccessWidth, Io, Mmio, MmioRaw, Region, SysMem, SysOrIoMap, Width};
use std::hint::black_box;

type Bar<'a> = Mmio<'a, Region<16>>;

#[inline(never)]
fn ordered_read(bar: Bar<'_>) -> u32 {
    bar.read32::<8>()
}

#[inline(never)]
fn ordered_write(bar: Bar<'_>, value: u32) {
    bar.write32::<8>(value);
}

#[inline(never)]
fn relaxed_read(bar: Bar<'_>) -> u32 {
    bar.relaxed().read32::<8>()
}

#[inline(never)]
fn relaxed_write(bar: Bar<'_>, value: u32) {
    bar.relaxed().write32::<8>(value);
}

/// The two that a descriptor and its doorbell take.
#[inline(never)]
fn doorbell(descriptor: &mut u32, bar: Bar<'_>) {
    *descriptor = 1;
    bar.write32::<8>(1);
}

#[inline(never)]
fn either_read(map: SysOrIoMap<'_, Region<16>>) -> u32 {
    map.read32::<8>()
}

#[inline(never)]
fn either_write(map: SysOrIoMap<'_, Region<16>>, value: u32) {
    map.write32::<8>(value);
}

#[inline(never)]
fn copy_words(bar: Bar<'_>, image: &[u8]) -> bool {
    bar.copy_from_slice(0, image, AccessWidth::Exact(Width::U32))
        .is_ok()
}

/// What was copied to memory that a device may write is read from there again.
#[inline(never)]
fn copied_back(memory: SysMem<'_, Region<16>>, byte: u8) -> u8 {
    let mut back = [0];
    let copied = memory.copy_from_slice(0, &[byte], AccessWidth::Auto);
    let read = memory.copy_to_slice(0, &mut back, AccessWidth::Auto);
    assert!(copied.is_ok() && read.is_ok());
    let [back] = back;
    back
}

fn main() {
    let mut memory = [0u64; 2];
    let raw = MmioRaw::new_region(memory.as_mut_ptr().cast(), 16).expect("aligned");
    #[expect(unsafe_code, reason = "stands in for a backend that maps a BAR")]
    // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
    let bar = black_box(unsafe { Mmio::from_raw(raw) });
    let mut descriptor = 0;
    doorbell(&mut descriptor, bar);
    ordered_write(bar, black_box(descriptor) + 1);
    relaxed_write(bar, ordered_read(bar) + 1);
    either_write(bar.into(), relaxed_read(bar) + 1);
    assert_eq!((relaxed_read(bar), either_read(bar.into())), (4, 4));
    assert!(copy_words(bar, black_box(b"firmware")));

    let mut buffer = [0u64; 2];
    let region = Region::try_from_raw_parts(buffer.as_mut_ptr().cast(), 16).expect("aligned");
    #[expect(unsafe_code, reason = "stands in for a buffer of a device")]
    // SAFETY: `buffer` is live, and nothing else uses it, for as long as `shared` is used.
    let shared = black_box(unsafe { SysMem::from_raw(region) });
    assert_eq!(copied_back(shared, black_box(7)), 7);
}
