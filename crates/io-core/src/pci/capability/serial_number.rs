//! A serial number.

use super::{BodyError, fields::Fields};
use std::fmt;

/// The serial number of a device: an EUI-64 (PCI Express Base 6.0 section 7.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialNumber(pub u64);

/// As lspci writes it: eight bytes with dashes between, the maker's three first.
impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            let dash = if n == 0 { "" } else { "-" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl SerialNumber {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let (low, high) = (fields.read32(4)?, fields.read32(8)?);
        Ok(Self(u64::from(high) << 32 | u64::from(low)))
    }
}
