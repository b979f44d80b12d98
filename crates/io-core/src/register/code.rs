//! The code that definitions become. The macros of io-macros read a definition, put the names together, and call these.

/// A type with fields.
#[doc(hidden)]
#[macro_export]
macro_rules! __bitfield {
    (
        ($($attributes:tt)*)
        $(#$cfg:tt)* $vis:vis $name:ident $storage:ident $text:literal
        constants { $((
            $(#$constant_cfg:tt)* $RANGE:ident $MASK:ident $SHIFT:ident
            $start:literal $end:literal $mask:literal $bits:literal
        ))* }
        get { $(($(#$get:tt)* $get_field:ident $get_bits:ident $get_bits_of:ident $get_low:literal))* }
        get_bool { $(($(#$bool:tt)* $bool_field:ident $bool_low:literal $bool_type:ty))* }
        get_into { $(($(#$into:tt)* $into_field:ident $into_bits_of:ident $into_low:literal $into_type:ty))* }
        get_try_into { $(($(#$try:tt)* $try_field:ident $try_bits:ident $try_bits_of:ident $try_low:literal $try_type:ty))* }
        set { $((
            $(#$set:tt)* $set_with:ident $set_with_const:ident $set_try_with:ident
            $set_bits:ident $set_put:ident $set_put_const:ident $set_width:literal $set_low:literal $set_does:literal
        ))* }
        set_bool { $((
            $(#$with_bool:tt)* $bool_with:ident $with_bool_low:literal $bool_does:literal $with_bool_type:ty
        ))* }
        set_from { $((
            $(#$from:tt)* $from_with:ident
            $from_put:ident $from_bits:ident $from_low:literal $from_does:literal $from_type:ty
        ))* }
        table { $table:literal $(parts { $(($(#$field_cfg:tt)* $part:literal))* })? }
    ) => {
        $($attributes)*
        #[allow(non_camel_case_types, reason = "registers are named as in manuals")]
        #[derive(::core::marker::Copy, ::core::cmp::PartialEq)]
        #[repr(transparent)]
        $vis struct $name {
            inner: $storage,
        }

        $(#$cfg)*
        #[allow(dead_code, reason = "a driver need not use all fields")]
        impl $name {
            /// The value with this raw representation.
            #[inline]
            $vis const fn from_raw(value: $storage) -> Self {
                Self { inner: value }
            }

            /// The raw representation.
            #[inline]
            $vis const fn into_raw(self) -> $storage {
                self.inner
            }

            /// The value all of whose bits are zero.
            #[inline]
            $vis const fn zeroed() -> Self {
                Self { inner: 0 }
            }

            $(
                #[doc = $bits]
                $(#$constant_cfg)*
                $vis const $RANGE: $crate::register::BitRange =
                    $crate::register::BitRange { start: $start, end: $end };

                #[doc = $bits]
                $(#$constant_cfg)*
                $vis const $MASK: $storage = $mask;

                #[doc = $bits]
                $(#$constant_cfg)*
                $vis const $SHIFT: u32 = $start;
            )*

            $(
                $(#$get)*
                #[inline]
                $vis fn $get_field(self) -> $crate::register::bits::$storage::$get_bits {
                    $crate::register::bits::$storage::$get_bits_of(self.inner, $get_low)
                }
            )*

            $(
                $(#$bool)*
                #[inline]
                $vis fn $bool_field(self) -> $bool_type {
                    $crate::register::bits::$storage::get_bit(self.inner, $bool_low)
                }
            )*

            $(
                $(#$into)*
                #[inline]
                $vis fn $into_field(self) -> $into_type {
                    ::core::convert::From::from(
                        $crate::register::bits::$storage::$into_bits_of(self.inner, $into_low),
                    )
                }
            )*

            $(
                $(#$try)*
                #[inline]
                $vis fn $try_field(self) -> ::core::result::Result<
                    $try_type,
                    <$try_type as ::core::convert::TryFrom<
                        $crate::register::bits::$storage::$try_bits,
                    >>::Error,
                > {
                    ::core::convert::TryFrom::try_from(
                        $crate::register::bits::$storage::$try_bits_of(self.inner, $try_low),
                    )
                }
            )*

            $(
                #[doc = $set_does]
                $(#$set)*
                #[inline]
                #[must_use]
                $vis fn $set_with(
                    self,
                    value: impl ::core::convert::Into<$crate::register::bits::$storage::$set_bits>,
                ) -> Self {
                    Self {
                        inner: $crate::register::bits::$storage::$set_put(self.inner, $set_low, value),
                    }
                }

                #[doc = $set_does]
                /// The value is checked at compile time.
                $(#$set)*
                #[inline]
                #[must_use]
                $vis const fn $set_with_const<const VALUE: $storage>(self) -> Self {
                    Self {
                        inner: $crate::register::bits::$storage::$set_put_const::<VALUE>(
                            self.inner, $set_low,
                        ),
                    }
                }

                #[doc = $set_does]
                /// A value that does not fit is an error.
                $(#$set)*
                #[inline]
                $vis fn $set_try_with(
                    self,
                    value: impl ::core::convert::TryInto<$storage>,
                ) -> ::core::result::Result<Self, $crate::register::FieldError> {
                    $crate::register::bits::$storage::try_put(self.inner, $set_low, $set_width, value)
                }
            )*

            $(
                #[doc = $bool_does]
                $(#$with_bool)*
                #[inline]
                #[must_use]
                $vis fn $bool_with(self, value: $with_bool_type) -> Self {
                    Self {
                        inner: $crate::register::bits::$storage::put_bit(
                            self.inner, $with_bool_low, value,
                        ),
                    }
                }
            )*

            $(
                #[doc = $from_does]
                $(#$from)*
                #[inline]
                #[must_use]
                $vis fn $from_with(self, value: $from_type) -> Self {
                    let value: $crate::register::bits::$storage::$from_bits =
                        ::core::convert::From::from(value);
                    Self {
                        inner: $crate::register::bits::$storage::$from_put(self.inner, $from_low, value),
                    }
                }
            )*
        }

        $(#$cfg)*
        impl ::core::convert::From<$storage> for $name {
            #[inline]
            fn from(value: $storage) -> Self {
                Self { inner: value }
            }
        }

        $(#$cfg)*
        impl ::core::convert::From<$name> for $storage {
            #[inline]
            fn from(value: $name) -> Self {
                value.inner
            }
        }

        $(#$cfg)*
        impl $crate::register::Bitfield for $name {
            type Storage = $storage;
            const NAME: &'static str = $text;
            const TABLE: &'static str = $table;
            $(const PARTS: &'static [&'static str] = &[$($(#$field_cfg)* $part,)*];)?
        }

        $(#$cfg)*
        impl ::core::clone::Clone for $name {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }

        $(#$cfg)*
        impl ::core::cmp::Eq for $name {}

        $(#$cfg)*
        impl ::core::fmt::Debug for $name {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::register::debug::<Self>(self.inner, f)
            }
        }
    };
}

/// Where the register of a type is, and what can be done with it.
#[doc(hidden)]
#[macro_export]
macro_rules! __location {
    (
        $(#$cfg:tt)* $vis:vis $name:ident $family:ty;
        $(offset $offset:expr;)?
        $(alias $(#$alias_cfg:tt)* $alias:ty;)?
        $(element $(#$element_cfg:tt)* $element:ty, $index:expr;)?
        $(array $(#$array_cfg:tt)* $len:expr $(, $stride:expr)?;)?
        $(constant $(#$constant:tt)*;)?
        $($(#$trait_cfg:tt)* impl $trait:ident;)*
    ) => {
        $(#$cfg)*
        impl $crate::register::Register for $name {
            type Family = $family;
            $(const OFFSET: usize = $offset;)?
            $(
                const OFFSET: usize = $crate::register::alias_offset::<$family, $alias>();
                const ALIASED: $crate::register::Effects =
                    $crate::register::Effects::of::<$alias>();
            )?
            $(
                const OFFSET: usize =
                    $crate::register::element_offset::<$family, $element>($index);
                const ALIASED: $crate::register::Effects =
                    $crate::register::Effects::of::<$element>();
            )?
        }

        $(
            $(#$alias_cfg)*
            const _: usize = <$name as $crate::register::Register>::OFFSET;
        )?

        $(
            $(#$element_cfg)*
            const _: usize = <$name as $crate::register::Register>::OFFSET;
        )?

        $(
            $(#$array_cfg)*
            impl $crate::register::Array for $name {
                const LEN: usize = $len;
                $(const STRIDE: usize = $stride;)?
            }

            $(#$array_cfg)*
            const _: () = $crate::register::check_array::<$name>();
        )?

        $(
            $(#$constant)*
            #[allow(dead_code, non_upper_case_globals, reason = "registers are named as in manuals")]
            $vis const $name: $crate::register::RegisterLoc<$name> =
                $crate::register::RegisterLoc(::core::marker::PhantomData);
        )?

        $(
            $(#$trait_cfg)*
            impl $crate::register::$trait for $name {}
        )*
    };
}
