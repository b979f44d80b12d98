//! Power management.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, flags};

/// Power management (PCI Power Management 1.2 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerManagement {
    /// What it can do.
    pub capabilities: PowerCapabilities,
    /// The state it is in, and what it signals.
    pub control: PowerControl,
    /// What a bridge does with its secondary bus: bit 6 B2 rather than B3 in D3hot, bit 7 whether power
    /// and clock follow the state at all.
    pub bridge_extensions: u8,
    /// What `control` selects of the power it draws.
    pub data: u8,
}

flags! {
    /// Power Management Capabilities (offset 2, 16 bits).
    pub struct PowerCapabilities(u16) {
        PME_CLOCK = 1 << 3, "PMEClk", "It needs the bus clock to assert PME#.";
        DEVICE_SPECIFIC_INIT = 1 << 5, "DSI", "It needs an initialisation of its own before a generic driver can use it.";
        D1 = 1 << 9, "D1", "It can be in state D1.";
        D2 = 1 << 10, "D2", "It can be in state D2.";
        PME_D0 = 1 << 11, "PME-D0", "It can signal PME# in state D0.";
        PME_D1 = 1 << 12, "PME-D1", "It can signal PME# in state D1.";
        PME_D2 = 1 << 13, "PME-D2", "It can signal PME# in state D2.";
        PME_D3_HOT = 1 << 14, "PME-D3hot", "It can signal PME# in state D3hot.";
        PME_D3_COLD = 1 << 15, "PME-D3cold", "It can signal PME# in state D3cold.";
    }
}

impl PowerCapabilities {
    /// The version of the specification that it follows: 2 for 1.1, 3 for 1.2.
    #[must_use]
    pub fn version(self) -> u8 {
        bits8(self.bits(), 0, 3)
    }

    /// How much current it needs in D3cold to signal PME#, in mA; at most.
    #[must_use]
    pub fn aux_current(self) -> u16 {
        match bits8(self.bits(), 6, 3) {
            0 => 0,
            1 => 55,
            2 => 100,
            3 => 160,
            4 => 220,
            5 => 270,
            6 => 320,
            _ => 375,
        }
    }
}

flags! {
    /// Power Management Control and Status (offset 4, 16 bits). `PME` is cleared by writing a 1.
    pub struct PowerControl(u16) {
        NO_SOFT_RESET = 1 << 3, "NoSoftRst", "It keeps its state on the way from D3hot to D0.";
        PME_ENABLE = 1 << 8, "PME-Enable", "It may assert PME#.";
        PME = 1 << 15, "PME", "It wants to assert PME#, or does.";
    }
}

impl PowerControl {
    /// The state it is in: 0 to 3 for D0 to D3hot.
    #[must_use]
    pub fn state(self) -> u8 {
        bits8(self.bits(), 0, 2)
    }

    /// Which power its data register tells of.
    #[must_use]
    pub fn data_select(self) -> u8 {
        bits8(self.bits(), 9, 4)
    }

    /// The unit of the data register: 0 for none, then 0.1, 0.01 and 0.001 W.
    #[must_use]
    pub fn data_scale(self) -> u8 {
        bits8(self.bits(), 13, 2)
    }
}

impl PowerManagement {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            capabilities: PowerCapabilities::from_bits(fields.read16(2)?),
            control: PowerControl::from_bits(fields.read16(4)?),
            bridge_extensions: fields.read8(6)?,
            data: fields.read8(7)?,
        })
    }
}
