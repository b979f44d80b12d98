//! Single-root I/O virtualization.

use super::{BarOffset, BodyError, fields::Fields};
use crate::pci::{
    Bar, BarError, bars,
    bits::{bits16, flags},
};

/// Single-root I/O virtualization: a function that has virtual ones (PCI Express Base 6.0 section
/// 9.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrIov {
    /// What it can do.
    pub capabilities: SrIovCapabilities,
    /// What it does.
    pub control: SrIovControl,
    /// Whether a migration was requested (bit 0).
    pub status: u16,
    /// How many virtual functions there are at first.
    pub initial_vfs: u16,
    /// How many virtual functions there can be.
    pub total_vfs: u16,
    /// How many virtual functions are on, if any are.
    pub num_vfs: u16,
    /// Which function this one depends on.
    pub dependency_link: u8,
    /// The routing id of the first virtual function, less that of this one.
    pub first_vf_offset: u16,
    /// The distance of the routing ids of two virtual functions.
    pub vf_stride: u16,
    /// The device id of the virtual functions.
    pub vf_device_id: u16,
    /// Which page sizes there can be: bit n for 2^(n + 12) bytes.
    pub supported_page_sizes: u32,
    /// Which page size BARs of virtual functions are aligned to: one of those bits.
    pub system_page_size: u32,
    /// The base address registers of the virtual functions as they are. [`SrIov::vf_bars`] decodes
    /// them.
    pub vf_bar_registers: [u32; 6],
    /// Where the state array for migration is.
    pub migration_state: BarOffset,
}

flags! {
    /// SR-IOV Capabilities (offset 4, 32 bits).
    pub struct SrIovCapabilities(u32) {
        MIGRATION = 1 << 0, "Migration", "Virtual functions can migrate.";
        ARI_PRESERVED = 1 << 1, "ARIPreserved", "`ARI_HIERARCHY` survives a change of power state.";
        TEN_BIT_TAGS = 1 << 2, "10BitTagReq", "Virtual functions can use tags of 10 bits.";
    }
}

impl SrIovCapabilities {
    /// The number of the interrupt message that tells of a migration.
    #[must_use]
    pub fn interrupt_message(self) -> u16 {
        bits16(self.bits(), 21, 11)
    }
}

flags! {
    /// SR-IOV Control (offset 8, 16 bits).
    pub struct SrIovControl(u16) {
        ENABLE = 1 << 0, "Enable", "There are virtual functions.";
        MIGRATION = 1 << 1, "Migration", "They may migrate.";
        MIGRATION_INTERRUPT = 1 << 2, "Interrupt", "A migration raises an interrupt.";
        MEMORY = 1 << 3, "MSE", "Virtual functions answer in memory space.";
        ARI_HIERARCHY = 1 << 4, "ARIHierarchy", "They may have any function number.";
        TEN_BIT_TAGS = 1 << 5, "10BitTagReq", "They use tags of 10 bits.";
    }
}

impl SrIov {
    /// The BARs of the virtual functions that have an address: that of the first virtual function.
    #[must_use]
    pub fn vf_bars(&self) -> Vec<Result<Bar, BarError>> {
        bars(&self.vf_bar_registers)
    }

    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let mut vf_bar_registers = [0; 6];
        for (register, at) in vf_bar_registers.iter_mut().zip((0x24..).step_by(4)) {
            *register = fields.read32(at)?;
        }
        Ok(Self {
            capabilities: SrIovCapabilities::from_bits(fields.read32(0x04)?),
            control: SrIovControl::from_bits(fields.read16(0x08)?),
            status: fields.read16(0x0a)?,
            initial_vfs: fields.read16(0x0c)?,
            total_vfs: fields.read16(0x0e)?,
            num_vfs: fields.read16(0x10)?,
            dependency_link: fields.read8(0x12)?,
            first_vf_offset: fields.read16(0x14)?,
            vf_stride: fields.read16(0x16)?,
            vf_device_id: fields.read16(0x1a)?,
            supported_page_sizes: fields.read32(0x1c)?,
            system_page_size: fields.read32(0x20)?,
            vf_bar_registers,
            migration_state: BarOffset::from_register(fields.read32(0x3c)?),
        })
    }
}
