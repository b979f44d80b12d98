//! A [`Bounded`] in comparisons, in computations, whose results are integers, and in what is printed.

use super::{Bounded, Integer};
use std::{cmp::Ordering, fmt, ops};

impl<T: Integer, const N: u32> PartialEq<T> for Bounded<T, N> {
    #[inline]
    fn eq(&self, other: &T) -> bool {
        self.0 == *other
    }
}

impl<T: Integer, const N: u32> PartialOrd<T> for Bounded<T, N> {
    #[inline]
    fn partial_cmp(&self, other: &T) -> Option<Ordering> {
        self.0.partial_cmp(other)
    }
}

macro_rules! operators {
    ($($operator:ident $function:ident;)*) => {$(
        impl<T: Integer + ops::$operator<Output = T>, const N: u32> ops::$operator<T> for Bounded<T, N> {
            type Output = T;

            #[inline]
            fn $function(self, other: T) -> T {
                self.0.$function(other)
            }
        }

        impl<T: Integer + ops::$operator<Output = T>, const N: u32, const M: u32>
            ops::$operator<Bounded<T, M>> for Bounded<T, N>
        {
            type Output = T;

            #[inline]
            fn $function(self, other: Bounded<T, M>) -> T {
                self.0.$function(other.0)
            }
        }
    )*};
}

operators! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
    Rem rem;
    BitAnd bitand;
    BitOr bitor;
    BitXor bitxor;
}

macro_rules! shifts {
    ($($operator:ident $function:ident;)*) => {$(
        impl<T: Integer, const N: u32> ops::$operator<u32> for Bounded<T, N> {
            type Output = T;

            #[inline]
            fn $function(self, bits: u32) -> T {
                self.0.$function(bits)
            }
        }
    )*};
}

shifts! {
    Shl shl;
    Shr shr;
}

impl<T: Integer, const N: u32> ops::Not for Bounded<T, N> {
    type Output = T;

    #[inline]
    fn not(self) -> T {
        !self.0
    }
}

macro_rules! formats {
    ($($format:ident)*) => {$(
        impl<T: fmt::$format, const N: u32> fmt::$format for Bounded<T, N> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
formats!(Debug Display Binary Octal LowerHex UpperHex);
