//! An image into plain memory: checked, written, read back.

use io_core::{AccessError, AccessWidth, Difference, Io, Region, SysOrIoMap, Width};
use sha2::Digest;
use std::fmt;

/// How many bytes go between two reports of progress. A multiple of every access width.
const CHUNK: usize = 256 << 10;

/// An image on its way into memory, known to fit there.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    target: SysOrIoMap<'a, Region>,
    offset: usize,
    image: &'a [u8],
    width: AccessWidth,
}

impl<'a> Upload<'a> {
    /// The upload of `image` to `offset` (in bytes) of `target`, by accesses of `width`.
    ///
    /// Nothing is written yet.
    ///
    /// # Errors
    ///
    /// The image is empty or does not fit in what `target` has from `offset` on, or `width` is exact
    /// and the offset or the length of the image is no multiple of it.
    pub fn new(
        target: SysOrIoMap<'a, Region>,
        offset: usize,
        image: &'a [u8],
        width: AccessWidth,
    ) -> Result<Self, UploadError> {
        Self::check(target.size(), offset, image.len(), width)?;
        Ok(Self {
            target,
            offset,
            image,
            width,
        })
    }

    /// Whether an image of `len` bytes could be uploaded to `offset` of memory of `size` bytes: what
    /// [`new`](Self::new) checks, for memory that nothing has opened yet.
    ///
    /// # Errors
    ///
    /// As for `new`.
    pub fn check(
        size: usize,
        offset: usize,
        len: usize,
        width: AccessWidth,
    ) -> Result<(), UploadError> {
        let room = size.saturating_sub(offset);
        if len == 0 {
            return Err(UploadError::Empty);
        }
        if width.padded(len) > room {
            return Err(UploadError::TooLarge {
                image: width.padded(len),
                offset,
                room,
            });
        }
        let bytes = width.only().map_or(1, Width::bytes);
        if offset % bytes != 0 {
            let width = bytes;
            return Err(UploadError::Offset { offset, width });
        }
        match width {
            AccessWidth::Exact(_) if len % bytes != 0 => Err(UploadError::Length {
                image: len,
                width: bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Writes the image, in ascending order. `progress` is told how many bytes are written so far.
    ///
    /// # Errors
    ///
    /// An access did not get through; everything before it is written.
    pub fn write(&self, mut progress: impl FnMut(usize)) -> Result<(), AccessError> {
        let mut done = 0;
        for chunk in self.image.chunks(CHUNK) {
            self.target
                .copy_from_slice(self.offset + done, chunk, self.width)?;
            done += chunk.len();
            progress(done);
        }
        Ok(())
    }

    /// Reads all of it back and compares. `progress` is told how many bytes are read so far.
    ///
    /// Reading from a device also makes sure that everything written to it before has arrived (PCI
    /// Local Bus 3.0 section 3.2.5).
    ///
    /// # Errors
    ///
    /// An access did not get through.
    pub fn read_back(&self, mut progress: impl FnMut(usize)) -> Result<ReadBack, AccessError> {
        let mut hash = sha2::Sha256::new();
        let mut difference = None;
        let mut done = 0;
        let mut buffer = vec![0; CHUNK.min(self.image.len())];
        for expected in self.image.chunks(CHUNK) {
            buffer.truncate(expected.len());
            self.target
                .copy_to_slice(self.offset + done, &mut buffer, self.width)?;
            hash.update(&buffer);
            if difference.is_none() {
                difference = Difference::first(expected, &buffer);
                difference = difference.map(|d| Difference {
                    offset: done + d.offset,
                    ..d
                });
            }
            done += expected.len();
            progress(done);
        }
        Ok(ReadBack {
            sha256: Sha256(hash.finalize().into()),
            difference,
        })
    }
}

/// What was found in the memory after an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBack {
    /// Of the bytes that were read back.
    pub sha256: Sha256,
    /// The first byte that differs from the image.
    pub difference: Option<Difference>,
}

/// A SHA-256 hash (FIPS 180-4). Shown as sha256sum shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Of these bytes.
    ///
    /// ```
    /// let hash = firmware::Sha256::of(b"abc").to_string();
    /// assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    /// ```
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why an image cannot be uploaded. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadError {
    /// The image has no bytes.
    Empty,
    /// The image has more bytes than the memory from the offset on.
    TooLarge {
        /// The size of the image, in bytes, padding included.
        image: usize,
        /// Where it was to go.
        offset: usize,
        /// How many bytes there are from there on.
        room: usize,
    },
    /// The offset is no multiple of the exact access width.
    Offset {
        /// The offset, in bytes.
        offset: usize,
        /// The width, in bytes.
        width: usize,
    },
    /// The image is no whole number of accesses of the exact width.
    Length {
        /// The size of the image, in bytes.
        image: usize,
        /// The width, in bytes.
        width: usize,
    },
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the image is empty"),
            Self::TooLarge {
                image,
                offset,
                room,
            } => {
                write!(
                    f,
                    "the image takes {image} bytes, and {room} fit at offset {offset:#x}"
                )
            }
            Self::Offset { offset, width } => {
                write!(
                    f,
                    "offset {offset:#x} is no multiple of the access width, {width} bytes"
                )
            }
            Self::Length { image, width } => write!(
                f,
                "the image has {image} bytes, which is no multiple of the access width, {width} bytes"
            ),
        }
    }
}

impl std::error::Error for UploadError {}
