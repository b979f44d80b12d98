//! Short names of [`Bounded`] integers, by their number of bits.
//!
//! Definitions of registers use them, because a number in the name costs the compiler less than one in a type.

use crate::num::Bounded;

macro_rules! names {
    ($($name:ident $bits:literal)*) => {$(
        #[doc = concat!("A `T` of `", stringify!($bits), "` bits.")]
        pub type $name<T> = Bounded<T, $bits>;
    )*};
}

names! {
    Bits1 1 Bits2 2 Bits3 3 Bits4 4 Bits5 5 Bits6 6 Bits7 7 Bits8 8
    Bits9 9 Bits10 10 Bits11 11 Bits12 12 Bits13 13 Bits14 14 Bits15 15 Bits16 16
    Bits17 17 Bits18 18 Bits19 19 Bits20 20 Bits21 21 Bits22 22 Bits23 23 Bits24 24
    Bits25 25 Bits26 26 Bits27 27 Bits28 28 Bits29 29 Bits30 30 Bits31 31 Bits32 32
    Bits33 33 Bits34 34 Bits35 35 Bits36 36 Bits37 37 Bits38 38 Bits39 39 Bits40 40
    Bits41 41 Bits42 42 Bits43 43 Bits44 44 Bits45 45 Bits46 46 Bits47 47 Bits48 48
    Bits49 49 Bits50 50 Bits51 51 Bits52 52 Bits53 53 Bits54 54 Bits55 55 Bits56 56
    Bits57 57 Bits58 58 Bits59 59 Bits60 60 Bits61 61 Bits62 62 Bits63 63 Bits64 64
}
