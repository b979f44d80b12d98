//! Conversions between a [`Bounded`] and the integers that are wide enough.

use super::{
    Bounded, Integer,
    width::{AtLeast, AtMost, Bits},
};

/// Into integers that hold every value of the type that the `Bounded` is made of.
macro_rules! into_wide {
    ($($from:ident => $($to:ident)*;)*) => {$($(
        impl<const N: u32> From<Bounded<$from, N>> for $to {
            #[inline]
            fn from(value: Bounded<$from, N>) -> Self {
                Self::from(value.0)
            }
        }
    )*)*};
}

into_wide! {
    u8 => u8 u16 u32 u64 u128 usize i16 i32 i64 i128;
    u16 => u16 u32 u64 u128 usize i32 i64 i128;
    u32 => u32 u64 u128 i64 i128;
    u64 => u64 u128 i128;
}

/// Into integers that hold as many bits as the `Bounded` has.
macro_rules! into_narrow {
    ($($from:ident => $($to:ident: $bits:literal),*;)*) => {$($(
        impl<const N: u32> From<Bounded<$from, N>> for $to
        where
            Bits<N>: AtMost<$bits>,
        {
            #[inline]
            #[expect(clippy::as_conversions, reason = "the bounds show that nothing is lost")]
            fn from(value: Bounded<$from, N>) -> Self {
                value.0 as Self
            }
        }
    )*)*};
}

// Linux has no machines whose `usize` is shorter than 32 bits.
into_narrow! {
    u8 => i8: 7;
    u16 => u8: 8, i8: 7, i16: 15;
    u32 => u8: 8, u16: 16, usize: 32, i8: 7, i16: 15, i32: 31;
    u64 => u8: 8, u16: 16, u32: 32, usize: 32, i8: 7, i16: 15, i32: 31, i64: 63;
}

/// From integers that have at most as many bits as the `Bounded`.
macro_rules! from_integer {
    ($($from:ident: $bits:literal;)*) => {$(
        impl<T: Integer + From<$from>, const N: u32> From<$from> for Bounded<T, N>
        where
            Bits<N>: AtLeast<$bits>,
        {
            #[inline]
            fn from(value: $from) -> Self {
                Self(T::from(value))
            }
        }
    )*};
}

from_integer! {
    u8: 8;
    u16: 16;
    u32: 32;
    u64: 64;
}

impl<T: Integer> From<bool> for Bounded<T, 1> {
    #[inline]
    fn from(value: bool) -> Self {
        Self(T::from(value))
    }
}

impl<T: Integer> From<Bounded<T, 1>> for bool {
    #[inline]
    fn from(value: Bounded<T, 1>) -> Self {
        value.0 != T::default()
    }
}
