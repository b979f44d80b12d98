//! The mistakes that the kernel's Rust I/O layer made, or was saved from by review: none of them here.
//!
//! Every value is checked through an independent alias of the memory, with canaries on both sides.
#![expect(unsafe_code, reason = "makes views of memory that the tests own")]
#![expect(clippy::as_conversions, reason = "shortens made-up test values")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod memory;

use io_core::{
    AccessErrorKind, AccessWidth, Fault, IndirectIo, Io, IoBackend, IoBase, IoCapable, IoCopyable,
    KnownSize, MappingName, Mmio, MmioBackend, MmioRaw, Region, RegionError, SysOrIoMap,
    TryIoCapable, UntypedRegion, Width,
};
use memory::{CANARY, MARGIN, Memory};
use std::{
    cell::{Cell, RefCell},
    mem,
    ptr::{self, without_provenance_mut},
};

/// Runs one test body on every kind of view.
macro_rules! on_every_view {
    ($size:expr, $body:expr) => {{
        let memory = Memory::new($size);
        $body(memory.mmio::<0>(), &memory);
        let memory = Memory::new($size);
        $body(memory.mmio::<0>().relaxed(), &memory);
        let memory = Memory::new($size);
        $body(memory.sys_mem::<0>(), &memory);
        let memory = Memory::new($size);
        $body(SysOrIoMap::from(memory.mmio::<0>()), &memory);
        let memory = Memory::new($size);
        $body(SysOrIoMap::from(memory.sys_mem::<0>()), &memory);
    }};
}

#[test]
fn b1_every_offset_and_width_reaches_its_own_bytes_and_no_other() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u16> + IoCapable<u32> + IoCapable<u64>,
    {
        let value = 0x8877_6655_4433_2211_u64;
        for offset in 0..=memory.size + 8 {
            for width in [1, 2, 4, 8] {
                let mut expected = vec![CANARY; memory.size];
                let written = match width {
                    1 => view.try_write8(offset, value as u8),
                    2 => view.try_write16(offset, value as u16),
                    4 => view.try_write32(offset, value as u32),
                    _ => view.try_write64(offset, value),
                };
                let fits = offset + width <= memory.size && offset % width == 0;
                assert_eq!(written.is_ok(), fits, "{width} bytes at {offset}");
                if fits {
                    expected[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
                }
                memory.assert_is(&expected);
                let read = match width {
                    1 => view.try_read8(offset).map(u64::from),
                    2 => view.try_read16(offset).map(u64::from),
                    4 => view.try_read32(offset).map(u64::from),
                    _ => view.try_read64(offset),
                };
                let mask = u64::MAX >> (64 - 8 * width);
                assert_eq!(
                    read.ok(),
                    fits.then_some(value & mask),
                    "{width} bytes at {offset}"
                );
                for i in offset..(offset + width).min(memory.size) {
                    view.try_write8(i, CANARY).unwrap();
                }
            }
        }
    }

    on_every_view!(24, body);
}

#[test]
fn b1_constant_offsets_reach_the_same_bytes() {
    fn body<'a, V: Io<'a, Target = Region<16>>>(view: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8> + IoCapable<u16> + IoCapable<u32> + IoCapable<u64>,
    {
        view.write8::<1>(0x11);
        view.write16::<2>(0x3322);
        view.write32::<4>(0x7766_5544);
        view.write64::<8>(0xffee_ddcc_bbaa_9988);
        let mut expected = [CANARY; 24];
        expected[1..16].copy_from_slice(&[
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
            0xff,
        ]);
        memory.assert_is(&expected);
        assert_eq!(view.read8::<15>(), 0xff);
        assert_eq!(view.read16::<14>(), 0xffee);
        assert_eq!(view.read32::<12>(), 0xffee_ddcc);
        assert_eq!(view.read64::<8>(), 0xffee_ddcc_bbaa_9988);
    }
    let memory = Memory::new(24);
    body(memory.mmio::<16>(), &memory);
    let memory = Memory::new(24);
    body(memory.sys_mem::<16>(), &memory);
    let memory = Memory::new(24);
    body(SysOrIoMap::from(memory.mmio::<16>()), &memory);
    let memory = Memory::new(24);
    body(SysOrIoMap::from(memory.sys_mem::<16>()), &memory);
}

#[test]
fn b1_firmware_written_byte_by_byte_at_rising_offsets_arrives() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCapable<u8>,
    {
        let image: Vec<u8> = (0..memory.size).map(|i| (i * 7 + 3) as u8).collect();
        for (offset, byte) in image.iter().enumerate() {
            view.try_write8(offset, *byte).unwrap();
        }
        memory.assert_is(&image);
    }
    on_every_view!(if cfg!(miri) { 33 } else { 333 }, body);
}

/// A backend that accesses nothing and writes down the address and width of every access.
enum Recorder {}

/// Its view.
struct View<'a, T: ?Sized>(*mut T, &'a RefCell<Vec<(usize, usize)>>);

impl<T: ?Sized> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for View<'_, T> {}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for View<'a, T> {
    type Backend = Recorder;
    type Target = T;

    fn as_view(self) -> Self {
        self
    }
}

// SAFETY: `as_ptr` gives the pointer in the view, and nothing is ever accessed.
unsafe impl IoBackend for Recorder {
    type View<'a, T: ?Sized + KnownSize + 'a> = View<'a, T>;

    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: View<'a, T>) -> *mut T {
        view.0
    }

    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: View<'a, T>,
        ptr: *mut U,
    ) -> View<'a, U> {
        View(ptr, view.1)
    }
}

impl<T: Default> TryIoCapable<T> for Recorder {
    fn try_io_read(view: View<'_, T>) -> Result<T, Fault> {
        view.1.borrow_mut().push((view.0.addr(), size_of::<T>()));
        Ok(T::default())
    }

    fn try_io_write(view: View<'_, T>, _: T) -> Result<(), Fault> {
        view.1.borrow_mut().push((view.0.addr(), size_of::<T>()));
        Ok(())
    }
}

impl<T: Default> IoCapable<T> for Recorder {
    fn io_read(view: View<'_, T>) -> T {
        Self::try_io_read(view).unwrap()
    }

    fn io_write(view: View<'_, T>, value: T) {
        Self::try_io_write(view, value).unwrap();
    }
}

#[test]
fn b1_the_base_is_added_once() {
    const BASE: usize = 0x4000_1000;
    let log = RefCell::default();
    let view = View(
        Region::<0x40>::try_from_raw_parts(at(BASE), 0x100).unwrap(),
        &log,
    );
    view.try_write8(0x69, 0).unwrap();
    view.try_read64(0xf8).unwrap();
    view.write32::<0x3c>(0);
    assert!(view.try_write8(BASE, 0).is_err(), "an address is no offset");
    assert_eq!(
        log.take(),
        [(BASE + 0x69, 1), (BASE + 0xf8, 8), (BASE + 0x3c, 4)]
    );
}

/// An address at which there is nothing.
fn at(addr: usize) -> *mut u8 {
    without_provenance_mut(addr)
}

#[test]
fn b2_a_write_leaves_its_neighbours_alone_and_a_copy_is_as_long_as_its_slice() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCopyable,
    {
        for start in (0..8).step_by(if cfg!(miri) { 3 } else { 1 }) {
            for len in 0..=memory.size - start {
                let image: Vec<u8> = (0..len).map(|i| (i + start + 1) as u8).collect();
                let mut expected = vec![CANARY; memory.size];
                expected[start..start + len].copy_from_slice(&image);

                view.copy_from_slice(start, &image, AccessWidth::Auto)
                    .unwrap();
                memory.assert_is(&expected);
                let mut back = vec![0; len];
                view.copy_to_slice(start, &mut back, AccessWidth::Auto)
                    .unwrap();
                assert_eq!(back, image);

                let canaries = vec![CANARY; memory.size];
                view.copy_from_slice(0, &canaries, AccessWidth::Auto)
                    .unwrap();
            }
        }
    }
    let size = if cfg!(miri) { 11 } else { 77 };
    on_every_view!(size, body);
    let memory = Memory::new(size);
    body(memory.mmio::<0>().write_combined(), &memory);
}

#[test]
fn an_exact_width_takes_what_fits_it_and_refuses_the_rest_with_nothing_written() {
    fn body<'a, V: Io<'a, Target: UntypedRegion>>(view: V, memory: &Memory)
    where
        V::Backend: IoCopyable,
    {
        for width in [Width::U8, Width::U16, Width::U32, Width::U64] {
            let bytes = width.bytes();
            let exact = AccessWidth::Exact(width);
            for start in (0..8).step_by(if cfg!(miri) { 3 } else { 1 }) {
                for len in 0..=16 {
                    let before = memory.all();
                    let image: Vec<u8> = (0..len).map(|i| (i + start + bytes) as u8).collect();
                    let copied = view.copy_from_slice(start, &image, exact);
                    if start % bytes != 0 {
                        let kind = AccessErrorKind::Misaligned { align: bytes };
                        assert_eq!(copied.unwrap_err().kind(), kind);
                        assert_eq!(memory.all(), before);
                    } else if len % bytes != 0 {
                        let kind = AccessErrorKind::PartialWidth { width };
                        assert_eq!(copied.unwrap_err().kind(), kind);
                        assert_eq!(memory.all(), before);
                    } else {
                        copied.unwrap();
                        assert_eq!(memory.all()[MARGIN + start..][..len], image);
                        let mut back = vec![0; len];
                        view.copy_to_slice(start, &mut back, exact).unwrap();
                        assert_eq!(back, image);
                    }
                }
            }
        }
    }
    on_every_view!(24, body);
    let memory = Memory::new(24);
    body(memory.mmio::<0>().write_combined(), &memory);
}

#[test]
fn b3_a_region_is_refused_unless_it_has_the_size_its_type_promises() {
    const SIZE: usize = 0x100;
    let new = |size| MmioRaw::<Region<SIZE>>::new_region(at(0x1000), size).map(MmioRaw::size);
    assert_eq!(
        new(SIZE - 1),
        Err(RegionError::TooSmall {
            need: SIZE,
            have: SIZE - 1
        })
    );
    assert_eq!(new(SIZE), Ok(SIZE));
    assert_eq!(new(SIZE + 1), Ok(SIZE + 1));
    assert_eq!(
        new(0),
        Err(RegionError::TooSmall {
            need: SIZE,
            have: 0
        })
    );
    let too_large = |addr, size| Err(RegionError::TooLarge { addr, size });
    assert_eq!(new(usize::MAX), too_large(0x1000, usize::MAX));
    // Past the end of the address space, and more than a pointer can be offset by.
    let new = |addr, size| MmioRaw::<Region>::new_region(at(addr), size).map(MmioRaw::size);
    assert_eq!(new(usize::MAX - 7, 16), too_large(usize::MAX - 7, 16));
    assert_eq!(
        new(0, 1 << (usize::BITS - 1)),
        too_large(0, 1 << (usize::BITS - 1))
    );
}

#[test]
fn b4_a_view_owns_nothing_to_tear_down() {
    assert!(!mem::needs_drop::<SysOrIoMap<'_, Region>>());
    let memory = Memory::new(16);
    let (io, sys) = (
        SysOrIoMap::from(memory.mmio::<0>()),
        SysOrIoMap::from(memory.sys_mem::<0>()),
    );
    assert!(matches!(io, SysOrIoMap::Io(_)));
    assert!(matches!(sys, SysOrIoMap::Sys(_)));
}

#[test]
fn b7_b8_the_size_of_a_region_is_its_length_and_is_never_rounded() {
    for len in (0..64).chain([4096, 0x4000_0001, isize::MAX.unsigned_abs() - 0x1000]) {
        assert_eq!(
            Region::<0>::size(Region::try_from_raw_parts(at(0x1000), len).unwrap()),
            len
        );
    }
    let memory = Memory::new(6);
    let view = memory.mmio::<0>();
    assert!(view.try_write16(4, 0xffff).is_ok());
    assert!(view.try_write32(4, 0).is_err());
    assert!(view.try_write64(0, 0).is_err());
    assert!(view.try_write8(6, 0).is_err());
    memory.assert_is(&[CANARY, CANARY, CANARY, CANARY, 0xff, 0xff]);
}

#[test]
fn b9_raw_addresses_go_anywhere_and_views_go_where_references_go() {
    fn goes_anywhere<T: Send + Sync + Copy>() {}
    goes_anywhere::<MmioRaw<Region>>();
    goes_anywhere::<MmioRaw<Cell<u32>>>();
    goes_anywhere::<Mmio<'_, Region>>();
    goes_anywhere::<IndirectIo<'_, Region>>();
    // What must not go anywhere are `compile_fail` examples of `Mmio` and `SysMem`.
}

#[test]
fn b10_the_size_is_the_real_one() {
    let memory = Memory::new(48);
    let view = memory.mmio::<16>();
    assert_eq!(view.size(), 48);
    assert_eq!(Region::<16>::MIN_SIZE, 16);
    assert!(view.try_read64(40).is_ok());
}

#[test]
fn b11_alignment_is_that_of_the_address() {
    let misaligned = RegionError::Misaligned {
        addr: 0x1004,
        align: 8,
    };
    assert_eq!(
        Region::<0>::try_from_raw_parts(at(0x1004), 16),
        Err(misaligned)
    );

    // A backend may have regions that start anywhere: then the base counts.
    #[expect(
        clippy::as_conversions,
        reason = "makes the region that the safe way refuses"
    )]
    let region = ptr::slice_from_raw_parts_mut(at(0x1004), 16) as *mut Region;
    let log = RefCell::default();
    let view = View(region, &log);
    let error = view.try_read64(0).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Misaligned { align: 8 });
    assert!(view.try_read64(4).is_ok());
    assert_eq!(log.take(), [(0x1008, 8)]);
}

#[test]
fn b14_an_error_says_what_was_accessed_where_and_how_large_the_region_is() {
    let log = RefCell::default();
    let view = View(
        Region::<0>::try_from_raw_parts(at(0x7000), 0x40).unwrap(),
        &log,
    );
    assert_eq!(
        view.try_write32(0x3e, 0).unwrap_err().to_string(),
        "4 bytes at offset 0x3e do not fit in the region of 0x40 bytes at 0x7000"
    );
    assert_eq!(
        view.try_read64(usize::MAX).unwrap_err().to_string(),
        format!(
            "8 bytes at offset {:#x} do not fit in the region of 0x40 bytes at 0x7000",
            usize::MAX
        )
    );
    assert_eq!(
        view.try_write16(3, 0).unwrap_err().to_string(),
        "2 bytes at offset 0x3 of the region of 0x40 bytes at 0x7000 do not start at a multiple of 2"
    );
    assert!(log.take().is_empty(), "nothing was accessed");
}

#[test]
fn b14_an_error_names_the_region_and_says_where_in_it_the_view_begins() {
    let memory = Memory::new(64);
    let name = MappingName::new(memory.base(), 64, "BAR 2 of 0000:01:00.0");
    let says = |map: SysOrIoMap<'_, Region>| {
        let whole = map.try_read32(64).unwrap_err().to_string();
        let part = map.subview::<0>(16, 8).unwrap();
        (whole, part.try_read32(6).unwrap_err().to_string())
    };
    let expected = (
        "4 bytes at offset 0x40 do not fit in BAR 2 of 0000:01:00.0 (0x40 bytes)".to_owned(),
        "4 bytes at offset 0x6 do not fit in the 0x8 bytes at 0x10 of BAR 2 of 0000:01:00.0"
            .to_owned(),
    );
    assert_eq!(says(memory.mmio().into()), expected);
    assert_eq!(says(memory.sys_mem().into()), expected);
    let error = memory.mmio::<0>().relaxed().try_read8(64).unwrap_err();
    assert_eq!(error.region().unwrap().name, "BAR 2 of 0000:01:00.0");

    drop(name);
    let error = memory.mmio::<0>().try_read8(64).unwrap_err();
    assert_eq!(error.region(), None);
}

#[test]
fn one_value_behind_a_typed_view_is_read_and_written() {
    let memory = Memory::new(8);
    // SAFETY: the memory lives until the end of the test, and there are no references to it.
    let register = unsafe { Mmio::from_raw(MmioRaw::new(memory.base().cast::<u32>())) };
    register.write_val(0x0403_0201);
    memory.assert_is(&[1, 2, 3, 4, CANARY, CANARY, CANARY, CANARY]);
    assert_eq!((register.read_val(), register.size()), (0x0403_0201, 4));
}

#[test]
fn a_handle_that_gives_another_view_each_time_gains_nothing() {
    /// A large region when it is checked, it hopes, and a small one when it is accessed.
    #[derive(Clone, Copy)]
    struct Fickle<'a>(&'a Cell<bool>, Mmio<'a, Region>, Mmio<'a, Region>);

    impl<'a> IoBase<'a> for Fickle<'a> {
        type Backend = MmioBackend;
        type Target = Region;

        fn as_view(self) -> Mmio<'a, Region> {
            if self.0.replace(true) { self.2 } else { self.1 }
        }
    }

    let (large, small) = (Memory::new(64), Memory::new(16));
    let asked = Cell::new(false);
    let fickle = Fickle(&asked, large.mmio(), small.mmio());
    fickle.try_write32(32, 0x0403_0201).unwrap();
    assert_eq!(large.all()[MARGIN + 32..][..4], [1, 2, 3, 4]);
    asked.set(false);
    fickle
        .copy_from_slice(40, b"firmware", AccessWidth::Auto)
        .unwrap();
    assert_eq!(&large.all()[MARGIN + 40..][..8], b"firmware");
    small.assert_is(&[CANARY; 16]);
}
