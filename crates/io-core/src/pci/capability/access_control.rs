//! Access control services.

use super::{BodyError, fields::Fields};
use crate::pci::bits::flags;

/// Access control services: what peers may do to each other without the IOMMU seeing it (PCI Express
/// Base 6.0 section 7.7.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acs<'a> {
    /// Which services there are.
    pub capabilities: AcsControls,
    /// Which of them are on.
    pub control: AcsControls,
    /// How many bits the egress control vector has; 0 stands for 256.
    pub egress_bits: u8,
    /// The egress control vector, if there is one: a bit for each port or function, in units of 4 bytes.
    pub egress_vector: &'a [u8],
}

flags! {
    /// Access control services (offsets 4 and 6, 16 bits).
    pub struct AcsControls(u16) {
        SOURCE_VALIDATION = 1 << 0, "SrcValid", "The requester's id is checked.";
        TRANSLATION_BLOCKING = 1 << 1, "TransBlk", "Requests with translated addresses are blocked.";
        REQUEST_REDIRECT = 1 << 2, "ReqRedir", "Requests to peers go up to the root complex.";
        COMPLETION_REDIRECT = 1 << 3, "CmpltRedir", "Completions to peers go up to the root complex.";
        UPSTREAM_FORWARDING = 1 << 4, "UpstreamFwd", "Requests and completions that were sent up go up.";
        EGRESS_CONTROL = 1 << 5, "EgressCtrl", "A vector says which peers can be reached.";
        DIRECT_TRANSLATED = 1 << 6, "DirectTrans", "Requests with translated addresses go to peers directly.";
        IO_REQUEST_BLOCKING = 1 << 7, "IOReqBlk", "Requests of I/O space are blocked on their way up (enhanced).";
    }
}

impl<'a> Acs<'a> {
    pub(super) fn decode(fields: Fields<'a>) -> Result<Self, BodyError> {
        let capabilities = AcsControls::from_bits(fields.read16(4)?);
        let egress_bits = fields.read8(5)?;
        let bits = match egress_bits {
            _ if !capabilities.contains(AcsControls::EGRESS_CONTROL) => 0,
            0 => 256,
            bits => usize::from(bits),
        };
        Ok(Self {
            capabilities,
            control: AcsControls::from_bits(fields.read16(6)?),
            egress_bits,
            egress_vector: fields.range(8, 8 + bits.div_ceil(32) * 4)?,
        })
    }
}
