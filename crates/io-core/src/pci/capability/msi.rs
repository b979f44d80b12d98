//! Message signalled interrupts.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, flags};

/// Message signalled interrupts (PCI Local Bus 3.0 section 6.8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msi {
    /// How many, and whether they are on.
    pub control: MsiControl,
    /// The address that a message is written to.
    pub address: u64,
    /// What is written; its low bits are the number of the vector.
    pub data: u16,
    /// Which vectors are masked, if each can be: bit n for vector n.
    pub mask: Option<u32>,
    /// Which vectors are pending, if each can be masked: bit n for vector n.
    pub pending: Option<u32>,
}

flags! {
    /// Message Control (offset 2, 16 bits).
    pub struct MsiControl(u16) {
        ENABLE = 1 << 0, "Enable", "The function uses it, and not INTx.";
        ADDRESS_64 = 1 << 7, "64bit", "The address can have 64 bits.";
        PER_VECTOR_MASKING = 1 << 8, "Maskable", "Each vector can be masked.";
        EXTENDED_DATA = 1 << 9, "ExtData", "The data can have 32 bits.";
        EXTENDED_DATA_ENABLE = 1 << 10, "ExtDataEn", "The data has 32 bits.";
    }
}

impl MsiControl {
    /// How many vectors the function could use: 1 to 32. `None` if it names a number that the
    /// specification reserves.
    #[must_use]
    pub fn capable(self) -> Option<u8> {
        vectors(bits8(self.bits(), 1, 3))
    }

    /// How many vectors it was given: 1 to 32. `None` if it names a number that the
    /// specification reserves.
    #[must_use]
    pub fn enabled(self) -> Option<u8> {
        vectors(bits8(self.bits(), 4, 3))
    }

    /// Where the data is, in bytes from the start of the capability.
    #[must_use]
    pub fn data_offset(self) -> u16 {
        if self.contains(Self::ADDRESS_64) {
            0x0c
        } else {
            0x08
        }
    }

    /// Where the mask is, in bytes from the start of the capability, if there is one. What is pending
    /// is 4 bytes behind it.
    #[must_use]
    pub fn mask_offset(self) -> Option<u16> {
        self.contains(Self::PER_VECTOR_MASKING)
            .then(|| self.data_offset() + 4)
    }
}

fn vectors(log2: u8) -> Option<u8> {
    (log2 <= 5).then(|| 1 << log2)
}

impl Msi {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let control = MsiControl::from_bits(fields.read16(2)?);
        let upper = match control.contains(MsiControl::ADDRESS_64) {
            true => fields.read32(8)?,
            false => 0,
        };
        let word = |at: Option<u16>| at.map(|at| fields.read32(at.into())).transpose();
        Ok(Self {
            control,
            address: u64::from(upper) << 32 | u64::from(fields.read32(4)?),
            data: fields.read16(control.data_offset().into())?,
            mask: word(control.mask_offset())?,
            pending: word(control.mask_offset().map(|at| at + 4))?,
        })
    }
}
