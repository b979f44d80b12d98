//! A device that shares address spaces: ATS, PASID and PRI.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, flags};

/// Address translation services: the device asks the IOMMU, and remembers (PCI Express Base 6.0
/// section 10.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ats {
    /// How many invalidations it can queue: 1 to 32.
    pub invalidate_queue_depth: u8,
    /// Whether the addresses that it asks for are aligned to 4 KiB.
    pub page_aligned: bool,
    /// Whether it may remember translations for all of its functions at once.
    pub global_invalidate: bool,
    /// Whether it may ask.
    pub enabled: bool,
    /// The least that a translation covers, as a power of two of 4 KiB pages.
    pub smallest_translation_unit: u8,
}

/// Process address space ids: requests that say which process they belong to (PCI Express Base 6.0
/// section 7.8.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pasid {
    /// What it can do. Bit 0 (`ENABLE`) is reserved here.
    pub capabilities: PasidFlags,
    /// How many bits an id can have.
    pub max_width: u8,
    /// What it does.
    pub control: PasidFlags,
}

flags! {
    /// The flags of PASID Capability and Control (offsets 4 and 6, 16 bits).
    pub struct PasidFlags(u16) {
        ENABLE = 1 << 0, "Enable", "Requests may have an id.";
        EXECUTE = 1 << 1, "Exec", "Requests may ask for permission to execute.";
        PRIVILEGED = 1 << 2, "Priv", "Requests may be privileged.";
    }
}

/// The page request interface: the device asks for pages to be brought in (PCI Express Base 6.0 section
/// 10.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pri {
    /// What it does.
    pub control: PriControl,
    /// What happened.
    pub status: PriStatus,
    /// How many requests it can have outstanding.
    pub capacity: u32,
    /// How many it may have outstanding.
    pub allocation: u32,
}

flags! {
    /// Page Request Control (offset 4, 16 bits).
    pub struct PriControl(u16) {
        ENABLE = 1 << 0, "Enable", "It may ask.";
        RESET = 1 << 1, "Reset", "It forgets what it has asked for.";
    }
}

flags! {
    /// Page Request Status (offset 6, 16 bits). The first two are cleared by writing a 1.
    pub struct PriStatus(u16) {
        RESPONSE_FAILURE = 1 << 0, "RF", "A response said that it failed.";
        UNEXPECTED_INDEX = 1 << 1, "UPRGI", "A response came that it did not wait for.";
        STOPPED = 1 << 8, "Stopped", "All that it had asked for is done.";
        PASID_REQUIRED = 1 << 15, "PASID", "Responses must have an id, where the request had one.";
    }
}

impl Ats {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let (capabilities, control) = (fields.read16(4)?, fields.read16(6)?);
        Ok(Self {
            invalidate_queue_depth: match bits8(capabilities, 0, 5) {
                0 => 32,
                depth => depth,
            },
            page_aligned: capabilities & 1 << 5 != 0,
            global_invalidate: capabilities & 1 << 6 != 0,
            enabled: control & 1 << 15 != 0,
            smallest_translation_unit: bits8(control, 0, 5),
        })
    }
}

impl Pasid {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            capabilities: PasidFlags::from_bits(fields.read16(4)?),
            max_width: bits8(fields.read8(5)?, 0, 5),
            control: PasidFlags::from_bits(fields.read16(6)?),
        })
    }
}

impl Pri {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            control: PriControl::from_bits(fields.read16(4)?),
            status: PriStatus::from_bits(fields.read16(6)?),
            capacity: fields.read32(8)?,
            allocation: fields.read32(12)?,
        })
    }
}
