//! BARs and the expansion ROM: mapped into this process, or reached through the device's file.

use crate::{RegionInfo, VfioDevice, file_region::FileRegion, mapping};
use io_core::{Bar, Error, ErrorKind, Result, Width};
use vfio_bindings::bindings::vfio::VFIO_PCI_ROM_REGION_INDEX;

impl VfioDevice {
    /// The BAR of this index, 0 to 5: mapped, if the kernel lets it be mapped as a whole, and by calls otherwise. I/O
    /// ports are reached by calls.
    ///
    /// Where the kernel lets areas of it be mapped ([`RegionInfo::sparse`]), they are: [`Bar::io`] makes accesses to them
    /// as it does to what is mapped, and calls for all others. As a whole, by [`Bar::mmio`], it is not mapped then.
    ///
    /// A table of MSI-X vectors in it belongs to the kernel: what is written there is lost.
    ///
    /// # Errors
    ///
    /// The device has no such BAR, or the kernel does not map it although it says that it does.
    pub fn bar(&self, index: u8) -> Result<Bar> {
        let info = self.bar_info(index)?;
        mapping::bar(self.file(), &info, self.bar_name(index))
    }

    /// The BAR of this index, 0 to 5, reached through the device's file.
    ///
    /// Each access is a system call, many times slower than one to a mapped BAR. Where an access to a mapped one
    /// would end the program, it fails.
    ///
    /// # Errors
    ///
    /// The device has no such BAR.
    pub fn bar_by_calls(&self, index: u8) -> Result<Bar> {
        let info = self.bar_info(index)?;
        let name = self.bar_name(index);
        Ok(Bar::called(FileRegion::new(
            self.file(),
            &info,
            name,
            Width::U64,
        )?))
    }

    /// The expansion ROM, which can be read.
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
        Ok(Bar::called(FileRegion::new(
            self.file(),
            &info,
            name,
            Width::U64,
        )?))
    }

    fn bar_info(&self, index: u8) -> Result<RegionInfo> {
        self.function().bar(index)?;
        let info = self.region_info(u32::from(index))?;
        if info.size == 0 {
            let message = format!("VFIO does not show {}", self.bar_name(index));
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(info)
    }

    /// What a BAR is called in errors.
    fn bar_name(&self, index: u8) -> String {
        format!("BAR {index} of {}", self.address())
    }
}
