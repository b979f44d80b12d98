//! BARs with fixed addresses.

use super::{BodyError, fields::Fields};
use crate::pci::bits::bits8;

/// Enhanced allocation: BARs with fixed addresses, which need not be powers of two (PCI Express Base
/// 6.0 section 7.8.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnhancedAllocation {
    /// The secondary and the subordinate bus number of a bridge, if they are fixed.
    pub buses: Option<(u8, u8)>,
    /// What it allocates.
    pub entries: Vec<EaEntry>,
}

/// One thing that is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EaEntry {
    /// What it stands for: 0 to 5 a BAR, 6 something behind the bridge, 7 nothing of these, 8 the
    /// expansion ROM, 9 to 14 BAR 0 to 5 of the virtual functions.
    pub bar_equivalent: u8,
    /// What is there.
    pub primary: EaProperties,
    /// What is there, for software that does not know `primary`.
    pub secondary: EaProperties,
    /// Whether `base` and `max_offset` can be written.
    pub writable: bool,
    /// Whether it is decoded, if Command says so too.
    pub enabled: bool,
    /// The lowest address, in bytes; a multiple of 4.
    pub base: u64,
    /// The offset of the last byte from `base`: the size less 1.
    pub max_offset: u64,
}

/// What is at the addresses of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EaProperties(pub u8);

impl EaProperties {
    /// What they mean, in the words of lspci. `None` if the specification reserves the number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "memory space, non-prefetchable",
            0x01 => "memory space, prefetchable",
            0x02 => "I/O space",
            0x03 => "VF memory space, prefetchable",
            0x04 => "VF memory space, non-prefetchable",
            0x05 => "allocation behind bridge, non-prefetchable memory",
            0x06 => "allocation behind bridge, prefetchable memory",
            0x07 => "allocation behind bridge, I/O space",
            0xfd => "memory space resource unavailable for use",
            0xfe => "I/O space resource unavailable for use",
            0xff => "entry unavailable for use",
            _ => return None,
        })
    }
}

impl EnhancedAllocation {
    pub(super) fn decode(fields: Fields<'_>, bridge: bool) -> Result<Self, BodyError> {
        let count = fields.read8(2)? & 0x3f;
        let buses = match bridge {
            true => Some((fields.read8(4)?, fields.read8(5)?)),
            false => None,
        };
        let mut at = if bridge { 8 } else { 4 };
        let mut entries = Vec::new();
        for _ in 0..count {
            let (entry, len) = entry(fields, at)?;
            entries.push(entry);
            at += len;
        }
        Ok(Self { buses, entries })
    }
}

/// The entry at `at`, and how many bytes it has.
fn entry(fields: Fields<'_>, at: usize) -> Result<(EaEntry, usize), BodyError> {
    const IS_64: u32 = 1 << 1;
    let first = fields.read32(at)?;
    let (base, max_offset) = (fields.read32(at + 4)?, fields.read32(at + 8)?);
    let mut end = at + 12;
    let mut upper = |low: u32| -> Result<u64, BodyError> {
        if low & IS_64 == 0 {
            return Ok(0);
        }
        let upper = fields.read32(end)?;
        end += 4;
        Ok(u64::from(upper) << 32)
    };
    let (base_upper, max_upper) = (upper(base)?, upper(max_offset)?);
    let len = 4 + 4 * usize::from(bits8(first, 0, 3));
    if at + len < end {
        return Err(fields.invalid("an entry is longer than it says"));
    }
    let entry = EaEntry {
        bar_equivalent: bits8(first, 4, 4),
        primary: EaProperties(bits8(first, 8, 8)),
        secondary: EaProperties(bits8(first, 16, 8)),
        writable: first & 1 << 30 != 0,
        enabled: first & 1 << 31 != 0,
        base: base_upper | u64::from(base & !0x3),
        max_offset: max_upper | u64::from(max_offset | 0x3),
    };
    Ok((entry, len))
}
