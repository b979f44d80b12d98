//! BARs and the expansion ROM: mapped into this process, or reached through the device's file.

use crate::{RegionInfo, VfioDevice, mapping};
use io_core::{Bar, Error, ErrorKind, Result, Width};
use pci_host::BarKind;
use vfio_bindings::bindings::vfio::VFIO_PCI_ROM_REGION_INDEX;

impl VfioDevice {
    /// The BAR of this index, 0 to 5: mapped, if the kernel lets it be mapped as a whole, and by calls otherwise. I/O
    /// ports are reached by calls.
    ///
    /// Where the kernel lets areas of it be mapped ([`RegionInfo::sparse`]), they are: [`Bar::io`] makes accesses to them
    /// as it does to what is mapped, and calls for all others. As a whole, by [`Bar::mmio`], it is not mapped then.
    ///
    /// A table of MSI-X vectors in it belongs to the kernel, and is not for a driver to touch. By calls, all ones are read
    /// there, and what is written is dropped. Where it is mapped ([`RegionInfo::msix_mappable`]), a write reaches the
    /// table, and the vectors do not come any more, or elsewhere.
    ///
    /// # Errors
    ///
    /// The device has no such BAR, or the kernel does not map it although it says that it does.
    pub fn bar(&self, index: u8) -> Result<Bar> {
        let (info, widest) = self.bar_info(index)?;
        mapping::bar(self.file(), &info, self.bar_name(index), widest)
    }

    /// The BAR of this index, 0 to 5, reached through the device's file.
    ///
    /// Each access is a system call, many times slower than one to a mapped BAR. Where a mapped one
    /// [is lost](Bar::is_lost), because memory decoding is off, it fails.
    ///
    /// I/O ports have accesses up to 4 bytes. Memory takes 8 bytes too, which most kernels make two accesses of 4 of, the
    /// lower one first: a register that must be read or written at once is for a BAR that is mapped. The same goes for
    /// accesses by [`Bar::io`] to a BAR of [`bar`](Self::bar), where it is not mapped.
    ///
    /// # Errors
    ///
    /// The device has no such BAR.
    pub fn bar_by_calls(&self, index: u8) -> Result<Bar> {
        let (info, widest) = self.bar_info(index)?;
        let name = self.bar_name(index);
        let region = mapping::by_calls(self.file(), &info, name, widest)?;
        Ok(Bar::called(region))
    }

    /// The expansion ROM, which can be read, up to 4 bytes at once. Behind the image in it, all ones are read.
    ///
    /// # Errors
    ///
    /// The device has none.
    pub fn rom(&self) -> Result<Bar> {
        let name = format!("the expansion ROM of {}", self.address());
        let mut info = self.region_info(VFIO_PCI_ROM_REGION_INDEX)?;
        if info.size == 0 {
            let message = format!("{} has no expansion ROM", self.address());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        info.writable = false;
        let region = mapping::by_calls(self.file(), &info, name, Width::U32)?;
        Ok(Bar::called(region))
    }

    /// What the kernel says of a BAR, and the widest access by calls.
    fn bar_info(&self, index: u8) -> Result<(RegionInfo, Width)> {
        let widest = match self.function().bar(index)?.kind {
            // No processor of PC kind has wider accesses to ports.
            BarKind::IoPorts => Width::U32,
            _ => Width::U64,
        };
        let info = self.region_info(u32::from(index))?;
        if info.size == 0 {
            let message = format!("VFIO does not show {}", self.bar_name(index));
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok((info, widest))
    }

    /// What a BAR is called in errors.
    fn bar_name(&self, index: u8) -> String {
        format!("BAR {index} of {}", self.address())
    }
}
