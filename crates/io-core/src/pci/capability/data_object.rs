//! Data object exchange.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits16, flags};

/// Data object exchange: a mailbox (PCI Express Base 6.0 section 7.9.24).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doe {
    /// What it can do.
    pub capabilities: DoeCapability,
    /// What it does.
    pub control: DoeControl,
    /// What is going on.
    pub status: DoeStatus,
}

flags! {
    /// DOE Capabilities (offset 4, 32 bits).
    pub struct DoeCapability(u32) {
        INTERRUPT = 1 << 0, "IntSup", "It can raise an interrupt.";
    }
}

impl DoeCapability {
    /// The number of the interrupt message that it uses, if it can.
    #[must_use]
    pub fn interrupt_message(self) -> u16 {
        bits16(self.bits(), 1, 11)
    }
}

flags! {
    /// DOE Control (offset 8, 32 bits).
    pub struct DoeControl(u32) {
        ABORT = 1 << 0, "Abort", "Writing a 1 ends what is going on. Reads 0.";
        INTERRUPT = 1 << 1, "IntEn", "It raises an interrupt.";
        GO = 1 << 31, "Go", "Writing a 1 says that an object is complete. Reads 0.";
    }
}

flags! {
    /// DOE Status (offset 12, 32 bits).
    pub struct DoeStatus(u32) {
        BUSY = 1 << 0, "Busy", "It cannot take an object now.";
        INTERRUPT = 1 << 1, "IntSta", "An interrupt is pending. Cleared by writing a 1.";
        ERROR = 1 << 2, "Error", "Something went wrong. Cleared by an abort.";
        OBJECT_READY = 1 << 31, "ObjectReady", "There is an object to be read.";
    }
}

impl Doe {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            capabilities: DoeCapability::from_bits(fields.read32(4)?),
            control: DoeControl::from_bits(fields.read32(8)?),
            status: DoeStatus::from_bits(fields.read32(12)?),
        })
    }
}
