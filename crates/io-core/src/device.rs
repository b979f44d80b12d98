//! A PCI device, whoever reaches it.

use crate::{
    Bar, ConfigSpace, Io, Result,
    dma::DmaSpace,
    event::DeviceEvents,
    irq::Interrupts,
    pci::{Command, PciAddress},
};
use std::fmt;

/// A PCI device that is open, through whatever backend.
///
/// A driver takes a `&dyn PciDevice` and runs on VFIO, UIO, a simulated device and any other. What only some
/// backends can do is behind an `Option`.
pub trait PciDevice: fmt::Debug + Send + Sync {
    /// Where it is.
    fn address(&self) -> PciAddress;

    /// Its configuration space.
    fn config(&self) -> ConfigSpace<'_>;

    /// Its BAR of this index, 0 to 5, mapped where it can be.
    ///
    /// The upper half of a 64-bit BAR is no BAR of its own.
    ///
    /// # Errors
    ///
    /// There is no such BAR, or it cannot be mapped for a reason of its own.
    fn bar(&self, index: u8) -> Result<Bar>;

    /// Its interrupts, if the backend has any.
    fn interrupts(&self) -> Option<&dyn Interrupts>;

    /// What happens to it from outside, if the backend can tell.
    fn events(&self) -> Option<&dyn DeviceEvents> {
        None
    }

    /// What it sees of memory, if there is an IOMMU that keeps it from the rest.
    fn dma(&self) -> Option<&DmaSpace>;

    /// Whether it answers: its vendor id reads other than all ones, which no vendor has (PCI Local Bus 3.0 section 6.1).
    ///
    /// This is the question behind a register that reads all ones.
    fn is_present(&self) -> bool {
        let vendor = self.config().try_read16(0);
        vendor.is_ok_and(|vendor| vendor != u16::MAX)
    }

    /// Switches bus mastering on or off: without it, the device reaches no memory and signals neither MSI nor MSI-X.
    ///
    /// # Errors
    ///
    /// The device does not answer.
    fn set_bus_master(&self, on: bool) -> Result<()> {
        let at = usize::from(Command::OFFSET);
        // 16 bits: Status, which stands behind it, is cleared by writing what was read.
        let command = Command::from_bits(self.config().try_read16(at)?);
        let wanted = if on {
            command.with(Command::BUS_MASTER)
        } else {
            command.without(Command::BUS_MASTER)
        };
        Ok(self.config().try_write16(at, wanted.bits())?)
    }

    /// Resets it.
    ///
    /// # Errors
    ///
    /// There is no way to reset it, or the kernel failed.
    fn reset(&self) -> Result<()>;
}
