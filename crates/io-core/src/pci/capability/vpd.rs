//! Vital product data.

use super::{BodyError, fields::Fields};
use crate::pci::bits::bits16;

/// The window to vital product data (PCI Local Bus 3.0, appendix I). The data itself is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpd {
    /// The address in the data that was last accessed, in bytes; a multiple of 4.
    pub address: u16,
    /// Whether a read is done (a write is still going on).
    pub flag: bool,
    /// What was read from there, if `flag` says so.
    pub data: u32,
}

impl Vpd {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let register = fields.read16(2)?;
        Ok(Self {
            address: bits16(register, 0, 15),
            flag: register >> 15 != 0,
            data: fields.read32(4)?,
        })
    }
}
