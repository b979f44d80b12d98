//! Comparisons of numbers of bits, as traits: what conversions of a [`Bounded`](crate::Bounded) ask for.

/// A number of bits.
#[derive(Debug)]
pub struct Bits<const N: u32>;

/// This number of bits is at most `MAX`.
#[diagnostic::on_unimplemented(
    message = "the value may have more than {MAX} bits",
    label = "this takes {MAX} bits at most"
)]
pub trait AtMost<const MAX: u32> {}

/// This number of bits is at least `MIN`.
#[diagnostic::on_unimplemented(
    message = "the value may have {MIN} bits, which are more than there is room for",
    label = "this may have {MIN} bits"
)]
pub trait AtLeast<const MIN: u32> {}

/// Numbers of bits that satisfy a comparison, in addition to those that satisfy a stricter one.
macro_rules! numbers {
    ($($comparison:ident<$limit:literal> $(beyond $stricter:literal)?: $($n:literal)*;)*) => {$(
        $(impl<const N: u32> $comparison<$limit> for Bits<N> where Self: $comparison<$stricter> {})?
        $(impl $comparison<$limit> for Bits<$n> {})*
    )*};
}

numbers! {
    AtMost<7>: 1 2 3 4 5 6 7;
    AtMost<8> beyond 7: 8;
    AtMost<15> beyond 8: 9 10 11 12 13 14 15;
    AtMost<16> beyond 15: 16;
    AtMost<31> beyond 16: 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31;
    AtMost<32> beyond 31: 32;
    AtMost<63> beyond 32: 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
        60 61 62 63;

    AtLeast<64>: 64;
    AtLeast<32> beyond 64: 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57
        58 59 60 61 62 63;
    AtLeast<16> beyond 32: 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31;
    AtLeast<8> beyond 16: 8 9 10 11 12 13 14 15;
}
