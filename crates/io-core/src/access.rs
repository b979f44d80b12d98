//! The widths an access may have, and what is wrong with one that cannot be made.

use std::fmt;

/// The width of one access to a device: 1, 2, 4 or 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// One byte.
    U8,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
    /// Eight bytes.
    U64,
}

impl Width {
    /// Every width, the widest first.
    pub(crate) const WIDEST_FIRST: [Width; 4] = [Width::U64, Width::U32, Width::U16, Width::U8];

    /// The width in bytes.
    ///
    /// ```
    /// assert_eq!(io_core::Width::U32.bytes(), 4);
    /// ```
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Width::U8 => 1,
            Width::U16 => 2,
            Width::U32 => 4,
            Width::U64 => 8,
        }
    }

    /// The width of this many bytes, if an access can have it.
    ///
    /// ```
    /// use io_core::Width;
    /// assert_eq!(Width::from_bytes(4), Some(Width::U32));
    /// assert_eq!(Width::from_bytes(3), None);
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Width> {
        match bytes {
            1 => Some(Width::U8),
            2 => Some(Width::U16),
            4 => Some(Width::U32),
            8 => Some(Width::U64),
            _ => None,
        }
    }
}

/// Which accesses a bulk copy to or from device memory is made of.
///
/// Some device memories accept one width only, and lose or garble anything else; a copy says what it
/// wants. On system memory a copy is a `memcpy`, and the width only decides what is refused, so that
/// both sides of a [`SysOrIoMap`](crate::SysOrIoMap) accept the same calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum AccessWidth {
    /// The widest naturally aligned access that fits, up to eight bytes.
    #[default]
    Auto,
    /// This width alone. A start that is not aligned to it, or a length that is not a multiple of
    /// it, is refused.
    Exact(Width),
}

/// An access that was not made, because it does not fit its region.
///
/// It carries everything needed to find the mistake: the offset and length that were asked for, and
/// the address and size of the region.
///
/// ```
/// use io_core::{Io, Region, SysMem};
///
/// let mut memory = [0u64; 2];
/// let region = Region::<0>::try_from_raw_parts(memory.as_mut_ptr().cast(), 16)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `map` is used.
/// let map = unsafe { SysMem::from_raw(region) };
///
/// let error = map.try_read32(0x0e).unwrap_err();
/// assert_eq!((error.offset(), error.len(), error.size()), (0x0e, 4, 16));
/// assert!(error.to_string().starts_with("4 bytes at offset 0xe do not fit"));
/// # Ok::<(), io_core::RegionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessError {
    kind: AccessErrorKind,
    offset: usize,
    len: usize,
    base: usize,
    size: usize,
}

/// What is wrong with an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessErrorKind {
    /// It ends after the region does.
    OutOfBounds,
    /// Its address is not a multiple of this many bytes.
    Misaligned {
        /// The alignment that the access needs, in bytes.
        align: usize,
    },
    /// It is shorter than its type promises.
    TooShort {
        /// The length that the type promises, in bytes.
        need: usize,
    },
    /// Its length is not a multiple of the width that was asked for.
    PartialWidth {
        /// That width.
        width: Width,
    },
}

impl AccessError {
    pub(crate) fn new(
        kind: AccessErrorKind,
        (offset, len): (usize, usize),
        (base, size): (usize, usize),
    ) -> Self {
        Self {
            kind,
            offset,
            len,
            base,
            size,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> AccessErrorKind {
        self.kind
    }

    /// The offset from the start of the region, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The length of the access, in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of an access, not of a container"
    )]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of the region in this process.
    #[must_use]
    pub fn base(&self) -> usize {
        self.base
    }

    /// The size of the region, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            offset,
            len,
            base,
            size,
        } = *self;
        let unit = if len == 1 { "byte" } else { "bytes" };
        let region = format!("the region of {size:#x} bytes at {base:#x}");
        match kind {
            AccessErrorKind::OutOfBounds => {
                write!(
                    f,
                    "{len} {unit} at offset {offset:#x} do not fit in {region}"
                )
            }
            AccessErrorKind::Misaligned { align } => write!(
                f,
                "{len} {unit} at offset {offset:#x} of {region} do not start at a multiple of {align}"
            ),
            AccessErrorKind::TooShort { need } => write!(
                f,
                "{len} {unit} at offset {offset:#x} of {region} are less than the {need} that are needed"
            ),
            AccessErrorKind::PartialWidth { width } => write!(
                f,
                "{len} {unit} at offset {offset:#x} of {region} are no whole number of {}-byte accesses",
                width.bytes()
            ),
        }
    }
}

impl std::error::Error for AccessError {}
