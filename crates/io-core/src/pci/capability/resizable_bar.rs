//! BARs whose size can be chosen.

use super::{BodyError, fields::Fields};
use crate::pci::bits::bits8;

/// BARs whose size can be chosen (PCI Express Base 6.0 sections 7.8.6 and 7.8.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizableBars {
    /// Those BARs: one to six.
    pub bars: Vec<ResizableBar>,
}

/// A BAR whose size can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizableBar {
    /// The number of the BAR.
    pub bar: u8,
    /// Which sizes it can have: bit n for 2^(n + 20) bytes.
    pub supported: u64,
    /// The size that it has: n for 2^(n + 20) bytes.
    pub current: u8,
}

impl ResizableBar {
    /// The sizes that it can have, in bytes.
    pub fn sizes(self) -> impl Iterator<Item = u64> {
        (0..44)
            .filter(move |n| self.supported & 1 << n != 0)
            .map(|n| 1 << (n + 20))
    }

    /// The size that it has, in bytes. `None` if it names one that the specification reserves.
    #[must_use]
    pub fn size(self) -> Option<u64> {
        (self.current < 44).then(|| 1 << (self.current + 20))
    }
}

impl ResizableBars {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let count = bits8(fields.read32(8)?, 5, 3);
        if !(1..=6).contains(&count) {
            return Err(fields.invalid("it has none, or more than six, of six BARs"));
        }
        let bars = (0..count).map(|n| bar(fields, 4 + 8 * usize::from(n)));
        Ok(Self {
            bars: bars.collect::<Result<_, _>>()?,
        })
    }
}

/// Sizes up to 128 TiB are bits 4 to 31 of the capability register, larger ones bits 16 to 31 of the
/// control register.
fn bar(fields: Fields<'_>, at: usize) -> Result<ResizableBar, BodyError> {
    let (capability, control) = (fields.read32(at)?, fields.read32(at + 4)?);
    Ok(ResizableBar {
        bar: bits8(control, 0, 3),
        supported: u64::from(capability >> 4) | u64::from(control >> 16) << 28,
        current: bits8(control, 8, 6),
    })
}
