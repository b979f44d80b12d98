//! Uploads into memory that the test can see from outside.
#![expect(unsafe_code, reason = "makes views of memory that the tests own")]

use firmware::{Sha256, Upload, UploadError};
use io_core::{AccessWidth, Difference, Mmio, MmioRaw, Region, SysOrIoMap, Width};

const SIZE: usize = 1 << 20;

/// A stand-in for a BAR, which is device memory to whoever uses it.
struct Bar(Box<[u64]>);

impl Bar {
    fn new() -> Self {
        Self(vec![u64::MAX; SIZE / 8].into())
    }

    fn map(&mut self) -> SysOrIoMap<'_, Region> {
        let raw = MmioRaw::new_region(self.0.as_mut_ptr().cast(), SIZE).expect("aligned");
        // SAFETY: the memory is live and used through this view alone while `self` is borrowed.
        unsafe { Mmio::from_raw(raw) }.into()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }
}

fn image(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from(i * 31 % 251).expect("below 251"))
        .collect()
}

#[test]
fn an_image_arrives_whole_and_alone() {
    for width in [AccessWidth::Auto, AccessWidth::Exact(Width::U8)] {
        let (mut bar, image) = (Bar::new(), image(700_001));
        let map = bar.map();
        let upload = Upload::new(map, 0x103, &image, width).unwrap();
        let (mut written, mut read) = (Vec::new(), Vec::new());
        upload.write(|done| written.push(done)).unwrap();
        let back = upload.read_back(|done| read.push(done)).unwrap();

        assert_eq!(back.difference, None);
        assert_eq!(back.sha256, Sha256::of(&image));
        assert_eq!(written, [262_144, 524_288, 700_001]);
        assert_eq!(read, written);
        let mut expected = vec![0xff; SIZE];
        expected[0x103..0x103 + image.len()].copy_from_slice(&image);
        assert!(bar.bytes() == expected, "the image, and nothing around it");
    }
}

#[test]
fn the_first_difference_is_found_wherever_it_is() {
    let image = image(600_000);
    for at in [0, 262_143, 262_144, 599_999] {
        let mut bar = Bar::new();
        Upload::new(bar.map(), 0, &image, AccessWidth::Auto)
            .unwrap()
            .write(|_| {})
            .unwrap();
        let mut flipped = vec![at, 599_999];
        flipped.dedup();
        for byte in flipped {
            bar.0[byte / 8] ^= 1 << (byte % 8 * 8);
        }
        let map = bar.map();
        let back = Upload::new(map, 0, &image, AccessWidth::Auto)
            .unwrap()
            .read_back(|_| {})
            .unwrap();
        let (expected, found) = (image[at], image[at] ^ 1);
        assert_eq!(
            back.difference,
            Some(Difference {
                offset: at,
                expected,
                found
            })
        );
        assert_ne!(back.sha256, Sha256::of(&image));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_nothing_written() {
    let mut bar = Bar::new();
    let map = bar.map();
    let new = |offset, len, width| Upload::new(map, offset, &image(len), width).map(drop);
    let u32 = AccessWidth::Exact(Width::U32);
    let too_large = |image, offset, room| {
        Err(UploadError::TooLarge {
            image,
            offset,
            room,
        })
    };

    assert_eq!(new(0, SIZE, u32), Ok(()));
    assert_eq!(
        new(0, SIZE + 1, AccessWidth::Auto),
        too_large(SIZE + 1, 0, SIZE)
    );
    assert_eq!(new(16, SIZE, u32), too_large(SIZE, 16, SIZE - 16));
    assert_eq!(
        new(SIZE + 1, 1, AccessWidth::Auto),
        too_large(1, SIZE + 1, 0)
    );
    assert_eq!(
        new(usize::MAX, 1, AccessWidth::Auto),
        too_large(1, usize::MAX, 0)
    );
    assert_eq!(
        new(2, 4, u32),
        Err(UploadError::Offset {
            offset: 2,
            width: 4
        })
    );
    assert_eq!(
        new(4, 6, u32),
        Err(UploadError::Length { image: 6, width: 4 })
    );
    let padded = AccessWidth::Padded(Width::U32);
    assert_eq!(new(4, 6, padded), Ok(()));
    assert_eq!(new(SIZE - 8, 9, padded), too_large(12, SIZE - 8, 8));
    assert_eq!(new(0, 0, AccessWidth::Auto), Err(UploadError::Empty));
    assert!(bar.bytes().iter().all(|byte| *byte == 0xff));
}
