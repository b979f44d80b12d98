//! A PCI device, whoever reaches it.

use crate::{
    Bar, ConfigSpace, Io, Result,
    dma::DmaSpace,
    event::DeviceEvents,
    irq::Interrupts,
    pci::{Command, PciAddress, Status},
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

    /// Whether it answers to accesses to configuration space. This is the question behind a register that reads all ones.
    ///
    /// It is asked of Status, whose bits 2:1 are zero in every function (PCI Local Bus 3.0 section 6.2.3), and which reads
    /// all ones from none. The vendor id would not do: VFIO says it from memory when the device has gone, and a virtual
    /// function has none of its own.
    ///
    /// One that answers may have been reset, and its BARs be switched off; whether it answered a moment ago is not known.
    fn is_present(&self) -> bool {
        let status = self.config().try_read16(usize::from(Status::OFFSET));
        status.is_ok_and(|status| status != u16::MAX)
    }

    /// Switches bus mastering on or off: without it, the device reaches no memory and signals neither MSI nor MSI-X.
    ///
    /// # Errors
    ///
    /// The device does not answer.
    fn set_bus_master(&self, on: bool) -> Result<()> {
        self.config().set_command(Command::BUS_MASTER, on)
    }

    /// Switches memory decoding on or off: without it, the device does not answer to accesses to its BARs in memory. It is
    /// on in a device that was opened, and off in one that was reset without its backend's doing, such as by the kernel
    /// after a fatal error.
    ///
    /// With VFIO, switching it on gives the device its BARs back.
    ///
    /// # Errors
    ///
    /// The device does not answer.
    fn set_memory_decode(&self, on: bool) -> Result<()> {
        self.config().set_command(Command::MEMORY, on)
    }

    /// Resets it.
    ///
    /// # Errors
    ///
    /// There is no way to reset it, or the kernel failed.
    fn reset(&self) -> Result<()>;
}
