//! Regions of pci-driver: ours as its own, and accesses to its own.
#![expect(unsafe_code, reason = "shows a mapping to another crate")]

use crate::device::fault;
use io_core::{
    AccessWidth, Error, ErrorKind, Fault, Io, IoBackend as _, Mmio, MmioBackend, Offset, PciDevice,
    Region, Result,
};
use pci_driver::regions::{PciMemoryRegion, PciRegion, PciRegionSnapshot, Permissions};

/// A mapped BAR, as a region of pci-driver: the registers that `pci_struct!` defines can be backed by it.
///
/// Its accesses are volatile, of 1, 2 or 4 bytes, naturally aligned. They are not ordered with those to memory: where that
/// matters, such as before a doorbell, [`io_core::barrier::dma_wmb`] is to be called. Where the device is lost they read all ones, and
/// nothing says so.
///
/// ```no_run
/// use io_core::PciDevice;
/// use pci_driver::{pci_struct, regions::{BackedByPciSubregion, structured::{PciRegisterRo, PciRegisterRw}}};
///
/// pci_struct! {
///     pub struct Edu<'a> : 0x88 {
///         identification @ 0x00 : PciRegisterRo<'a, u32>,
///         liveness       @ 0x04 : PciRegisterRw<'a, u32>,
///     }
/// }
///
/// let opened = outboard::open("0000:00:03.0")?;
/// let bar = opened.device.bar(0)?;
/// let region = pci_driver_backend::region(bar.mmio::<0x88>()?);
/// let edu = Edu::backed_by(&region);
/// println!("{:#x}", edu.identification().read()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn region<const SIZE: usize>(bar: Mmio<'_, Region<SIZE>>) -> PciMemoryRegion<'_> {
    let start = MmioBackend::as_ptr(bar).cast();
    // SAFETY: it is mapped as long as the view's lifetime, which the region takes on, and there are no references to it.
    unsafe { PciMemoryRegion::new_raw(start, bar.size(), Permissions::ReadWrite) }
}

/// The configuration space of a device as it is now, for pci-driver's `PciConfig`: nothing that is written to the snapshot
/// reaches the device.
///
/// Where the function has 256 bytes of it, pci-driver's walk of extended capabilities fails.
///
/// ```
/// use io_core::sim::{Edu, SimulatedDevice};
/// use pci_driver::{config::PciConfig, regions::BackedByPciSubregion};
///
/// let device = SimulatedDevice::new("0000:00:03.0".parse()?, Edu::new());
/// let snapshot = pci_driver_backend::config_snapshot(&device)?;
/// let config = PciConfig::backed_by(&snapshot);
/// assert_eq!(config.vendor_id().read()?, 0x1234);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The device does not answer.
pub fn config_snapshot(device: &dyn PciDevice) -> Result<PciRegionSnapshot> {
    let address = device.address();
    if !device.is_present() {
        let message = format!("{address} does not answer");
        return Err(Error::new(ErrorKind::Lost, message));
    }
    let config = device.config();
    let mut bytes = vec![0; config.size()];
    config.copy_to_slice(0, &mut bytes, AccessWidth::Auto)?;
    PciRegionSnapshot::take(&PciMemoryRegion::new(&bytes)).map_err(|e| {
        let message = format!("cannot keep the configuration space of {address}");
        Error::new(ErrorKind::Other, message).with_source(e)
    })
}

fn place(at: Offset) -> u64 {
    u64::try_from(at.bytes()).unwrap_or(u64::MAX)
}

/// One access, which has been checked: it is in bounds and aligned.
pub(crate) fn read(region: &dyn PciRegion, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
    let at = place(at);
    let read = match bytes {
        [byte] => region.read_u8(at).map(|value| *byte = value),
        [_, _] => region
            .read_le_u16(at)
            .map(|value| bytes.copy_from_slice(&value.to_le_bytes())),
        [_, _, _, _] => region
            .read_le_u32(at)
            .map(|value| bytes.copy_from_slice(&value.to_le_bytes())),
        _ => return Err(Fault::Width),
    };
    read.map_err(|e| fault(&e))
}

/// As [`read`].
pub(crate) fn write(region: &dyn PciRegion, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
    let at = place(at);
    if !region.permissions().can_write() {
        return Err(Fault::ReadOnly);
    }
    let written = match *bytes {
        [byte] => region.write_u8(at, byte),
        [a, b] => region.write_le_u16(at, u16::from_le_bytes([a, b])),
        [a, b, c, d] => region.write_le_u32(at, u32::from_le_bytes([a, b, c, d])),
        _ => return Err(Fault::Width),
    };
    written.map_err(|e| fault(&e))
}
