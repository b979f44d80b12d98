//! Registers as values: flags with the names that lspci gives them, and fields of several bits.

/// The `count` bits of `value` from bit `shift` on; at most 8 of them.
pub(super) fn bits8(value: impl Into<u64>, shift: u32, count: u32) -> u8 {
    let [low, ..] = bits(value.into(), shift, count).to_le_bytes();
    low
}

/// The `count` bits of `value` from bit `shift` on; at most 16 of them.
pub(super) fn bits16(value: impl Into<u64>, shift: u32, count: u32) -> u16 {
    let [low, high, ..] = bits(value.into(), shift, count).to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn bits(value: u64, shift: u32, count: u32) -> u64 {
    (value >> shift) & ((1 << count) - 1)
}

/// A register as a value whose single bits have names.
///
/// `NAME = mask, "text", "sentence";` makes a constant `NAME`, documented by the sentence, which
/// `Display` writes as `text+` or `text-`, in the order of the list.
macro_rules! flags {
    (
        $(#[$doc:meta])*
        pub struct $Register:ident($Int:ty) {
            $( $NAME:ident = $mask:expr, $text:literal, $sentence:literal; )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $Register($Int);

        impl $Register {
            $(
                #[doc = $sentence]
                pub const $NAME: Self = Self($mask);
            )*

            const NAMES: &[(Self, &'static str)] = &[$( (Self::$NAME, $text) ),*];

            /// The register with these bits.
            #[must_use]
            pub const fn from_bits(bits: $Int) -> Self {
                Self(bits)
            }

            /// The whole register, with the bits that have no name here.
            #[must_use]
            pub const fn bits(self) -> $Int {
                self.0
            }

            /// Whether all of these bits are set.
            #[must_use]
            pub const fn contains(self, bits: Self) -> bool {
                self.0 & bits.0 == bits.0
            }

            /// The name of each flag, as lspci gives it, and whether it is set.
            pub fn names(self) -> impl Iterator<Item = (&'static str, bool)> {
                Self::NAMES
                    .iter()
                    .map(move |&(flag, name)| (name, self.contains(flag)))
            }
        }

        /// All flags by name, `+` behind those that are set and `-` behind the others.
        impl std::fmt::Display for $Register {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                for (n, (name, set)) in self.names().enumerate() {
                    let space = if n == 0 { "" } else { " " };
                    write!(f, "{space}{name}{}", if set { '+' } else { '-' })?;
                }
                Ok(())
            }
        }

        /// The bits, and the names of those that are set.
        impl std::fmt::Debug for $Register {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($Register), "({:#x}"), self.0)?;
                for (name, _) in self.names().filter(|&(_, set)| set) {
                    write!(f, " {name}")?;
                }
                f.write_str(")")
            }
        }
    };
}

pub(super) use flags;

#[cfg(test)]
mod tests {
    use super::*;

    flags! {
        /// Two bits.
        pub struct Two(u16) {
            LOW = 1 << 0, "Low", "The low one.";
            HIGH = 1 << 15, "High", "The high one.";
        }
    }

    #[test]
    fn flags_are_written_as_lspci_writes_them() {
        assert_eq!(Two::from_bits(0x8000).to_string(), "Low- High+");
        assert_eq!(format!("{:?}", Two::from_bits(0x8002)), "Two(0x8002 High)");
        assert!(!Two::from_bits(0x8000).contains(Two::LOW));
        assert_eq!(Two::from_bits(0x8002).bits(), 0x8002);
    }

    #[test]
    fn fields_are_cut_out_of_their_register() {
        assert_eq!(bits8(0x0019_2830u32, 4, 6), 0x03);
        assert_eq!(bits8(0xffu8, 0, 8), 0xff);
        assert_eq!(bits16(0xdead_beefu32, 16, 16), 0xdead);
        assert_eq!(bits16(0xdead_beefu32, 19, 13), 0x1bd5);
    }
}
