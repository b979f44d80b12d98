//! What the kernel says of a region of a device.

use crate::sys;
use io_core::{Error, ErrorKind, Result};
use std::os::fd::BorrowedFd;
use vfio_bindings::bindings::vfio::{
    VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
    vfio_region_info,
};

/// What the kernel says of a region: a BAR, the expansion ROM, or configuration space.
///
/// The index of a BAR's region is that of the BAR, 0 to 5; the ROM is 6, configuration space 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionInfo {
    /// Where the region starts in the device's file.
    pub offset: u64,
    /// Its size in bytes, as the device reports it; 0 if there is no such region.
    pub size: u64,
    /// Whether it can be read.
    pub readable: bool,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether it can be mapped.
    pub mappable: bool,
}

impl RegionInfo {
    /// Asks the kernel.
    pub(crate) fn read(device: BorrowedFd<'_>, index: u32) -> nix::Result<Self> {
        sys::device_get_region_info(device, index).map(Self::from)
    }

    /// The size, as this process can address it.
    pub(crate) fn len(&self) -> Result<usize> {
        usize::try_from(self.size).map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "a region of {:#x} bytes is larger than this process can address",
                    self.size
                ),
            )
        })
    }
}

impl From<vfio_region_info> for RegionInfo {
    fn from(info: vfio_region_info) -> Self {
        let has = |flag| info.flags & flag != 0;
        Self {
            offset: info.offset,
            size: info.size,
            readable: has(VFIO_REGION_INFO_FLAG_READ),
            writable: has(VFIO_REGION_INFO_FLAG_WRITE),
            mappable: has(VFIO_REGION_INFO_FLAG_MMAP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_of_the_kernels_header() {
        // Measured on edu's BAR 0: flags 7, 1 MiB. The I/O port BAR of pci-testdev: flags 3.
        let info = |flags| vfio_region_info {
            flags,
            size: 0x10_0000,
            ..Default::default()
        };
        let mapped = RegionInfo::from(info(7));
        assert!(mapped.readable && mapped.writable && mapped.mappable);
        let ports = RegionInfo::from(info(3));
        assert!(ports.readable && ports.writable && !ports.mappable);
    }

    #[test]
    fn a_size_is_never_cut_short() {
        let size = u64::from(u32::MAX) + 1;
        let info = RegionInfo::from(vfio_region_info {
            size,
            ..Default::default()
        });
        // 2^32 bytes: addressable or refused, but never 0.
        if cfg!(target_pointer_width = "64") {
            assert_eq!(info.len().unwrap(), 0x1_0000_0000);
        } else {
            assert!(info.len().is_err());
        }
    }
}
