//! Integers that have fewer bits than their type: the values of fields.

mod arithmetic;
mod convert;
pub mod width;

use std::{fmt, ops};

mod sealed {
    pub trait Sealed {}
}

/// The integers that a register, and so a [`Bounded`], can be made of: `u8`, `u16`, `u32` and `u64`.
pub trait Integer:
    sealed::Sealed
    + Copy
    + Default
    + Ord
    + fmt::Debug
    + fmt::LowerHex
    + From<bool>
    + Into<u64>
    + TryFrom<u64>
    + ops::BitAnd<Output = Self>
    + ops::BitOr<Output = Self>
    + ops::Not<Output = Self>
    + ops::Shl<u32, Output = Self>
    + ops::Shr<u32, Output = Self>
    + 'static
{
    /// The number of bits.
    const BITS: u32;
    /// The value all of whose bits are one.
    const MAX: Self;
}

/// A `T` of which only the `N` lowest bits are used: what a field of `N` bits holds.
///
/// It can be used where the integer can: it dereferences to it, compares with it and computes with it.
/// It converts into every integer that has `N` bits, and a `Bounded` of one bit into a `bool`.
///
/// ```
/// use io_core::Bounded;
///
/// let mode = Bounded::<u32, 4>::new::<9>();
/// assert_eq!(mode, 9);
/// assert!(mode < 10);
/// assert_eq!(u8::from(mode) + 1, 10);
/// assert_eq!(mode << 4, 0x90);
/// assert_eq!(Bounded::<u32, 4>::try_new(16), None);
/// assert!(bool::from(Bounded::<u32, 1>::new::<1>()));
/// ```
///
/// What may not fit is not converted:
///
/// ```compile_fail,E0277
/// use io_core::Bounded;
/// let offset = Bounded::<u32, 9>::new::<0>();
/// u8::from(offset);
/// ```
///
/// # Invariants
///
/// `N` is at least 1 and at most the number of bits of `T`, and the value has no more than `N` bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Bounded<T, const N: u32>(T);

macro_rules! integers {
    ($($ty:ident)*) => {$(
        impl sealed::Sealed for $ty {}

        impl Integer for $ty {
            const BITS: u32 = $ty::BITS;
            const MAX: Self = $ty::MAX;
        }

        impl<const N: u32> Bounded<$ty, N> {
            /// The value `VALUE`, which does not compile if it has more than `N` bits.
            ///
            /// ```
            /// # use io_core::Bounded;
            #[doc = concat!("const FIVE: Bounded<", stringify!($ty), ", 3> = Bounded::<", stringify!($ty), ", 3>::new::<5>();")]
            /// assert_eq!(FIVE, 5);
            /// ```
            ///
            /// ```compile_fail,E0080
            /// # use io_core::Bounded;
            #[doc = concat!("Bounded::<", stringify!($ty), ", 3>::new::<8>();")]
            /// ```
            #[inline]
            #[must_use]
            pub const fn new<const VALUE: $ty>() -> Self {
                const { assert!(VALUE <= Self::LARGEST, "the value has more bits than there are") }
                Self(VALUE)
            }

            /// `raw` with `VALUE` in the `N` bits from `low` on.
            #[doc(hidden)]
            #[inline]
            #[must_use]
            pub const fn put<const VALUE: $ty>(raw: $ty, low: u32) -> $ty {
                raw & !(Self::LARGEST << low) | Self::new::<VALUE>().0 << low
            }

            const LARGEST: $ty = $ty::MAX >> ($ty::BITS - width_of::<$ty, N>());
        }
    )*};
}
integers!(u8 u16 u32 u64);

impl<T: Integer, const N: u32> Bounded<T, N> {
    /// The value `value`, if it has no more than `N` bits.
    ///
    /// ```
    /// use io_core::Bounded;
    /// assert!(Bounded::<u16, 9>::try_new(0x1ff).is_some());
    /// assert!(Bounded::<u16, 9>::try_new(0x200).is_none());
    /// ```
    #[inline]
    #[must_use]
    pub fn try_new(value: T) -> Option<Self> {
        (value <= Self::largest()).then_some(Self(value))
    }

    /// The value of an expression that never has more than `N` bits.
    ///
    /// The kernel's constructor of this name is a link error where the optimiser cannot prove it. Here the
    /// value is looked at when the program runs; [`new`](Self::new) is checked at compile time.
    ///
    /// # Panics
    ///
    /// `expr` has more than `N` bits.
    ///
    /// ```
    /// use io_core::Bounded;
    /// let address = 0x1234_5678_u32;
    /// assert_eq!(Bounded::<u32, 12>::from_expr(address & 0xfff), 0x678);
    /// ```
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn from_expr(expr: T) -> Self {
        match Self::try_new(expr) {
            Some(value) => value,
            None => panic!("{expr:#x} has more than {N} bits"),
        }
    }

    /// The integer.
    #[inline]
    #[must_use]
    pub const fn get(self) -> T {
        self.0
    }

    /// The same value with `M` bits, of which there are no less than `N`.
    ///
    /// ```
    /// use io_core::Bounded;
    /// let wide: Bounded<u32, 12> = Bounded::<u32, 4>::new::<9>().extend::<12>();
    /// assert_eq!(wide, 9);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// use io_core::Bounded;
    /// let _ = Bounded::<u32, 4>::new::<9>().extend::<3>();
    /// ```
    #[inline]
    #[must_use]
    pub const fn extend<const M: u32>(self) -> Bounded<T, M> {
        const { assert!(M >= N, "these are fewer bits than there were") }
        const { assert!(width_of::<T, M>() == M) }
        Bounded(self.0)
    }

    /// The same value with `M` bits, if it has no more.
    #[inline]
    #[must_use]
    pub fn try_shrink<const M: u32>(self) -> Option<Bounded<T, M>> {
        Bounded::try_new(self.0)
    }

    /// The value shifted to the left by `SHIFT` bits, in the `RES` bits that this takes.
    ///
    /// ```
    /// use io_core::Bounded;
    /// let page: Bounded<u32, 32> = Bounded::<u32, 20>::new::<0xabcde>().shl::<12, 32>();
    /// assert_eq!(page, 0xabcd_e000);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// use io_core::Bounded;
    /// let _ = Bounded::<u32, 20>::new::<0>().shl::<12, 31>(); // one bit would be lost
    /// ```
    #[inline]
    #[must_use]
    pub fn shl<const SHIFT: u32, const RES: u32>(self) -> Bounded<T, RES> {
        const {
            assert!(
                RES >= N + SHIFT,
                "the shifted value has more bits than these"
            )
        }
        const { assert!(width_of::<T, RES>() == RES) }
        Bounded(self.0 << SHIFT)
    }

    /// The value shifted to the right by `SHIFT` bits, in the `RES` bits that are left, or more.
    ///
    /// ```
    /// use io_core::Bounded;
    /// let page: Bounded<u32, 20> = Bounded::<u32, 32>::new::<0xabcd_e123>().shr::<12, 20>();
    /// assert_eq!(page, 0xabcde);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// use io_core::Bounded;
    /// let _ = Bounded::<u32, 32>::new::<0>().shr::<12, 19>(); // one bit would be lost
    /// ```
    #[inline]
    #[must_use]
    pub fn shr<const SHIFT: u32, const RES: u32>(self) -> Bounded<T, RES> {
        const { assert!(SHIFT < T::BITS, "this shifts everything out") }
        const {
            assert!(
                RES + SHIFT >= N,
                "the shifted value has more bits than these"
            )
        }
        const { assert!(width_of::<T, RES>() == RES) }
        Bounded(self.0 >> SHIFT)
    }

    /// The same value in another integer, which does not compile if that has fewer than `N` bits.
    ///
    /// ```
    /// use io_core::Bounded;
    /// let short: Bounded<u8, 4> = Bounded::<u32, 4>::new::<9>().cast::<u8>();
    /// assert_eq!(short, 9);
    /// ```
    #[inline]
    #[must_use]
    pub fn cast<U: Integer>(self) -> Bounded<U, N> {
        const { assert!(width_of::<U, N>() == N) }
        Bounded::masked(self.0.into())
    }

    /// `raw` with this value in the `N` bits from `low` on.
    #[inline]
    pub(crate) fn put_in(self, raw: T, low: u32) -> T {
        raw & !(Self::largest() << low) | self.0 << low
    }

    /// The `N` lowest bits of `value`.
    #[inline]
    pub(crate) fn masked(value: u64) -> Self {
        let value = value & Self::largest().into();
        // Never the default: a value of so few bits fits.
        Self(T::try_from(value).unwrap_or_default())
    }

    #[inline]
    fn largest() -> T {
        T::MAX >> const { T::BITS - width_of::<T, N>() }
    }
}

/// `N`, which does not compile if a `T` cannot have so many bits, or if they are none.
const fn width_of<T: Integer, const N: u32>() -> u32 {
    assert!(N >= 1, "a value has one bit at least");
    assert!(N <= T::BITS, "these are more bits than the integer has");
    N
}

impl<T, const N: u32> ops::Deref for Bounded<T, N> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
