//! Short names of [`Bounded`](crate::Bounded) integers, by their type and their number of bits.
//!
//! Definitions of registers use them: what has no type parameters costs the compiler less. So do the functions here,
//! each for one type and one number of bits, that take fields out of an integer and put them there.

/// What there is for one type, and the rows of the table for the numbers of bits that it can have.
macro_rules! integer {
    ($ty:ident $($rows:ident)*) => {
        #[doc = concat!("What fits in a `", stringify!($ty), "`.")]
        pub mod $ty {
            use crate::num::Bounded;
            use crate::register::{FieldError, field};

            /// The bit `low` of `raw`.
            #[doc(hidden)]
            #[inline]
            #[must_use]
            pub fn get_bit(raw: $ty, low: u32) -> bool {
                raw >> low & 1 != 0
            }

            /// `raw` with `value` in the bit `low`.
            #[doc(hidden)]
            #[inline]
            #[must_use]
            pub fn put_bit(raw: $ty, low: u32, value: bool) -> $ty {
                raw & !(1 << low) | $ty::from(value) << low
            }

            /// What has `value` in the `width` bits from `low` on, and else is `raw`; if it fits there.
            #[doc(hidden)]
            #[inline]
            pub fn try_put<B: From<$ty>>(
                raw: $ty,
                low: u32,
                width: u32,
                value: impl TryInto<$ty>,
            ) -> Result<B, FieldError> {
                field::try_put(raw, low, width, value.try_into().ok()).map(B::from)
            }

            $($rows!($ty);)*
        }
    };
}

/// What there is for these numbers of bits, in each of these types.
macro_rules! names {
    ($ty:ident $($bits:literal $name:ident $get:ident $put:ident $put_const:ident)*) => {$(
        #[doc = concat!("A `", stringify!($ty), "` of `", stringify!($bits), "` bits.")]
        pub type $name = Bounded<$ty, $bits>;

        /// The bits of `raw` from bit `low` on.
        #[doc(hidden)]
        #[inline]
        #[must_use]
        pub fn $get(raw: $ty, low: u32) -> $name {
            $name::masked((raw >> low).into())
        }

        /// `raw` with `value` in the bits from `low` on.
        #[doc(hidden)]
        #[inline]
        #[must_use]
        pub fn $put(raw: $ty, low: u32, value: impl Into<$name>) -> $ty {
            value.into().put_in(raw, low)
        }

        /// The same with a constant.
        #[doc(hidden)]
        #[inline]
        #[must_use]
        pub const fn $put_const<const VALUE: $ty>(raw: $ty, low: u32) -> $ty {
            $name::put::<VALUE>(raw, low)
        }
    )*};
}

macro_rules! to_8 {
    ($ty:ident) => {
        names! { $ty
            1 Bits1 get1 put1 put_const1
            2 Bits2 get2 put2 put_const2
            3 Bits3 get3 put3 put_const3
            4 Bits4 get4 put4 put_const4
            5 Bits5 get5 put5 put_const5
            6 Bits6 get6 put6 put_const6
            7 Bits7 get7 put7 put_const7
            8 Bits8 get8 put8 put_const8
        }
    };
}

macro_rules! to_16 {
    ($ty:ident) => {
        names! { $ty
            9 Bits9 get9 put9 put_const9
            10 Bits10 get10 put10 put_const10
            11 Bits11 get11 put11 put_const11
            12 Bits12 get12 put12 put_const12
            13 Bits13 get13 put13 put_const13
            14 Bits14 get14 put14 put_const14
            15 Bits15 get15 put15 put_const15
            16 Bits16 get16 put16 put_const16
        }
    };
}

macro_rules! to_32 {
    ($ty:ident) => {
        names! { $ty
            17 Bits17 get17 put17 put_const17
            18 Bits18 get18 put18 put_const18
            19 Bits19 get19 put19 put_const19
            20 Bits20 get20 put20 put_const20
            21 Bits21 get21 put21 put_const21
            22 Bits22 get22 put22 put_const22
            23 Bits23 get23 put23 put_const23
            24 Bits24 get24 put24 put_const24
            25 Bits25 get25 put25 put_const25
            26 Bits26 get26 put26 put_const26
            27 Bits27 get27 put27 put_const27
            28 Bits28 get28 put28 put_const28
            29 Bits29 get29 put29 put_const29
            30 Bits30 get30 put30 put_const30
            31 Bits31 get31 put31 put_const31
            32 Bits32 get32 put32 put_const32
        }
    };
}

macro_rules! to_64 {
    ($ty:ident) => {
        names! { $ty
            33 Bits33 get33 put33 put_const33
            34 Bits34 get34 put34 put_const34
            35 Bits35 get35 put35 put_const35
            36 Bits36 get36 put36 put_const36
            37 Bits37 get37 put37 put_const37
            38 Bits38 get38 put38 put_const38
            39 Bits39 get39 put39 put_const39
            40 Bits40 get40 put40 put_const40
            41 Bits41 get41 put41 put_const41
            42 Bits42 get42 put42 put_const42
            43 Bits43 get43 put43 put_const43
            44 Bits44 get44 put44 put_const44
            45 Bits45 get45 put45 put_const45
            46 Bits46 get46 put46 put_const46
            47 Bits47 get47 put47 put_const47
            48 Bits48 get48 put48 put_const48
            49 Bits49 get49 put49 put_const49
            50 Bits50 get50 put50 put_const50
            51 Bits51 get51 put51 put_const51
            52 Bits52 get52 put52 put_const52
            53 Bits53 get53 put53 put_const53
            54 Bits54 get54 put54 put_const54
            55 Bits55 get55 put55 put_const55
            56 Bits56 get56 put56 put_const56
            57 Bits57 get57 put57 put_const57
            58 Bits58 get58 put58 put_const58
            59 Bits59 get59 put59 put_const59
            60 Bits60 get60 put60 put_const60
            61 Bits61 get61 put61 put_const61
            62 Bits62 get62 put62 put_const62
            63 Bits63 get63 put63 put_const63
            64 Bits64 get64 put64 put_const64
        }
    };
}

integer!(u8 to_8);
integer!(u16 to_8 to_16);
integer!(u32 to_8 to_16 to_32);
integer!(u64 to_8 to_16 to_32 to_64);
