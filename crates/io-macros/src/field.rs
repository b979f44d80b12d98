//! The definition of a field: `7:4 mode => Mode;`.

use crate::{
    attributes::Attributes,
    cursor::{Cursor, Error},
};
use proc_macro::{Ident, Literal, TokenTree};

/// What can be done to a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
    WriteOnly,
    WriteOneToClear,
    ReadToClear,
}

/// What a field's value is.
pub(crate) enum Value {
    /// A `Bounded`.
    Plain,
    /// `=> Type`.
    Into(Vec<TokenTree>),
    /// `?=> Type`.
    TryInto(Vec<TokenTree>),
}

/// A field.
pub(crate) struct Field {
    pub(crate) attributes: Attributes,
    pub(crate) access: Access,
    /// The lowest bit.
    pub(crate) low: u32,
    /// The number of bits; 1 if `error` says that there is something wrong with them.
    pub(crate) width: u32,
    /// What is wrong with the bits.
    pub(crate) error: Option<String>,
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

impl Field {
    /// The name without `r#`, to be put together with others.
    pub(crate) fn plain_name(&self) -> String {
        let name = self.name.to_string();
        name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
    }

    /// Whether it is one bit that is a `bool`, for which there is shorter code.
    pub(crate) fn is_bool(&self) -> bool {
        let Value::Into(ty) = &self.value else {
            return false;
        };
        let name =
            |token: &TokenTree| matches!(token, TokenTree::Ident(ty) if ty.to_string() == "bool");
        self.width == 1 && ty.len() == 1 && ty.first().is_some_and(name)
    }
}

impl Cursor {
    /// The field that stands here, of a type with this many bits.
    pub(crate) fn field(&mut self, bits: u32) -> Result<Field, Error> {
        let attributes = self.attributes(&["ro", "wo", "w1c", "rc"])?;
        let high = bit(&self.literal("the number of a field's highest bit")?)?;
        if !self.skip_punct(":")? {
            return Err(self.expected("`:` and the number of the field's lowest bit"));
        }
        let low = bit(&self.literal("the number of the field's lowest bit")?)?;
        let name = self.ident("the name of the field")?;
        check_name(&name)?;
        let value = if self.skip_punct("?=>")? {
            Value::TryInto(self.value_type()?)
        } else if self.skip_punct("=>")? {
            Value::Into(self.value_type()?)
        } else {
            Value::Plain
        };
        if !self.skip_punct(";")? {
            return Err(self.expected("`;`, `=>` or `?=>`"));
        }
        let error = if high < low {
            Some(format!(
                "bits {high}:{low} of `{name}`: the highest bit comes first"
            ))
        } else if high >= bits {
            Some(format!(
                "bits {high}:{low} of `{name}`: there are {bits} bits"
            ))
        } else {
            None
        };
        let (low, width) = match error {
            None => (low, high - low + 1),
            Some(_) => (0, 1),
        };
        Ok(Field {
            access: access(&attributes),
            attributes,
            low,
            width,
            error,
            name,
            value,
        })
    }

    fn value_type(&mut self) -> Result<Vec<TokenTree>, Error> {
        let tokens =
            self.until(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'));
        if tokens.is_empty() {
            return Err(self.expected("the type of the field's value"));
        }
        Ok(tokens)
    }
}

fn access(attributes: &Attributes) -> Access {
    let name = attributes.access.as_ref().map(ToString::to_string);
    match name.as_deref() {
        Some("ro") => Access::ReadOnly,
        Some("wo") => Access::WriteOnly,
        Some("w1c") => Access::WriteOneToClear,
        Some("rc") => Access::ReadToClear,
        _ => Access::ReadWrite,
    }
}

/// The number that `literal` is.
fn bit(literal: &Literal) -> Result<u32, Error> {
    let text = literal.to_string().replace('_', "");
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| Error::new(literal.span(), "expected the number of a bit"))
}

/// Refuses names that what is generated needs, as the kernel does.
fn check_name(name: &Ident) -> Result<(), Error> {
    let text = name.to_string();
    let prefix = ["with_", "const_", "try_with_", "__"]
        .iter()
        .find(|prefix| text.starts_with(**prefix));
    if let Some(prefix) = prefix {
        let message = format!("names of fields that start with `{prefix}` are reserved");
        return Err(Error::new(name.span(), message));
    }
    if matches!(text.as_str(), "from_raw" | "into_raw" | "into" | "zeroed") {
        let message = format!("no field can be named `{text}`: the type has a method of that name");
        return Err(Error::new(name.span(), message));
    }
    Ok(())
}
