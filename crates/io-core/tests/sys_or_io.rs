//! What a `SysOrIoMap` does, by the same test body on both of its arms.
#![expect(unsafe_code, reason = "makes views of memory that the tests own")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod memory;

use io_core::{AccessErrorKind, AccessWidth, Cursor, Difference, Io, Region, SysOrIoMap, Width};
use memory::{CANARY, Memory};

const SIZE: usize = if cfg!(miri) { 27 } else { 77 };

fn on_both_arms(body: impl Fn(SysOrIoMap<'_, Region>, &Memory)) {
    let memory = Memory::new(SIZE);
    body(memory.mmio::<0>().into(), &memory);
    let memory = Memory::new(SIZE);
    body(memory.sys_mem::<0>().into(), &memory);
}

#[test]
fn fill_sets_its_bytes_and_no_other() {
    on_both_arms(|map, memory| {
        for start in 0..9 {
            for len in 0..=SIZE - start {
                let mut expected = vec![CANARY; SIZE];
                expected[start..start + len].fill(0x5a);
                map.fill(start, len, 0x5a, AccessWidth::Auto).unwrap();
                memory.assert_is(&expected);
                map.fill(0, SIZE, CANARY, AccessWidth::Auto).unwrap();
            }
            let past = map
                .fill(start, SIZE - start + 1, 0, AccessWidth::Auto)
                .unwrap_err();
            assert_eq!(past.kind(), AccessErrorKind::OutOfBounds);
        }
        let u32 = AccessWidth::Exact(Width::U32);
        let misaligned = map.fill(2, 4, 0, u32).unwrap_err();
        assert_eq!(misaligned.kind(), AccessErrorKind::Misaligned { align: 4 });
        let partial = map.fill(4, 6, 0, u32).unwrap_err();
        assert_eq!(
            partial.kind(),
            AccessErrorKind::PartialWidth { width: Width::U32 }
        );
        memory.assert_is(&[CANARY; SIZE]);
    });
}

#[test]
fn what_is_no_whole_number_of_accesses_is_padded_with_zeros() {
    let padded = AccessWidth::Padded(Width::U32);
    on_both_arms(|map, memory| {
        map.copy_from_slice(4, &[1, 2, 3, 4, 5], padded).unwrap();
        map.fill(16, 6, 0x5a, padded).unwrap();
        let mut expected = [CANARY; SIZE];
        expected[4..12].copy_from_slice(&[1, 2, 3, 4, 5, 0, 0, 0]);
        expected[16..24].copy_from_slice(&[0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0, 0]);
        memory.assert_is(&expected);
        let mut back = [0; 5];
        map.copy_to_slice(4, &mut back, padded).unwrap();
        assert_eq!(back, [1, 2, 3, 4, 5]);
        assert_eq!(map.verify(4, &back, padded), Ok(None));

        let kind = |offset, len| {
            map.copy_from_slice(offset, &[0; SIZE][..len], padded)
                .unwrap_err()
                .kind()
        };
        assert_eq!(kind(2, 4), AccessErrorKind::Misaligned { align: 4 });
        let last = SIZE - SIZE % 4;
        assert_eq!(
            kind(last, SIZE % 4),
            AccessErrorKind::OutOfBounds,
            "the padding"
        );
        memory.assert_is(&expected);
    });
}

#[test]
fn verify_finds_the_first_byte_that_differs() {
    let memory = Memory::new(1200);
    for map in [
        SysOrIoMap::from(memory.mmio::<0>()),
        memory.sys_mem::<0>().into(),
    ] {
        let image: Vec<u8> = (0..=250).cycle().take(1100).collect();
        map.copy_from_slice(3, &image, AccessWidth::Auto).unwrap();
        assert_eq!(map.verify(3, &image, AccessWidth::Auto), Ok(None));
        for at in [1099, 512, 511, 0] {
            map.try_write8(3 + at, 0xff).unwrap();
            let difference = Difference {
                offset: at,
                expected: image[at],
                found: 0xff,
            };
            assert_eq!(
                map.verify(3, &image, AccessWidth::Auto),
                Ok(Some(difference))
            );
        }
        assert!(map.verify(101, &image, AccessWidth::Auto).is_err());
        assert!(
            map.verify(3, &image, AccessWidth::Exact(Width::U16))
                .is_err()
        );
    }
}

#[test]
fn a_subview_begins_and_ends_where_it_says() {
    on_both_arms(|map, memory| {
        let part = map.subview::<8>(8, 10).unwrap();
        assert_eq!(part.size(), 10);
        part.write64::<0>(0x0807_0605_0403_0201);
        part.try_write8(9, 9).unwrap();
        assert!(part.try_write8(10, 0).is_err());
        let mut expected = [CANARY; SIZE];
        expected[8..16].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        expected[17] = 9;
        memory.assert_is(&expected);

        let kind = |offset, len| map.subview::<8>(offset, len).unwrap_err().kind();
        assert_eq!(kind(4, 8), AccessErrorKind::Misaligned { align: 8 });
        assert_eq!(kind(8, 7), AccessErrorKind::TooShort { need: 8 });
        assert_eq!(kind(8, SIZE - 7), AccessErrorKind::OutOfBounds);
        assert_eq!(kind(usize::MAX - 7, 8), AccessErrorKind::OutOfBounds);
    });
}

#[test]
fn the_same_location_is_of_the_same_kind_address_and_size() {
    let memory = Memory::new(SIZE);
    let io = SysOrIoMap::from(memory.mmio::<0>());
    let sys = SysOrIoMap::from(memory.sys_mem::<0>());
    assert!(io.same_location(io) && sys.same_location(sys));
    assert!(
        io.same_location(SysOrIoMap::from(memory.mmio::<16>())),
        "whatever its type says"
    );
    assert!(
        !io.same_location(sys),
        "one memory, and two ways to reach it"
    );
    for map in [io, sys] {
        assert!(!map.same_location(map.subview::<0>(0, SIZE - 1).unwrap()));
        assert!(!map.same_location(map.subview::<0>(8, SIZE - 8).unwrap()));
    }
    assert!(io.as_io().is_some() && io.as_sys().is_none());
    assert!(sys.as_io().is_none() && sys.as_sys().is_some());
}

#[test]
fn a_cursor_goes_from_copy_to_copy_and_stays_within() {
    on_both_arms(|map, memory| {
        let mut cursor = Cursor::new(map, AccessWidth::Auto);
        cursor.write(&[1, 2, 3]).unwrap();
        cursor.fill(4, 0).unwrap();
        cursor.write(&[8]).unwrap();
        assert_eq!((cursor.position(), cursor.remaining()), (8, SIZE - 8));
        let mut expected = [CANARY; SIZE];
        expected[..8].copy_from_slice(&[1, 2, 3, 0, 0, 0, 0, 8]);
        memory.assert_is(&expected);

        assert!(cursor.write(&[0; SIZE]).is_err());
        assert!(cursor.fill(SIZE - 7, 0).is_err());
        assert_eq!(cursor.position(), 8, "it stays");
        let mut rest = [0; SIZE - 8];
        cursor.read(&mut rest).unwrap();
        assert_eq!(rest, [CANARY; SIZE - 8]);
        assert_eq!(cursor.remaining(), 0);
        assert!(cursor.read(&mut [0]).is_err());
        cursor.write(&[]).unwrap();
        memory.assert_is(&expected);
    });
}

#[test]
fn a_flush_reads_from_a_device_and_from_nothing_else() {
    on_both_arms(|map, memory| {
        map.flush(8, Width::U64).unwrap();
        let past = map.flush(SIZE, Width::U8);
        assert_eq!(
            past.is_err(),
            map.as_io().is_some(),
            "where it reads, it is checked"
        );
        memory.assert_is(&[CANARY; SIZE]);
    });
}
