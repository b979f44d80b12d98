//! Configuration space of a simulated device.

use super::device::Shared;
use crate::{Fault, Offset, RegionOps};

/// Memory as long as the device answers, and all ones when it does not.
impl RegionOps for Shared {
    fn name(&self) -> String {
        self.config.name()
    }

    fn size(&self) -> usize {
        RegionOps::size(&self.config)
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        if self.troubles().is_gone() {
            bytes.fill(u8::MAX);
            return Ok(());
        }
        RegionOps::read(&self.config, at, bytes)
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        if self.troubles().is_gone() {
            return Ok(());
        }
        RegionOps::write(&self.config, at, bytes)
    }
}
