//! The code of a field.

use crate::{
    field::{Access, Field, Value},
    template::{Template, Values},
};
use proc_macro::{Literal, TokenStream};

const CONSTANTS: &str = r##"
    #[doc = $range_doc]
    $cfg
    $vis const $RANGE: $krate::register::BitRange = $krate::register::BitRange { start: $low, end: $high };

    #[doc = $mask_doc]
    $cfg
    $vis const $MASK: $storage = $mask;

    #[doc = $shift_doc]
    $cfg
    $vis const $SHIFT: u32 = $low;
"##;

const GET: &str = r##"
    $attributes
    #[inline]
    $vis fn $field(self) -> $krate::Bounded<$storage, $width> {
        $krate::register::get::<$storage, $width>(self.inner, $low)
    }
"##;

const GET_INTO: &str = r##"
    $attributes
    #[inline]
    $vis fn $field(self) -> $type {
        ::core::convert::From::from($krate::register::get::<$storage, $width>(self.inner, $low))
    }
"##;

const GET_TRY_INTO: &str = r##"
    $attributes
    #[inline]
    $vis fn $field(self) -> ::core::result::Result<
        $type,
        <$type as ::core::convert::TryFrom<$krate::Bounded<$storage, $width>>>::Error,
    > {
        ::core::convert::TryFrom::try_from($krate::register::get::<$storage, $width>(self.inner, $low))
    }
"##;

const SET: &str = r##"
    #[doc = $with_doc]
    $attributes_only
    #[inline]
    #[must_use]
    $vis fn $with(self, value: impl ::core::convert::Into<$krate::Bounded<$storage, $width>>) -> Self {
        Self { inner: $krate::register::with::<$storage, $width>(self.inner, $low, value) }
    }

    #[doc = $with_const_doc]
    $attributes_only
    #[inline]
    #[must_use]
    $vis const fn $with_const<const VALUE: $storage>(self) -> Self {
        Self { inner: $krate::Bounded::<$storage, $width>::put::<VALUE>(self.inner, $low) }
    }

    #[doc = $try_with_doc]
    $attributes_only
    #[inline]
    $vis fn $try_with(
        self,
        value: impl ::core::convert::TryInto<$storage>,
    ) -> ::core::result::Result<Self, $krate::register::FieldError> {
        $krate::register::try_with::<$storage, $width, Self>(self.inner, $low, value)
    }
"##;

const SET_FROM: &str = r##"
    #[doc = $with_doc]
    $attributes_only
    #[inline]
    #[must_use]
    $vis fn $with(self, value: $type) -> Self {
        Self { inner: $krate::register::with::<$storage, $width>(self.inner, $low, value) }
    }
"##;

const TABLE_ENTRY: &str = r##"
    $cfg
    $krate::register::Field {
        name: $text,
        low: $low,
        width: $width,
        access: $krate::register::FieldAccess::$access,
    },
"##;

const ERROR: &str = r##"
    $cfg
    const _: () = ::core::panic!($message);
"##;

/// The code of fields, to be filled in.
pub(crate) struct FieldTemplates {
    constants: Template,
    get: Template,
    get_into: Template,
    get_try_into: Template,
    set: Template,
    set_from: Template,
    table_entry: Template,
    error: Template,
}

impl FieldTemplates {
    pub(crate) fn new() -> Self {
        Self {
            constants: Template::new(CONSTANTS),
            get: Template::new(GET),
            get_into: Template::new(GET_INTO),
            get_try_into: Template::new(GET_TRY_INTO),
            set: Template::new(SET),
            set_from: Template::new(SET_FROM),
            table_entry: Template::new(TABLE_ENTRY),
            error: Template::new(ERROR),
        }
    }

    /// The constants and methods of `field`.
    pub(crate) fn methods(&self, field: &Field, outer: &Values<'_>) -> TokenStream {
        let values = values(field, outer);
        let mut code = self.constants.fill(&values);
        if field.access != Access::WriteOnly {
            code.extend(match field.value {
                Value::Plain => self.get.fill(&values),
                Value::Into(_) => self.get_into.fill(&values),
                Value::TryInto(_) => self.get_try_into.fill(&values),
            });
        }
        if !matches!(field.access, Access::ReadOnly | Access::ReadToClear) {
            code.extend(match field.value {
                Value::Plain => self.set.fill(&values),
                Value::Into(_) | Value::TryInto(_) => self.set_from.fill(&values),
            });
        }
        code
    }

    /// The entry of `field` in the table of fields.
    pub(crate) fn table_entry(&self, field: &Field, outer: &Values<'_>) -> TokenStream {
        let access = match field.access {
            Access::ReadWrite => "ReadWrite",
            Access::ReadOnly => "ReadOnly",
            Access::WriteOnly => "WriteOnly",
            Access::WriteOneToClear => "WriteOneToClear",
            Access::ReadToClear => "ReadToClear",
        };
        let values = Values::within(outer)
            .tokens("cfg", field.attributes.cfg.clone())
            .string("text", &field.plain_name())
            .number("low", field.low)
            .number("width", field.width)
            .ident("access", access, field.name.span());
        self.table_entry.fill(&values)
    }

    /// What makes the compiler say what is wrong with the bits of `field`.
    pub(crate) fn error(&self, field: &Field, outer: &Values<'_>) -> Option<TokenStream> {
        let values = Values::within(outer).string("message", field.error.as_deref()?);
        Some(self.error.fill(&values))
    }
}

/// What stands for the names in the templates.
fn values<'a>(field: &Field, outer: &'a Values<'a>) -> Values<'a> {
    let (name, span) = (field.plain_name(), field.name.span());
    let upper = name.to_uppercase();
    let high = field.low + field.width - 1;
    let bits = format!("`{name}`, bits {high}:{}", field.low);
    let sets = match field.access {
        Access::WriteOneToClear => "Sets the bits to write to",
        _ => "Replaces",
    };
    let attributes = &field.attributes;
    let mut attributes_only = attributes.cfg.clone();
    attributes_only.extend(attributes.lints.clone());
    attributes_only.extend(attributes.others.clone());
    let values = Values::within(outer)
        .tokens("attributes", getter_attributes(field, &bits))
        .tokens("attributes_only", attributes_only)
        .tokens("cfg", attributes.cfg.clone())
        .number("low", field.low)
        .number("high", high)
        .number("width", field.width)
        .token("mask", mask(field))
        .token("field", field.name.clone())
        .ident("with", &format!("with_{name}"), span)
        .ident("with_const", &format!("with_const_{name}"), span)
        .ident("try_with", &format!("try_with_{name}"), span)
        .ident("RANGE", &format!("{upper}_RANGE"), span)
        .ident("MASK", &format!("{upper}_MASK"), span)
        .ident("SHIFT", &format!("{upper}_SHIFT"), span)
        .string("range_doc", &format!("The range of bits of {bits}."))
        .string("mask_doc", &format!("The mask of {bits}."))
        .string("shift_doc", &format!("The lowest bit of {bits}."))
        .string("with_doc", &format!("{sets} {bits}."))
        .string(
            "with_const_doc",
            &format!("{sets} {bits}, by a value that is checked at compile time."),
        )
        .string(
            "try_with_doc",
            &format!("{sets} {bits}, if the value fits there."),
        );
    match &field.value {
        Value::Plain => values,
        Value::Into(ty) | Value::TryInto(ty) => values.tokens("type", ty.clone()),
    }
}

/// The bits of a field.
fn mask(field: &Field) -> Literal {
    let mask = (u64::MAX >> (u64::BITS - field.width)) << field.low;
    format!("{mask:#x}").parse().expect("a number is a literal")
}

/// All attributes of a field, with a line of documentation if there is none.
fn getter_attributes(field: &Field, bits: &str) -> TokenStream {
    let attributes = &field.attributes;
    let mut all = attributes.docs.clone();
    if all.is_empty() {
        let line = Values::new().string("line", &format!("{bits}."));
        all = Template::new("#[doc = $line]").fill(&line);
    }
    all.extend(attributes.cfg.clone());
    all.extend(attributes.lints.clone());
    all.extend(attributes.others.clone());
    all
}
