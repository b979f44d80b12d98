//! A BAR of which some areas are mapped: which access goes where.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unsafe_code, reason = "maps memory that stands for a device's")]

#[expect(dead_code, reason = "its views are for other tests")]
mod memory;

use io_core::{
    AccessErrorKind, AccessWidth, Bar, ErrorKind, Fault, Io, MmioRaw,
    sim::{Ram, Recorder},
};
use memory::{CANARY, Memory};
use std::sync::Arc;

/// Memory for an area of 16 bytes at 16 and one of 12 bytes at 40, the region of 64 bytes that has calls for all of it, and
/// the BAR of both. On a device they would be the same memory; here it is seen which of them an access reaches.
fn parts() -> ([Memory; 2], Arc<Recorder<Ram>>, Bar) {
    let memory = [16, 12].map(Memory::new);
    let areas = [16, 40].into_iter().zip(&memory).map(|(start, memory)| {
        let raw = MmioRaw::new_region(memory.base(), memory.size).unwrap();
        // SAFETY: the tests keep the memory as long as the BAR, and make no references to it.
        (start, unsafe { Bar::mapped(raw, "an area of BAR 2", ()) })
    });
    let calls = Arc::new(Recorder::new(Ram::new("BAR 2", 64)));
    let bar = Bar::sparse(areas.collect(), Arc::clone(&calls));
    (memory, calls, bar)
}

#[test]
fn an_access_reaches_the_area_that_has_all_of_it_and_is_a_call_otherwise() {
    let (memory, calls, bar) = parts();
    let io = bar.io::<64>().unwrap();
    let image: Vec<u8> = (0..64).collect();
    io.copy_from_slice(0, &image, AccessWidth::Auto).unwrap();
    memory[0].assert_is(&image[16..32]);
    // 8 bytes at 48 are not all in the second area, which ends at 52.
    memory[1].assert_is(&[&image[40..48], &[CANARY; 4]].concat());
    let by_call: Vec<usize> = calls.take().iter().map(|call| call.at.bytes()).collect();
    assert_eq!(by_call, [0, 8, 32, 48, 56]);

    io.try_write32(48, 0x3332_3130).unwrap();
    memory[1].assert_is(&image[40..52]);
    let mut back = [0; 64];
    io.copy_to_slice(0, &mut back, AccessWidth::Exact(io_core::Width::U32))
        .unwrap();
    assert_eq!(back, image[..]);
    let by_call: Vec<usize> = calls.take().iter().map(|call| call.at.bytes()).collect();
    assert_eq!(by_call, [0, 4, 8, 12, 32, 36, 52, 56, 60]);
}

#[test]
fn it_has_the_size_and_the_name_of_the_whole_region() {
    let (_memory, _, bar) = parts();
    assert_eq!(bar.size(), 64);
    assert!(bar.io::<65>().is_err());
    let error = bar.io::<64>().unwrap().try_read32(64).unwrap_err();
    assert_eq!(
        error.to_string(),
        "4 bytes at offset 0x40 do not fit in BAR 2 (0x40 bytes)"
    );
    let error = bar.mmio::<16>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "BAR 2 is mapped in parts only");
}

#[test]
fn an_area_of_a_lost_device_says_so() {
    let (_memory, _, bar) = parts();
    let io = bar.io::<64>().unwrap();
    assert!(!bar.is_lost());
    bar.set_lost(true);
    assert!(bar.is_lost());
    let error = io.try_write8(16, 1).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Fault(Fault::Lost));
    assert_eq!(error.offset(), 16, "in the BAR, not in the area");
    bar.set_lost(false);
    io.try_write8(16, 1).unwrap();
}
