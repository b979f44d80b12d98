//! What the kernel says of a region of a device.

use crate::{capability, sys};
use io_core::{Error, ErrorKind, Result};
use std::os::fd::BorrowedFd;
use vfio_bindings::bindings::vfio::{
    VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
    VFIO_REGION_INFO_FLAG_CAPS, VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};

/// What the kernel says of a region: a BAR, the expansion ROM, or configuration space.
///
/// The index of a BAR's region is that of the BAR, 0 to 5; the ROM is 6, configuration space 7.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// If only parts of it can be mapped, where they start and how many bytes they have.
    #[doc(alias = "VFIO_REGION_INFO_CAP_SPARSE_MMAP")]
    pub sparse: Option<Vec<(u64, u64)>>,
    /// Whether the part with the table of MSI-X vectors can be mapped too.
    #[doc(alias = "VFIO_REGION_INFO_CAP_MSIX_MAPPABLE")]
    pub msix_mappable: bool,
}

impl RegionInfo {
    /// Asks the kernel.
    pub(crate) fn read(device: BorrowedFd<'_>, index: u32) -> nix::Result<Self> {
        let (info, bytes) = sys::device_get_region_info(device, index)?;
        Ok(Self::new(&info, &bytes))
    }

    /// The areas that can be mapped, if pages have this size: where they start, and how many bytes they have. What makes
    /// no sense is left out, and so reached by calls.
    pub(crate) fn areas(&self, page: usize) -> Vec<(usize, usize)> {
        let sparse = self.sparse.iter().flatten();
        let inside = sparse.filter(|(start, len)| {
            let end = start.checked_add(*len);
            *len > 0 && end.is_some_and(|end| end <= self.size)
        });
        let areas = inside.filter_map(|(start, len)| {
            Some((usize::try_from(*start).ok()?, usize::try_from(*len).ok()?))
        });
        areas.filter(|(start, _)| start % page == 0).collect()
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

impl RegionInfo {
    /// What the kernel's answer says, of which `info` is the beginning.
    fn new(info: &vfio_region_info, answer: &[u8]) -> Self {
        let has = |flag| info.flags & flag != 0;
        let mut region = Self {
            offset: info.offset,
            size: info.size,
            readable: has(VFIO_REGION_INFO_FLAG_READ),
            writable: has(VFIO_REGION_INFO_FLAG_WRITE),
            mappable: has(VFIO_REGION_INFO_FLAG_MMAP),
            sparse: None,
            msix_mappable: false,
        };
        if has(VFIO_REGION_INFO_FLAG_CAPS) {
            for capability in capability::chain(answer, info.cap_offset) {
                match u32::from(capability.id) {
                    VFIO_REGION_INFO_CAP_SPARSE_MMAP => {
                        region.sparse = Some(capability.pairs(0, 8).collect());
                    }
                    VFIO_REGION_INFO_CAP_MSIX_MAPPABLE => region.msix_mappable = true,
                    _ => {}
                }
            }
        }
        region
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
        let mapped = RegionInfo::new(&info(7), &[]);
        assert!(mapped.readable && mapped.writable && mapped.mappable);
        let ports = RegionInfo::new(&info(3), &[]);
        assert!(ports.readable && ports.writable && !ports.mappable);
    }

    #[test]
    fn a_size_is_never_cut_short() {
        let size = u64::from(u32::MAX) + 1;
        let info = vfio_region_info {
            size,
            ..Default::default()
        };
        let info = RegionInfo::new(&info, &[]);
        // 2^32 bytes: addressable or refused, but never 0.
        if cfg!(target_pointer_width = "64") {
            assert_eq!(info.len().unwrap(), 0x1_0000_0000);
        } else {
            assert!(info.len().is_err());
        }
    }

    /// An answer with a capability behind the structure, laid out as include/uapi/linux/vfio.h has it.
    fn answer(id: u16, body: &[u8]) -> (vfio_region_info, Vec<u8>) {
        let info = vfio_region_info {
            flags: 0xf,
            cap_offset: 32,
            size: 0x4000,
            ..Default::default()
        };
        let mut bytes = vec![0; 32];
        bytes.extend(id.to_ne_bytes());
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(body);
        (info, bytes)
    }

    #[test]
    fn areas_that_can_be_mapped_are_told() {
        let mut body = 2_u32.to_ne_bytes().to_vec();
        body.extend([0; 4]);
        for number in [0_u64, 0x1000, 0x2000, 0x2000] {
            body.extend(number.to_ne_bytes());
        }
        let (info, bytes) = answer(1, &body);
        let region = RegionInfo::new(&info, &bytes);
        assert_eq!(region.sparse, Some(vec![(0, 0x1000), (0x2000, 0x2000)]));
        // Cut short, it says what it has.
        let region = RegionInfo::new(&info, &bytes[..bytes.len() - 1]);
        assert_eq!(region.sparse, Some(vec![(0, 0x1000)]));
    }

    #[test]
    fn areas_that_make_no_sense_are_not_mapped() {
        let areas = [
            (0x1000, 0x1000),
            (0x800, 0x800),   // not at a page
            (0x2000, 0),      // of no bytes
            (0x3000, 0x1001), // beyond the region
            (0x4000, 0x1000), // behind it
            (u64::MAX - 0xfff, 0x2000),
            (0x3000, 0x10),
        ];
        let region = RegionInfo {
            sparse: Some(areas.to_vec()),
            ..RegionInfo::new(&answer(1, &[]).0, &[])
        };
        assert_eq!(region.areas(0x1000), [(0x1000, 0x1000), (0x3000, 0x10)]);
    }

    #[test]
    fn a_table_of_vectors_that_can_be_mapped_is_told() {
        let (info, bytes) = answer(3, &[]);
        let region = RegionInfo::new(&info, &bytes);
        assert!(region.msix_mappable && region.sparse.is_none());
    }
}
