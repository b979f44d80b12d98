//! Alternative routing-id interpretation.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, flags};

/// Alternative routing-id interpretation: a device with up to 256 functions (PCI Express Base 6.0
/// section 7.8.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ari {
    /// What it can do.
    pub capabilities: AriFlags,
    /// The next function of the device; 0 behind the last one.
    pub next_function: u8,
    /// What it does.
    pub control: AriFlags,
    /// Which group it is in.
    pub function_group: u8,
}

flags! {
    /// The flags of ARI Capability and Control (offsets 4 and 6, 16 bits).
    pub struct AriFlags(u16) {
        MFVC = 1 << 0, "MFVC", "Function groups for virtual channels.";
        ACS = 1 << 1, "ACS", "Function groups for access control.";
    }
}

impl Ari {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let control = fields.read16(6)?;
        Ok(Self {
            capabilities: AriFlags::from_bits(fields.read16(4)?),
            next_function: fields.read8(5)?,
            control: AriFlags::from_bits(control),
            function_group: bits8(control, 4, 3),
        })
    }
}
