//! The widths that an access may have.

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
    /// This width alone. A length that is not a multiple of it is made one: the last write is filled up
    /// with zeros, and of the last read what is too much is dropped. A start that is not aligned is
    /// refused, and so is an end whose padding does not fit in the region.
    Padded(Width),
}

impl AccessWidth {
    /// The width, if it is the only one that may be used.
    #[must_use]
    pub const fn only(self) -> Option<Width> {
        match self {
            Self::Auto => None,
            Self::Exact(width) | Self::Padded(width) => Some(width),
        }
    }

    /// How many bytes a copy of `len` bytes accesses, padding included.
    ///
    /// ```
    /// use io_core::{AccessWidth, Width};
    /// assert_eq!(AccessWidth::Padded(Width::U32).padded(13), 16);
    /// assert_eq!(AccessWidth::Auto.padded(13), 13);
    /// ```
    #[must_use]
    pub const fn padded(self, len: usize) -> usize {
        match self {
            Self::Padded(width) => len.div_ceil(width.bytes()).saturating_mul(width.bytes()),
            _ => len,
        }
    }
}
