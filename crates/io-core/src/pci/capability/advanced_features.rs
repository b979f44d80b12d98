//! What PCI Express has, for a conventional function.

use super::{BodyError, fields::Fields};

/// Advanced features: what PCI Express has, for a conventional function (Advanced Capabilities for
/// Conventional PCI ECN, section 6.8.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvancedFeatures {
    /// How many bytes the capability has, by its own account; 6.
    pub length: u8,
    /// Whether `transactions_pending` means something.
    pub reports_transactions_pending: bool,
    /// Whether it can be reset on its own (FLR).
    pub function_level_reset: bool,
    /// Whether transactions that it started are not completed yet.
    pub transactions_pending: bool,
}

impl AdvancedFeatures {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let capabilities = fields.read8(3)?;
        Ok(Self {
            length: fields.read8(2)?,
            reports_transactions_pending: capabilities & 0x1 != 0,
            function_level_reset: capabilities & 0x2 != 0,
            transactions_pending: fields.read8(5)? & 0x1 != 0,
        })
    }
}
