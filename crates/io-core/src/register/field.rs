//! What is known of the fields of a type, and how they are read, changed and printed.

use crate::num::Integer;
use std::fmt;

/// A type that [`bitfield!`](crate::bitfield!) or [`register!`](crate::register!) defines.
pub trait Bitfield: Copy + From<Self::Storage> + 'static {
    /// The integer that it is made of.
    type Storage: Integer + From<Self>;
    /// Its name.
    const NAME: &'static str;
    /// Its fields, in the order of their definition.
    const FIELDS: Fields = Fields::new(Self::PARTS);
    /// What [`FIELDS`](Self::FIELDS) are made of, which costs the compiler less than they would.
    #[doc(hidden)]
    const TABLE: &'static str = "";
    /// The same, where some fields are there under conditions.
    #[doc(hidden)]
    const PARTS: &'static [&'static str] = &[Self::TABLE];
}

/// The fields of a type.
///
/// ```
/// use io_core::{bitfield, register::Bitfield};
///
/// bitfield! {
///     struct Control(u16) {
///         11:8 mode;
///         0:0 enable;
///     }
/// }
///
/// let names: Vec<_> = Control::FIELDS.iter().map(|field| field.name).collect();
/// assert_eq!(names, ["mode", "enable"]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    /// What comes first: for each field the lowest bit and the number of bits, with two digits each, a letter for the
    /// access, the name and a semicolon. `0804-mode;0001-enable;`. An `=` before them: none has effects.
    text: &'static [u8],
    /// What comes then.
    parts: &'static [&'static str],
}

impl Fields {
    const fn new(parts: &'static [&'static str]) -> Self {
        Self { text: &[], parts }
    }

    /// Each of them, in the order of their definition.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        let mut fields = self;
        std::iter::from_fn(move || {
            let (field, rest) = fields.split_first()?;
            fields = rest;
            Some(field)
        })
    }

    /// The first one, and the others.
    const fn split_first(mut self) -> Option<(Field, Self)> {
        while let ([], [part, parts @ ..]) = (self.text, self.parts) {
            let text = match part.as_bytes() {
                [b'=', text @ ..] | text => text,
            };
            self = Self { text, parts };
        }
        let [low_tens, low, width_tens, width, access, rest @ ..] = self.text else {
            return None;
        };
        let mut len = 0;
        let mut tail = rest;
        while let [byte, following @ ..] = tail {
            tail = following;
            if *byte == b';' {
                break;
            }
            len += 1;
        }
        let Ok(name) = std::str::from_utf8(rest.split_at(len).0) else {
            return None;
        };
        let field = Field {
            name,
            low: number(*low_tens, *low),
            width: number(*width_tens, *width),
            access: match access {
                b'r' => FieldAccess::ReadOnly,
                b'w' => FieldAccess::WriteOnly,
                b'1' => FieldAccess::WriteOneToClear,
                b'c' => FieldAccess::ReadToClear,
                _ => FieldAccess::ReadWrite,
            },
        };
        self.text = tail;
        Some((field, self))
    }
}

/// The number that two digits are.
const fn number(tens: u8, ones: u8) -> u32 {
    u32::from_be_bytes([0, 0, 0, 10 * (tens - b'0') + (ones - b'0')])
}

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "definitions of registers make them"
)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// The lowest bit.
    pub low: u32,
    /// The number of bits.
    pub width: u32,
    /// What it does when it is read or written.
    pub access: FieldAccess,
}

impl Field {
    /// The bits of the field.
    ///
    /// ```
    /// use io_core::register::{Field, FieldAccess};
    /// let field = Field { name: "mode", low: 4, width: 4, access: FieldAccess::ReadWrite };
    /// assert_eq!(field.mask(), 0xf0);
    /// ```
    #[must_use]
    pub const fn mask(self) -> u64 {
        (u64::MAX >> (u64::BITS - self.width)) << self.low
    }
}

/// The bits of a field, both ends included.
///
/// A `RangeInclusive` would have the compiler run its constructor for every field.
///
/// ```
/// io_core::bitfield! {
///     struct Control(u16) {
///         11:8 mode;
///     }
/// }
///
/// let range = Control::MODE_RANGE;
/// assert_eq!((range.start(), range.end(), range.len()), (8, 11, 4));
/// assert!(range.contains(11) && !range.contains(12));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "definitions of fields make them")]
pub struct BitRange {
    /// The lowest bit.
    pub start: u8,
    /// The highest bit.
    pub end: u8,
}

#[expect(clippy::len_without_is_empty, reason = "a field has one bit at least")]
impl BitRange {
    /// The lowest bit.
    #[must_use]
    pub const fn start(self) -> u8 {
        self.start
    }

    /// The highest bit.
    #[must_use]
    pub const fn end(self) -> u8 {
        self.end
    }

    /// The number of bits.
    #[must_use]
    pub fn len(self) -> usize {
        usize::from(self.end.saturating_sub(self.start)) + 1
    }

    /// Whether `bit` is one of them.
    #[must_use]
    pub const fn contains(self, bit: u8) -> bool {
        self.start <= bit && bit <= self.end
    }
}

/// What a field does when it is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "definitions of registers name them"
)]
pub enum FieldAccess {
    /// It keeps what is written.
    ReadWrite,
    /// `#[ro]`: writing changes nothing.
    ReadOnly,
    /// `#[wo]`: what is read means nothing.
    WriteOnly,
    /// `#[w1c]`: writing ones clears it, writing zeros does nothing.
    WriteOneToClear,
    /// `#[rc]`: reading clears it.
    ReadToClear,
}

/// The bits of a register for which it matters that it is read, or written.
///
/// This is what keeps [`Io::update`](crate::Io::update) from clearing by accident. An alias takes it over
/// from the register whose alias it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    /// The bits in which an update writes zeros, whatever is read there: those of write-1-to-clear and
    /// write-only fields.
    pub(super) write: u64,
    /// The bits that a read clears.
    pub(super) read: u64,
}

impl Effects {
    /// No bits.
    pub(super) const NONE: Self = Self { write: 0, read: 0 };

    /// Those of these fields.
    pub(super) const fn of_fields(mut fields: Fields) -> Self {
        let mut effects = Self::NONE;
        // Most have none: the compiler need not read all their names then.
        if let ([], [part]) = (fields.text, fields.parts) {
            if let [] | [b'=', ..] = part.as_bytes() {
                return effects;
            }
        }
        while let Some((field, rest)) = fields.split_first() {
            match field.access {
                FieldAccess::ReadWrite | FieldAccess::ReadOnly => {}
                FieldAccess::WriteOnly | FieldAccess::WriteOneToClear => {
                    effects.write |= field.mask();
                }
                FieldAccess::ReadToClear => effects.read |= field.mask(),
            }
            fields = rest;
        }
        effects
    }

    /// These and `other`.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            write: self.write | other.write,
            read: self.read | other.read,
        }
    }
}

/// A value that has more bits than the field that it is for.
///
/// ```
/// io_core::bitfield! {
///     struct Config(u8) {
///         3:0 nibble;
///     }
/// }
///
/// let error = Config::zeroed().try_with_nibble(0x1f_u8).unwrap_err();
/// assert_eq!((error.value(), error.width()), (Some(0x1f), 4));
/// assert_eq!(error.to_string(), "0x1f does not fit in a field of 4 bits");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldError {
    value: Option<u64>,
    width: u32,
}

impl FieldError {
    /// The value; `None` if it does not even fit in the register.
    #[must_use]
    pub fn value(&self) -> Option<u64> {
        self.value
    }

    /// The number of bits of the field.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, "{value:#x}")?,
            None => write!(f, "the value")?,
        }
        let unit = if self.width == 1 { "bit" } else { "bits" };
        write!(f, " does not fit in a field of {} {unit}", self.width)
    }
}

impl std::error::Error for FieldError {}

/// `raw` with `value` in the `width` bits from `low` on; if it fits there. `None` does not even fit in a `T`.
#[inline]
pub(super) fn try_put<T: Integer>(
    raw: T,
    low: u32,
    width: u32,
    value: Option<T>,
) -> Result<T, FieldError> {
    let largest = T::MAX >> (T::BITS - width);
    match value {
        Some(value) if value <= largest => Ok(raw & !(largest << low) | value << low),
        _ => Err(FieldError {
            value: value.map(Into::into),
            width,
        }),
    }
}

/// Prints a value as hexadecimal number and by field: `CTRL { raw: 0x00000031, mode: 3, enable: 1 }`.
#[doc(hidden)]
#[inline]
pub fn debug<B: Bitfield>(raw: B::Storage, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Hands on what is not generic: that would be compiled for every register.
    let digits = 2 * size_of::<B::Storage>();
    debug_fields(B::NAME, (raw.into(), digits), B::FIELDS, f)
}

/// Prints a value, which has so many digits.
fn debug_fields(
    name: &str,
    (value, digits): (u64, usize),
    fields: Fields,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut output = f.debug_struct(name);
    output.field(
        "raw",
        &format_args!("{value:#0width$x}", width = 2 + digits),
    );
    for field in fields.iter() {
        output.field(field.name, &((value & field.mask()) >> field.low));
    }
    output.finish()
}
