//! What the elements of an array can be reached by.

use crate::KnownSize;
use std::{
    ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive},
    ptr,
};

mod sealed {
    pub trait Sealed {}
}

/// An array, or a slice.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no elements",
    label = "neither an array nor a slice"
)]
pub trait Elements: KnownSize + sealed::Sealed {
    /// What it is made of.
    type Element;

    /// How many there are, without looking behind the pointer.
    fn len(ptr: *mut Self) -> usize;
}

impl<T> sealed::Sealed for [T] {}

impl<T> Elements for [T] {
    type Element = T;

    #[inline]
    fn len(ptr: *mut Self) -> usize {
        ptr.len()
    }
}

impl<T, const LEN: usize> sealed::Sealed for [T; LEN] {}

impl<T, const LEN: usize> Elements for [T; LEN] {
    type Element = T;

    #[inline]
    fn len(_: *mut Self) -> usize {
        LEN
    }
}

/// An index, or a range of them, of elements `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no index",
    label = "neither a `usize` nor a range of them"
)]
pub trait ViewIndex<T>: sealed::Sealed {
    /// What it leads to: one element, or a slice.
    type Output: ?Sized + KnownSize;

    /// The first of the elements, and the one after the last, of an array of `len`.
    fn bounds(&self, len: usize) -> (usize, usize);

    /// The pointer to the `len` elements at `first`.
    fn part(first: *mut T, len: usize) -> *mut Self::Output;
}

impl sealed::Sealed for usize {}

impl<T> ViewIndex<T> for usize {
    type Output = T;

    #[inline]
    fn bounds(&self, _: usize) -> (usize, usize) {
        // The last index there is has no end, and no array has so many elements of a size.
        (*self, self.saturating_add(1))
    }

    #[inline]
    fn part(first: *mut T, _: usize) -> *mut T {
        first
    }
}

macro_rules! ranges {
    ($($range:ty: |$self:ident, $len:ident| $bounds:expr;)*) => {$(
        impl sealed::Sealed for $range {}

        impl<T> ViewIndex<T> for $range {
            type Output = [T];

            #[inline]
            fn bounds(&$self, $len: usize) -> (usize, usize) {
                $bounds
            }

            #[inline]
            fn part(first: *mut T, len: usize) -> *mut [T] {
                ptr::slice_from_raw_parts_mut(first, len)
            }
        }
    )*};
}

ranges! {
    Range<usize>: |self, _len| (self.start, self.end);
    RangeFrom<usize>: |self, len| (self.start, len);
    RangeTo<usize>: |self, _len| (0, self.end);
    RangeFull: |self, len| (0, len);
    // The end of one that ends at the last index there is is before its start, or out of bounds.
    RangeInclusive<usize>: |self, _len| (*self.start(), self.end().saturating_add(1));
    RangeToInclusive<usize>: |self, _len| (0, self.end.saturating_add(1));
}
