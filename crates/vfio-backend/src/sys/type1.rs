//! The type 1 IOMMU of a container.

use super::{argsz, capabilities, ioctl};
use nix::Result;
use std::os::fd::{AsRawFd, BorrowedFd};
use vfio_bindings::bindings::vfio::{
    vfio_iommu_type1_dma_map, vfio_iommu_type1_dma_unmap, vfio_iommu_type1_info,
};

/// `VFIO_IOMMU_GET_INFO`: the structure, and all of the kernel's answer.
pub(crate) fn get_info(container: BorrowedFd<'_>) -> Result<(vfio_iommu_type1_info, Vec<u8>)> {
    capabilities::with(
        |argsz| vfio_iommu_type1_info {
            argsz,
            ..Default::default()
        },
        |info| info.argsz,
        // SAFETY: the kernel writes no more than `argsz` bytes, which `info` has room for.
        |info| unsafe { ioctl::iommu_get_info(container.as_raw_fd(), info) },
    )
}

/// `VFIO_IOMMU_MAP_DMA`.
///
/// # Safety
///
/// Until it is unmapped, the memory stays allocated, and nothing relies on what is in it if it can be written.
pub(crate) unsafe fn map(
    container: BorrowedFd<'_>,
    vaddr: u64,
    iova: u64,
    size: u64,
    flags: u32,
) -> Result<()> {
    let map = vfio_iommu_type1_dma_map {
        argsz: argsz::<vfio_iommu_type1_dma_map>(),
        flags,
        vaddr,
        iova,
        size,
    };
    // SAFETY: the kernel reads the structure; the caller has shown the rest.
    unsafe { ioctl::iommu_map_dma(container.as_raw_fd(), &raw const map) }.map(drop)
}

/// `VFIO_IOMMU_UNMAP_DMA`: how many bytes were unmapped.
pub(crate) fn unmap(container: BorrowedFd<'_>, iova: u64, size: u64) -> Result<u64> {
    let mut unmap = vfio_iommu_type1_dma_unmap {
        argsz: argsz::<vfio_iommu_type1_dma_unmap>(),
        iova,
        size,
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `argsz` bytes, the size of `unmap`.
    unsafe { ioctl::iommu_unmap_dma(container.as_raw_fd(), &raw mut unmap) }?;
    Ok(unmap.size)
}
