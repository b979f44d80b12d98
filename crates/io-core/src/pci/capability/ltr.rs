//! Latency tolerance reporting.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, bits16};

/// Latency tolerance reporting: how long a device may be let wait (PCI Express Base 6.0 section 7.8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ltr {
    /// The longest latency that it may report for requests that are snooped.
    pub max_snoop: Latency,
    /// The longest latency that it may report for those that are not.
    pub max_no_snoop: Latency,
}

/// A latency, as its register has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency(pub u16);

impl Latency {
    /// The latency in ns. `None` if it names a unit that the specification reserves.
    #[must_use]
    pub fn nanoseconds(self) -> Option<u64> {
        let scale = u32::from(bits8(self.0, 10, 3));
        (scale <= 5).then(|| u64::from(bits16(self.0, 0, 10)) << (5 * scale))
    }
}

impl Ltr {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            max_snoop: Latency(fields.read16(4)?),
            max_no_snoop: Latency(fields.read16(6)?),
        })
    }
}
