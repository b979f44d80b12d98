//! Fields and elements of what views show: each is reached where it is, in its own size, and nothing else is.
//!
//! Every value is checked through an independent alias of the memory, with canaries on both sides.
#![expect(unsafe_code, reason = "makes views of memory that the tests own")]
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and shortens made-up values"
)]

mod memory;

use io_core::{
    AccessError, AccessErrorKind, IndirectIo, Io, IoCapable, Region, SysMem, SysOrIoMap,
    UntypedRegion, io_project, io_read, io_write,
    sim::{Ram, Recorder},
};
use memory::{CANARY, Memory};

/// What a C compiler for x86-64 or aarch64 makes of it: the numbers are the offsets.
#[repr(C)]
struct Mixed {
    before: u8,       // 0
    byte: u8,         // 1
    half: u16,        // 2
    gap: u16,         // 4
    word: u32,        // 8
    bytes: [u8; 3],   // 12
    after: u8,        // 15
    long: u64,        // 16
    pairs: [Pair; 3], // 24, 32, 40
    last: u32,        // 48, and four bytes that no field has
}

#[repr(C)]
struct Pair(u16, u32); // 0, 4; eight bytes

const SIZE: usize = 56;

/// Runs one test body on every kind of view.
macro_rules! on_every_view {
    ($body:expr) => {{
        let memory = Memory::new(SIZE);
        $body(memory.mmio::<0>(), &memory);
        let memory = Memory::new(SIZE);
        $body(memory.mmio::<0>().relaxed(), &memory);
        let memory = Memory::new(SIZE);
        $body(memory.sys_mem::<0>(), &memory);
        let memory = Memory::new(SIZE);
        $body(SysOrIoMap::from(memory.mmio::<0>()), &memory);
        let memory = Memory::new(SIZE);
        $body(SysOrIoMap::from(memory.sys_mem::<0>()), &memory);
    }};
}

/// Asserts that there are `bytes` at `offset` of `memory`, and canaries everywhere else; makes them canaries.
fn assert_written(memory: &Memory, offset: usize, bytes: &[u8]) {
    let mut expected = [CANARY; SIZE];
    expected[offset..offset + bytes.len()].copy_from_slice(bytes);
    memory.assert_is(&expected);
    // SAFETY: the memory has this size, and nothing reads it meanwhile.
    unsafe { memory.base().write_bytes(CANARY, SIZE) };
}

#[test]
fn b2_a_field_is_written_in_its_own_size_and_its_neighbours_live() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u16> + IoCapable<u32> + IoCapable<u64>,
    {
        let mixed = view.try_cast::<Mixed>().unwrap();
        io_write!(mixed, .byte, 0x11);
        assert_written(memory, 1, &[0x11]);
        io_write!(mixed, .half, 0x2211);
        assert_written(memory, 2, &[0x11, 0x22]);
        io_write!(mixed, .word, 0x4433_2211);
        assert_written(memory, 8, &[0x11, 0x22, 0x33, 0x44]);
        io_write!(mixed, .bytes[build: 1], 0x11);
        assert_written(memory, 13, &[0x11]);
        io_write!(mixed, .long, 0x8877_6655_4433_2211);
        assert_written(memory, 16, &0x8877_6655_4433_2211_u64.to_le_bytes());
        io_write!(mixed, .pairs[panic: 1].0, 0x2211);
        assert_written(memory, 32, &[0x11, 0x22]);
        io_write!(mixed, .pairs[build: 2] .1, 0x4433_2211);
        assert_written(memory, 44, &[0x11, 0x22, 0x33, 0x44]);
        io_write!(mixed, .last, 0x4433_2211);
        assert_written(memory, 48, &[0x11, 0x22, 0x33, 0x44]);
    }
    on_every_view!(body);
}

#[test]
fn a_field_is_read_where_it_is() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u16> + IoCapable<u32> + IoCapable<u64>,
    {
        for offset in 0..SIZE {
            // SAFETY: the memory has this size, and nothing reads it meanwhile.
            unsafe { memory.base().wrapping_add(offset).write(offset as u8) };
        }
        let mixed = view.try_cast::<Mixed>().unwrap();
        assert_eq!(io_read!(mixed, .before), 0);
        assert_eq!(io_read!(mixed, .byte), 1);
        assert_eq!(io_read!(mixed, .half), 0x0302);
        assert_eq!(io_read!(mixed, .gap), 0x0504);
        assert_eq!(io_read!(mixed, .word), 0x0b0a_0908);
        assert_eq!(io_read!(mixed, .bytes[panic: 2]), 14);
        assert_eq!(io_read!(mixed, .after), 15);
        assert_eq!(io_read!(mixed, .long), 0x1716_1514_1312_1110);
        assert_eq!(io_read!(mixed, .pairs[build: 1].1), 0x2726_2524);
        assert_eq!(io_read!(mixed, .last), 0x3332_3130);
    }
    on_every_view!(body);
}

#[test]
fn ranges_lead_to_slices() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u16> + IoCapable<u32>,
    {
        let mixed = view.try_cast::<Mixed>().unwrap();
        let tail = io_project!(mixed, .pairs[panic: 1..]);
        assert_eq!(tail.size(), 16);
        io_write!(tail, [panic: 1].0, 0x2211);
        assert_written(memory, 40, &[0x11, 0x22]);
        let middle = io_project!(mixed, .pairs[build: 1..2]);
        io_write!(middle, [panic: 0].0, 0x2211);
        assert_written(memory, 32, &[0x11, 0x22]);
        assert_eq!(io_project!(mixed, .bytes[panic: ..2]).size(), 2);
        assert_eq!(io_project!(mixed, .bytes[panic: ..]).size(), 3);
        assert_eq!(io_project!(mixed, .bytes[panic: 1..=2]).size(), 2);
        assert_eq!(io_project!(mixed, .bytes[panic: ..=0]).size(), 1);
        assert_eq!(io_project!(mixed, .bytes[panic: 3..3]).size(), 0);
    }
    on_every_view!(body);
}

#[test]
fn an_index_out_of_bounds_is_an_error_that_says_where() {
    fn pair(mixed: SysMem<'_, Mixed>, index: usize) -> Result<u32, AccessError> {
        Ok(io_read!(mixed, .pairs[try: index].1))
    }
    fn bytes(mixed: SysMem<'_, Mixed>, from: usize, to: usize) -> Result<usize, AccessError> {
        Ok(io_project!(mixed, .bytes[try: from..to]).size())
    }
    let memory = Memory::new(SIZE);
    let mixed = memory.sys_mem::<0>().try_cast::<Mixed>().unwrap();
    assert!(pair(mixed, 2).is_ok());
    for index in [3, 4, usize::MAX / 8, usize::MAX] {
        let error = pair(mixed, index).unwrap_err();
        assert_eq!(error.kind(), AccessErrorKind::OutOfBounds);
        assert_eq!(error.size(), 24);
    }
    let error = pair(mixed, 3).unwrap_err();
    assert_eq!((error.offset(), error.len()), (24, 8));
    assert_eq!(bytes(mixed, 0, 3), Ok(3));
    assert!(bytes(mixed, 0, 4).is_err());
    assert!(bytes(mixed, 2, 1).is_err());
    assert!(bytes(mixed, 4, usize::MAX).is_err());
}

#[test]
#[should_panic(expected = "do not fit")]
fn a_panicking_index_panics() {
    let memory = Memory::new(SIZE);
    let mixed = memory.sys_mem::<0>().try_cast::<Mixed>().unwrap();
    io_read!(mixed, .bytes[panic: std::hint::black_box(3)]);
}

#[test]
fn a_view_is_cast_only_to_what_fits_and_is_aligned() {
    let memory = Memory::new(SIZE);
    let view = memory.mmio::<0>();
    assert!(view.try_cast::<[u64; 7]>().is_ok());
    let error = view.try_cast::<[u64; 8]>().unwrap_err();
    assert_eq!((error.offset(), error.len(), error.size()), (0, 64, 56));
    #[repr(align(16))]
    struct Wide;
    assert!(view.try_cast::<Wide>().is_ok());
    let half = view.subview::<0>(8, 48).unwrap();
    let error = half.try_cast::<Wide>().unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Misaligned { align: 16 });
}

#[test]
fn what_is_projected_is_evaluated_once() {
    let memory = Memory::new(SIZE);
    let mut asked = 0;
    let mut view = || {
        asked += 1;
        memory.sys_mem::<0>().try_cast::<Mixed>().unwrap()
    };
    io_write!(view(), .pairs[panic: 0].0, 1);
    assert_eq!(asked, 1);
}

#[test]
fn fields_of_a_region_that_is_reached_by_calls_are_where_they_are() {
    let ram = Ram::new("a simulated device", SIZE + 8);
    let recorder = Recorder::new(&ram);
    let view = IndirectIo::<Region>::new(&recorder).unwrap();
    let part = view.subview::<0>(8, SIZE).unwrap();
    let mixed = part.try_cast::<Mixed>().unwrap();
    io_project!(mixed, .pairs[build: 2].1)
        .try_write_val(7)
        .unwrap();
    let accesses = recorder.take();
    assert_eq!(accesses.len(), 1);
    assert_eq!((accesses[0].at.bytes(), accesses[0].width.bytes()), (52, 4));
}

#[test]
fn fields_of_a_union_and_of_a_packed_structure_that_are_aligned_can_be_reached() {
    #[repr(C)]
    union Either {
        word: u32,
        halves: [u16; 2],
    }
    #[repr(C, packed(2))]
    struct Packed {
        half: u16,
        bytes: [u8; 2],
    }
    let memory = Memory::new(SIZE);
    let region = memory.sys_mem::<0>();
    let either = region.try_cast::<Either>().unwrap();
    io_write!(either, .word, 0x4433_2211);
    assert_eq!(io_read!(either, .halves[build: 1]), 0x4433);
    let packed = region.try_cast::<Packed>().unwrap();
    assert_eq!(io_read!(packed, .half), 0x2211);
    assert_eq!(io_read!(packed, .bytes[build: 1]), 0x44);
}
