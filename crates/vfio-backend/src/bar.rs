//! BARs and the expansion ROM: mapped into this process, or reached through the device's file.
#![expect(unsafe_code, reason = "makes BARs of mappings")]

use crate::{RegionInfo, VfioDevice, file_region::FileRegion};
use io_core::{Bar, Error, ErrorKind, MmioRaw, Result, Width};
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::sync::Arc;
use vfio_bindings::bindings::vfio::VFIO_PCI_ROM_REGION_INDEX;

impl VfioDevice {
    /// The BAR of this index, 0 to 5: mapped, if the kernel lets it be mapped as a whole, and by calls otherwise. I/O
    /// ports are reached by calls.
    ///
    /// A table of MSI-X vectors in it belongs to the kernel: what is written there is lost.
    ///
    /// # Errors
    ///
    /// The device has no such BAR, or the kernel does not map it although it says that it does.
    pub fn bar(&self, index: u8) -> Result<Bar> {
        let info = self.bar_info(index)?;
        let whole = info.mappable && info.readable && info.writable && info.sparse.is_none();
        if whole && usize::try_from(info.size).is_ok() {
            self.map(index, &info)
        } else {
            self.by_calls(index, &info)
        }
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
        self.by_calls(index, &info)
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

    fn by_calls(&self, index: u8, info: &RegionInfo) -> Result<Bar> {
        let name = self.bar_name(index);
        Ok(Bar::called(FileRegion::new(
            self.file(),
            info,
            name,
            Width::U64,
        )?))
    }

    fn map(&self, index: u8, info: &RegionInfo) -> Result<Bar> {
        let (name, size) = (self.bar_name(index), info.len()?);
        let failed =
            |what: &str, e| Error::from_os(format!("cannot {what} {name} ({size:#x} bytes)"), e);
        let map = MmapOptions::new()
            .offset(info.offset)
            .len(size)
            .map_raw(&self.file().file)
            .map_err(|e| failed("map", e))?;
        // A child process that inherited it would keep the kernel from taking the device back.
        map.advise(Advice::DontFork)
            .map_err(|e| failed("keep child processes from", e))?;
        log::debug!("mapped {name}: {size:#x} bytes at {:p}", map.as_ptr());
        let raw = MmioRaw::new_region(map.as_mut_ptr(), size)?;
        // Unmapped before the device is closed.
        let owner: (MmapRaw, _) = (map, Arc::clone(self.file()));
        // SAFETY: it is mapped, readable and writable, for the size that the device reports, as long as the owner
        // lives; nothing makes references to it.
        Ok(unsafe { Bar::mapped(raw, name, owner) })
    }

    /// What a BAR is called in errors.
    fn bar_name(&self, index: u8) -> String {
        format!("BAR {index} of {}", self.address())
    }
}
