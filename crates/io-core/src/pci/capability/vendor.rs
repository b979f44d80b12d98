//! What vendors make of it: three capabilities with a length.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, bits16};

/// A vendor's own capability (PCI Express Base 6.0 section 7.9.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorSpecific<'a> {
    /// How many bytes the capability has, with its header of 3 bytes.
    pub length: u8,
    /// Its bytes behind the header.
    pub data: &'a [u8],
}

/// A vendor's own extended capability (PCI Express Base 6.0 section 7.9.5). What it means depends on
/// the vendor id of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vsec<'a> {
    /// Which of the vendor's it is.
    pub id: u16,
    /// The version of its layout.
    pub revision: u8,
    /// How many bytes the capability has, with its headers of 8 bytes.
    pub length: u16,
    /// Its bytes behind the headers.
    pub data: &'a [u8],
}

/// An extended capability of some vendor or consortium, in any function (PCI Express Base 6.0 section
/// 7.9.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dvsec<'a> {
    /// Whose it is: 0x1e98 for CXL, say.
    pub vendor_id: u16,
    /// The version of its layout.
    pub revision: u8,
    /// How many bytes the capability has, with its headers of 10 bytes.
    pub length: u16,
    /// Which of that vendor's it is.
    pub id: u16,
    /// Its bytes behind the headers.
    pub data: &'a [u8],
}

impl<'a> VendorSpecific<'a> {
    pub(super) fn decode(fields: Fields<'a>) -> Result<Self, BodyError> {
        let length = fields.read8(2)?;
        Ok(Self {
            length,
            data: fields.range(3, length.into())?,
        })
    }
}

impl<'a> Vsec<'a> {
    pub(super) fn decode(fields: Fields<'a>) -> Result<Self, BodyError> {
        let header = fields.read32(4)?;
        let length = bits16(header, 20, 12);
        Ok(Self {
            id: bits16(header, 0, 16),
            revision: bits8(header, 16, 4),
            length,
            data: fields.range(8, length.into())?,
        })
    }
}

impl<'a> Dvsec<'a> {
    pub(super) fn decode(fields: Fields<'a>) -> Result<Self, BodyError> {
        let header = fields.read32(4)?;
        let length = bits16(header, 20, 12);
        Ok(Self {
            vendor_id: bits16(header, 0, 16),
            revision: bits8(header, 16, 4),
            length,
            id: fields.read16(8)?,
            data: fields.range(10, length.into())?,
        })
    }
}
