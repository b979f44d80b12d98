//! Message signalled interrupts with a table.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, bits16, flags};

/// Message signalled interrupts with a table (PCI Local Bus 3.0 section 6.8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsiX {
    /// How many, and whether they are on.
    pub control: MsiXControl,
    /// Where the table is: 16 bytes for each vector.
    pub table: BarOffset,
    /// Where the pending bits are: 8 bytes for each 64 vectors.
    pub pending: BarOffset,
}

/// A place in a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarOffset {
    /// The number of the BAR; 6 and 7 are reserved.
    pub bar: u8,
    /// How many bytes from its start; a multiple of 8.
    pub offset: u32,
}

flags! {
    /// Message Control (offset 2, 16 bits).
    pub struct MsiXControl(u16) {
        ENABLE = 1 << 15, "Enable", "The function uses it, and neither MSI nor INTx.";
        MASKED = 1 << 14, "Masked", "All vectors are masked, whatever the table says.";
    }
}

impl MsiXControl {
    /// How many vectors the table has: 1 to 2048.
    #[must_use]
    pub fn vectors(self) -> u16 {
        bits16(self.bits(), 0, 11) + 1
    }
}

impl BarOffset {
    pub(super) fn from_register(register: u32) -> Self {
        Self {
            bar: bits8(register, 0, 3),
            offset: register & !0x7,
        }
    }
}

impl MsiX {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            control: MsiXControl::from_bits(fields.read16(2)?),
            table: BarOffset::from_register(fields.read32(4)?),
            pending: BarOffset::from_register(fields.read32(8)?),
        })
    }
}
