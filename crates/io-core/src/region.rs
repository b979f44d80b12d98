//! Untyped I/O regions, and what is known of a type's size behind a raw pointer.

use std::{fmt, ptr};

mod sealed {
    pub trait Sealed {}
    impl<T> Sealed for T {}
    impl<T> Sealed for [T] {}
    impl<const SIZE: usize> Sealed for super::Region<SIZE> {}
}

/// A type whose size can be told from a raw pointer to it, without looking behind the pointer.
///
/// Implemented for every sized type, for slices and for [`Region`]; nothing else can implement it,
/// because bounds checks rely on its answers.
pub trait KnownSize: sealed::Sealed {
    /// The least size, in bytes, that any pointer to this type has.
    const MIN_SIZE: usize;
    /// The least alignment, in bytes, that any valid pointer to this type has.
    const MIN_ALIGN: usize;

    /// The size in bytes of what `ptr` points at; never less than [`MIN_SIZE`](Self::MIN_SIZE).
    ///
    /// `ptr` is not dereferenced and may dangle.
    fn size(ptr: *const Self) -> usize;
}

impl<T> KnownSize for T {
    const MIN_SIZE: usize = size_of::<T>();
    const MIN_ALIGN: usize = align_of::<T>();

    #[inline]
    fn size(_: *const Self) -> usize {
        size_of::<T>()
    }
}

impl<T> KnownSize for [T] {
    const MIN_SIZE: usize = 0;
    const MIN_ALIGN: usize = align_of::<T>();

    #[inline]
    fn size(ptr: *const Self) -> usize {
        // A slice that is larger than the address space cannot be mapped anywhere.
        ptr.len().saturating_mul(size_of::<T>())
    }
}

/// An untyped I/O region, of at least `SIZE` bytes.
///
/// `SIZE` is what is known at compile time, and what accesses at constant offsets are checked
/// against. The real size, which may be larger, is known at run time: it is the metadata of a
/// pointer to a region. The kernel's type of the same name is aligned to 4 bytes, so that its 64-bit
/// registers cannot be checked at compile time; this one is aligned to 8.
///
/// # Invariants
///
/// A pointer to a `Region<SIZE>` made by [`try_from_raw_parts`](Self::try_from_raw_parts) is aligned
/// to 8 bytes and has at least `SIZE` bytes, and it fits in the address space. The
/// size need not be a multiple of 8: the size is read from the pointer's metadata and never from a
/// reference, of which there are none (`size_of_val` would round it up).
#[repr(C, align(8))]
pub struct Region<const SIZE: usize = 0> {
    _bytes: [u8],
}

impl<const SIZE: usize> Region<SIZE> {
    /// A pointer to the region of `size` bytes at `base`. Nothing is promised about the memory.
    ///
    /// # Errors
    ///
    /// `size` is less than `SIZE`, `base` is not a multiple of 8, or the region would not fit in
    /// the address space.
    ///
    /// ```
    /// use io_core::{Region, RegionError};
    /// use std::ptr::without_provenance_mut;
    ///
    /// let base = without_provenance_mut(0x1000);
    /// assert!(Region::<0x100>::try_from_raw_parts(base, 0x100).is_ok());
    /// assert_eq!(
    ///     Region::<0x100>::try_from_raw_parts(base, 0xff),
    ///     Err(RegionError::TooSmall { need: 0x100, have: 0xff })
    /// );
    /// ```
    #[inline]
    pub fn try_from_raw_parts(base: *mut u8, size: usize) -> Result<*mut Self, RegionError> {
        let addr = base.addr();
        if size < SIZE {
            return Err(RegionError::TooSmall {
                need: SIZE,
                have: size,
            });
        }
        if addr % Self::MIN_ALIGN != 0 {
            return Err(RegionError::Misaligned {
                addr,
                align: Self::MIN_ALIGN,
            });
        }
        if isize::try_from(size).is_err() || addr.checked_add(size).is_none() {
            return Err(RegionError::TooLarge { addr, size });
        }
        #[expect(
            clippy::as_conversions,
            reason = "stable Rust has no other cast between pointers that carry a length"
        )]
        Ok(ptr::slice_from_raw_parts_mut(base, size) as *mut Self)
    }
}

impl<const SIZE: usize> KnownSize for Region<SIZE> {
    const MIN_SIZE: usize = SIZE;
    const MIN_ALIGN: usize = 8;

    #[inline]
    fn size(ptr: *const Self) -> usize {
        #[expect(
            clippy::as_conversions,
            reason = "stable Rust has no other cast between pointers that carry a length"
        )]
        let bytes = ptr as *const [u8];
        bytes.len()
    }
}

/// Why there is no region at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionError {
    /// The region is smaller than the size that its type promises.
    TooSmall {
        /// The size that the type promises, in bytes.
        need: usize,
        /// The size that there is, in bytes.
        have: usize,
    },
    /// The address is not a multiple of the alignment of the region.
    Misaligned {
        /// The address.
        addr: usize,
        /// The alignment, in bytes.
        align: usize,
    },
    /// The region would not fit in the address space.
    TooLarge {
        /// The address.
        addr: usize,
        /// The size, in bytes.
        size: usize,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { need, have } => {
                write!(
                    f,
                    "the region has {have:#x} bytes, and {need:#x} are needed"
                )
            }
            Self::Misaligned { addr, align } => {
                write!(
                    f,
                    "the region's address {addr:#x} is not a multiple of {align}"
                )
            }
            Self::TooLarge { addr, size } => {
                write!(
                    f,
                    "a region of {size:#x} bytes at {addr:#x} does not fit in the address space"
                )
            }
        }
    }
}

impl std::error::Error for RegionError {}
