//! What a recording says of its device, before anything is done with it.

use crate::{
    ConfigSpace, Io, PciDevice, Result,
    dma::{DmaLimits, DmaSpace},
    pci::PciAddress,
};

/// What a recording says of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) address: PciAddress,
    pub(super) interrupts: bool,
    pub(super) events: bool,
    pub(super) config: Vec<u8>,
    pub(super) dma: Option<DmaLimits>,
}

impl Head {
    /// That of this device, as it is now.
    pub(super) fn of(device: &dyn PciDevice) -> Result<Self> {
        Ok(Self {
            address: device.address(),
            interrupts: device.interrupts().is_some(),
            events: device.events().is_some(),
            config: snapshot(device.config())?,
            dma: device.dma().map(DmaSpace::limits).cloned(),
        })
    }
}

/// All of configuration space.
fn snapshot(config: ConfigSpace<'_>) -> Result<Vec<u8>> {
    let words = (0..config.size()).step_by(4);
    let words = words.map(|at| config.try_read32(at).map(u32::to_le_bytes));
    let words: Vec<_> = words.collect::<Result<_, _>>()?;
    Ok(words.concat())
}
