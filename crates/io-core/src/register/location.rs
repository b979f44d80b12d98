//! Where a register is.
#![expect(
    unsafe_code,
    reason = "accesses rely on what locations say of themselves"
)]

use super::{Array, Readable, Register, RegisterBase, Single, Writable};
use crate::num::Integer;
use std::{fmt, marker::PhantomData};

mod sealed {
    pub trait Sealed {}
}

/// The place of a `T` in a region.
///
/// The locations are those that [`register!`](crate::register!) defines, and, where the `T` is an integer,
/// a plain offset in bytes:
///
/// ```
/// use io_core::{Io, Region, SysMem};
///
/// let mut memory = [0x1234_5678_u64.to_le()];
/// let region = Region::<8>::try_from_raw_parts(memory.as_mut_ptr().cast(), 8)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `io` is used.
/// let io = unsafe { SysMem::from_raw(region) };
/// let value: u16 = io.try_read(2)?;
/// assert_eq!(value, 0x1234);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nothing else can be one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the location of a `{T}`",
    label = "not its location"
)]
pub trait IoLoc<T>: sealed::Sealed + Copy {
    /// What is loaded and stored there.
    type Storage: Integer + From<T> + Into<T>;

    /// The offset from the start of the region, in bytes.
    fn offset(self) -> usize;
}

/// A location of which enough is known at compile time to compare it with the region's `SIZE`.
///
/// # Safety
///
/// [`offset`](IoLoc::offset) is [`FIRST`](Self::FIRST) plus a multiple of [`STEP`](Self::STEP), and not more
/// than [`LAST`](Self::LAST).
#[diagnostic::on_unimplemented(
    message = "where `{Self}` is, is not known at compile time",
    label = "use the `try_` form of this access"
)]
pub unsafe trait ConstLoc<T>: IoLoc<T> {
    /// The least offset that it may be.
    const FIRST: usize;
    /// The distance between the offsets that it may be; 0 if there is one.
    const STEP: usize;
    /// The greatest offset that it may be.
    const LAST: usize;
}

/// The family of the registers whose offsets count from the start of the region, and its only base.
#[derive(Debug, Clone, Copy)]
pub enum Absolute {}

impl RegisterBase<Absolute> for Absolute {
    const BASE: usize = 0;
}

/// The location of the register `T`, or of the array of them, at base `B`.
pub struct RegisterLoc<T, B = Absolute>(
    // Definitions make it of this: the compiler need not run `new` then.
    #[doc(hidden)] pub PhantomData<fn() -> (T, B)>,
);

/// The location of an element of the array of registers `T` at base `B`.
///
/// # Invariants
///
/// The index is less than the length of the array.
pub struct ElementLoc<T, B = Absolute> {
    index: usize,
    array: PhantomData<RegisterLoc<T, B>>,
}

/// The location of the element `INDEX` of the array of registers `T` at base `B`.
pub struct ConstElementLoc<T, const INDEX: usize, B = Absolute>(RegisterLoc<T, B>);

impl<T: Register, B: RegisterBase<T::Family>> RegisterLoc<T, B> {
    /// The offset of the register, or of the first element.
    const START: usize = B::BASE + T::OFFSET;

    /// The location of `T` at `B`.
    #[inline]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "`default` is not const")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Array, B: RegisterBase<T::Family>> RegisterLoc<T, B> {
    /// The location of the element `index`.
    ///
    /// # Panics
    ///
    /// There is no such element. In a constant, this is an error of the build; so it is anywhere with
    /// [`at_const`](Self::at_const).
    #[inline]
    #[must_use]
    #[track_caller]
    pub const fn at(self, index: usize) -> ElementLoc<T, B> {
        assert!(index < T::LEN, "the array of registers has no such element");
        ElementLoc {
            index,
            array: PhantomData,
        }
    }

    /// The location of the element `index`, if there is one.
    #[inline]
    #[must_use]
    pub const fn try_at(self, index: usize) -> Option<ElementLoc<T, B>> {
        if index < T::LEN {
            Some(self.at(index))
        } else {
            None
        }
    }

    /// The location of the element `INDEX`, which does not compile if there is none.
    #[inline]
    #[must_use]
    pub const fn at_const<const INDEX: usize>(self) -> ConstElementLoc<T, INDEX, B> {
        const {
            assert!(INDEX < T::LEN, "the array of registers has no such element");
        }
        ConstElementLoc(self)
    }
}

impl<T: Single, B: RegisterBase<T::Family>> IoLoc<T> for RegisterLoc<T, B> {
    type Storage = T::Storage;

    #[inline]
    fn offset(self) -> usize {
        Self::START
    }
}

// SAFETY: its offset is always the same.
unsafe impl<T: Single, B: RegisterBase<T::Family>> ConstLoc<T> for RegisterLoc<T, B> {
    const FIRST: usize = Self::START;
    const STEP: usize = 0;
    const LAST: usize = Self::START;
}

/// The value says where it is to be written.
impl<T: Single<Family = Absolute>> IoLoc<T> for () {
    type Storage = T::Storage;

    #[inline]
    fn offset(self) -> usize {
        T::OFFSET
    }
}

// SAFETY: its offset is always the same.
unsafe impl<T: Single<Family = Absolute>> ConstLoc<T> for () {
    const FIRST: usize = T::OFFSET;
    const STEP: usize = 0;
    const LAST: usize = T::OFFSET;
}

impl<T: Array, B: RegisterBase<T::Family>> IoLoc<T> for ElementLoc<T, B> {
    type Storage = T::Storage;

    #[inline]
    fn offset(self) -> usize {
        // No overflow where `LAST` compiles. Otherwise nothing so far out is in bounds.
        RegisterLoc::<T, B>::START.saturating_add(self.index.saturating_mul(T::STRIDE))
    }
}

// SAFETY: by the invariant, the index is one of the array's. The array has an element then.
unsafe impl<T: Array, B: RegisterBase<T::Family>> ConstLoc<T> for ElementLoc<T, B> {
    const FIRST: usize = RegisterLoc::<T, B>::START;
    const STEP: usize = T::STRIDE;
    const LAST: usize = Self::FIRST + T::LEN.saturating_sub(1) * T::STRIDE;
}

impl<T: Array, B: RegisterBase<T::Family>, const INDEX: usize> IoLoc<T>
    for ConstElementLoc<T, INDEX, B>
{
    type Storage = T::Storage;

    #[inline]
    fn offset(self) -> usize {
        Self::FIRST
    }
}

// SAFETY: its offset is always the same.
unsafe impl<T: Array, B: RegisterBase<T::Family>, const INDEX: usize> ConstLoc<T>
    for ConstElementLoc<T, INDEX, B>
{
    const FIRST: usize = RegisterLoc::<T, B>::START + INDEX * T::STRIDE;
    const STEP: usize = 0;
    const LAST: usize = Self::FIRST;
}

macro_rules! integers {
    ($($ty:ident)*) => {$(
        impl IoLoc<$ty> for usize {
            type Storage = $ty;

            #[inline]
            fn offset(self) -> usize {
                self
            }
        }

        impl Readable for $ty {}
        impl Writable for $ty {}
    )*};
}
integers!(u8 u16 u32 u64);

/// What is the same for all types of locations of registers.
macro_rules! locations {
    ($($name:ident<T $(, const $index:ident: usize)?, B>;)*) => {$(
        impl<T $(, const $index: usize)?, B> sealed::Sealed for $name<T $(, $index)?, B> {}

        impl<T $(, const $index: usize)?, B> Clone for $name<T $(, $index)?, B> {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T $(, const $index: usize)?, B> Copy for $name<T $(, $index)?, B> {}

        impl<T, $(const $index: usize,)? B> fmt::Debug for $name<T $(, $index)?, B>
        where
            T: Register,
            Self: IoLoc<T>,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} at {:#x}", T::NAME, self.offset())
            }
        }
    )*};
}
locations! {
    RegisterLoc<T, B>;
    ElementLoc<T, B>;
    ConstElementLoc<T, const INDEX: usize, B>;
}

impl sealed::Sealed for () {}
impl sealed::Sealed for usize {}
