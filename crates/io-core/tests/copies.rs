//! Which accesses copies are made of, for every alignment of their start and length.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{
    AccessErrorKind, AccessWidth, IndirectIo, Io, Region, Width,
    sim::{Ram, Recorder},
};

const WIDTHS: [Width; 4] = [Width::U8, Width::U16, Width::U32, Width::U64];
const SIZE: usize = 16 + 64 + 8;

/// The accesses that the documentation promises, written from it: at each place, the widest one that is
/// aligned there and fits in what is left, or the only one that is allowed.
fn promised(start: usize, len: usize, width: AccessWidth) -> Option<Vec<(usize, usize)>> {
    let only = width.only().map(Width::bytes);
    if only.is_some_and(|width| start % width != 0) {
        return None;
    }
    let end = match (width, only) {
        (AccessWidth::Padded(_), Some(width)) => (start + len).next_multiple_of(width),
        (_, Some(width)) if len % width != 0 => return None,
        _ => start + len,
    };
    let mut at = start;
    let mut accesses = Vec::new();
    while at < end {
        let widest = [8, 4, 2, 1]
            .into_iter()
            .find(|w| at % w == 0 && at + w <= end)
            .unwrap();
        let width = only.unwrap_or(widest);
        accesses.push((at, width));
        at += width;
    }
    Some(accesses)
}

/// Every start, length and width.
fn each_copy(body: impl Fn(usize, usize, AccessWidth)) {
    let (starts, lens) = if cfg!(miri) { (7, 21) } else { (1, 1) };
    let exact = WIDTHS.map(AccessWidth::Exact);
    let padded = WIDTHS.map(AccessWidth::Padded);
    for width in [AccessWidth::Auto].into_iter().chain(exact).chain(padded) {
        for start in (0..16).step_by(starts) {
            for len in (0..=64).step_by(lens) {
                body(start, len, width);
            }
        }
    }
}

fn recorded(recorder: &Recorder<&Ram>, writes: bool) -> Vec<(usize, usize)> {
    let accesses = recorder.take();
    assert!(accesses.iter().all(|a| a.write == writes));
    accesses
        .iter()
        .map(|a| (a.at.bytes(), a.width.bytes()))
        .collect()
}

#[test]
fn a_copy_to_a_device_is_made_of_the_promised_writes() {
    each_copy(|start, len, width| {
        let ram = Ram::with_bytes("memory", [0xc5; SIZE]);
        let recorder = Recorder::new(&ram);
        let bar = IndirectIo::<Region>::new(&recorder).unwrap();
        let image: Vec<u8> = (1..=64).take(len).collect();
        let copied = bar.copy_from_slice(start, &image, width);
        let case = format!("{len} bytes at {start}, {width:?}");
        let mut expected = [0xc5; SIZE];
        match promised(start, len, width) {
            Some(accesses) => {
                copied.unwrap();
                assert_eq!(recorded(&recorder, true), accesses, "{case}");
                let end = accesses.last().map_or(start, |(at, width)| at + width);
                expected[start..end].fill(0);
                expected[start..start + len].copy_from_slice(&image);
            }
            None => {
                copied.unwrap_err();
                assert_eq!(recorder.take(), [], "{case}");
            }
        }
        assert_eq!(ram.bytes(), expected, "{case}");
    });
}

#[test]
fn a_copy_from_a_device_is_made_of_the_promised_reads() {
    let image: Vec<u8> = (1..).take(SIZE).collect();
    let ram = Ram::with_bytes("memory", image.clone());
    each_copy(|start, len, width| {
        let recorder = Recorder::new(&ram);
        let bar = IndirectIo::<Region>::new(&recorder).unwrap();
        let mut back = vec![0xc5; len];
        let copied = bar.copy_to_slice(start, &mut back, width);
        let case = format!("{len} bytes at {start}, {width:?}");
        match promised(start, len, width) {
            Some(accesses) => {
                copied.unwrap();
                assert_eq!(recorded(&recorder, false), accesses, "{case}");
                assert_eq!(back, image[start..start + len], "{case}");
                assert_eq!(bar.verify(start, &back, width), Ok(None), "{case}");
            }
            None => {
                copied.unwrap_err();
                assert_eq!(recorder.take(), [], "{case}");
            }
        }
    });
}

#[test]
fn a_fill_is_made_of_the_promised_writes_and_padded_with_zeros() {
    each_copy(|start, len, width| {
        let ram = Ram::with_bytes("memory", [0xc5; SIZE]);
        let recorder = Recorder::new(&ram);
        let bar = IndirectIo::<Region>::new(&recorder).unwrap();
        let filled = bar.fill(start, len, 0x5a, width);
        let case = format!("{len} bytes at {start}, {width:?}");
        let mut expected = [0xc5; SIZE];
        match promised(start, len, width) {
            Some(accesses) => {
                filled.unwrap();
                assert_eq!(recorded(&recorder, true), accesses, "{case}");
                let end = accesses.last().map_or(start, |(at, width)| at + width);
                expected[start..end].fill(0);
                expected[start..start + len].fill(0x5a);
            }
            None => {
                filled.unwrap_err();
                assert_eq!(recorder.take(), [], "{case}");
            }
        }
        assert_eq!(ram.bytes(), expected, "{case}");
    });
}

#[test]
fn padding_must_fit_in_the_region() {
    let ram = Ram::new("memory", 14);
    let bar = IndirectIo::<Region>::new(&ram).unwrap();
    let padded = AccessWidth::Padded(Width::U32);
    let error = bar.copy_from_slice(8, &[1; 5], padded).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::OutOfBounds);
    assert_eq!((error.offset(), error.len()), (8, 8));
    assert_eq!(ram.bytes(), [0; 14]);
    bar.copy_from_slice(8, &[1; 3], padded).unwrap();
    assert_eq!(ram.bytes()[8..], [1, 1, 1, 0, 0, 0]);
}
