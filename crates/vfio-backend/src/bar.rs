//! A BAR, mapped into this process.
#![expect(unsafe_code, reason = "makes views of the mapping")]

use crate::VfioDevice;
use io_core::{Error, ErrorKind, Mmio, MmioRaw, Region, RegionError, Result};
use memmap2::{Advice, MmapOptions, MmapRaw};

/// A BAR of an open device, mapped into this process until this is dropped.
///
/// It keeps the device open.
///
/// # Invariants
///
/// `map` maps the BAR, readable and writable, for at least the `size` bytes that the device reports.
#[derive(Debug)]
pub struct MappedBar {
    // Dropped first: the kernel holds the device as long as it is mapped.
    map: MmapRaw,
    size: usize,
    index: u8,
    device: VfioDevice,
}

impl VfioDevice {
    /// Maps the BAR of this index (0 to 5).
    ///
    /// # Errors
    ///
    /// The device has no such BAR, or it is I/O ports, or the kernel does not let it be mapped.
    pub fn map_bar(&self, index: u8) -> Result<MappedBar> {
        let address = self.address();
        self.function().memory_bar(index)?;
        let region = self.region_info(u32::from(index))?;
        if !(region.mappable && region.readable && region.writable) || region.size == 0 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the kernel does not let BAR {index} of {address} be mapped"),
            ));
        }
        let size = region.len()?;
        let failed = |what: &str, e| {
            Error::from_os(
                format!("cannot {what} BAR {index} of {address} ({size:#x} bytes)"),
                e,
            )
        };
        let map = MmapOptions::new()
            .offset(region.offset)
            .len(size)
            .map_raw(self.file())
            .map_err(|e| failed("map", e))?;
        // A child process that inherited it would keep the kernel from taking the device back.
        map.advise(Advice::DontFork)
            .map_err(|e| failed("keep child processes from", e))?;
        log::debug!(
            "mapped BAR {index} of {address}: {size:#x} bytes at {:p}",
            map.as_ptr()
        );
        Ok(MappedBar {
            map,
            size,
            index,
            device: self.clone(),
        })
    }
}

impl MappedBar {
    /// The device whose BAR it is.
    #[must_use]
    pub fn device(&self) -> &VfioDevice {
        &self.device
    }

    /// Which BAR it is, 0 to 5.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// The size in bytes, as the device reports it. The mapping itself is longer if that is no whole
    /// number of pages; what is there is not the BAR.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The address and size of the BAR, which promise nothing: they may outlive the mapping.
    ///
    /// # Errors
    ///
    /// The BAR has less than `SIZE` bytes.
    pub fn raw<const SIZE: usize>(&self) -> Result<MmioRaw<Region<SIZE>>, RegionError> {
        MmioRaw::new_region(self.map.as_mut_ptr(), self.size)
    }

    /// The BAR, as a region of at least `SIZE` bytes.
    ///
    /// # Errors
    ///
    /// The BAR has less than `SIZE` bytes.
    pub fn mmio<const SIZE: usize>(&self) -> Result<Mmio<'_, Region<SIZE>>, RegionError> {
        let raw = self.raw()?;
        // SAFETY: by the invariant, `raw` is mapped for its size, and for as long as `self` is
        // borrowed; a mapping starts at a page; and nothing makes references to it.
        Ok(unsafe { Mmio::from_raw(raw) })
    }
}
