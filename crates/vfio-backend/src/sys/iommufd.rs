//! iommufd: address spaces, and the devices in them (include/uapi/linux/iommufd.h).

use super::{argsz, ioctl};
use iommufd_bindings::{
    iommu_ioas_alloc, iommu_ioas_iova_ranges, iommu_ioas_map, iommu_ioas_unmap, iommu_iova_range,
};
use nix::{Result, errno::Errno};
use std::{
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_BIND_FLAG_TOKEN, vfio_device_attach_iommufd_pt, vfio_device_bind_iommufd,
};

/// `IOMMU_IOAS_ALLOC`: the id of a new address space.
pub(crate) fn ioas_alloc(iommufd: BorrowedFd<'_>) -> Result<u32> {
    let mut alloc = iommu_ioas_alloc {
        size: argsz::<iommu_ioas_alloc>(),
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `size` bytes, the size of `alloc`.
    unsafe { ioctl::ioas_alloc(iommufd.as_raw_fd(), &raw mut alloc) }?;
    Ok(alloc.out_ioas_id)
}

/// `IOMMU_IOAS_IOVA_RANGES`: the ranges, both ends included, and the alignment of mappings.
pub(crate) fn ioas_ranges(iommufd: BorrowedFd<'_>, ioas_id: u32) -> Result<(Vec<(u64, u64)>, u64)> {
    let mut ranges = Vec::new();
    loop {
        let mut query = iommu_ioas_iova_ranges {
            size: argsz::<iommu_ioas_iova_ranges>(),
            ioas_id,
            num_iovas: u32::try_from(ranges.len()).map_err(|_| Errno::EOVERFLOW)?,
            allowed_iovas: address(ranges.as_mut_ptr()),
            ..Default::default()
        };
        // SAFETY: the kernel writes the structure, and no more ranges than `num_iovas`, for which there is room.
        let result = unsafe { ioctl::ioas_iova_ranges(iommufd.as_raw_fd(), &raw mut query) };
        let count = usize::try_from(query.num_iovas).map_err(|_| Errno::EOVERFLOW)?;
        match result {
            // There are more than there was room for.
            Err(Errno::EMSGSIZE) if count > ranges.len() => {
                ranges.resize(count, iommu_iova_range::default());
            }
            Err(errno) => return Err(errno),
            Ok(_) => {
                ranges.truncate(count);
                let pairs = ranges.iter().map(|range| (range.start, range.last));
                return Ok((pairs.collect(), query.out_iova_alignment));
            }
        }
    }
}

/// `IOMMU_IOAS_MAP` at a fixed address.
///
/// # Safety
///
/// Until it is unmapped, the memory stays allocated, and nothing relies on what is in it if it can be written.
pub(crate) unsafe fn ioas_map(
    iommufd: BorrowedFd<'_>,
    ioas_id: u32,
    user_va: u64,
    iova: u64,
    length: u64,
    flags: u32,
) -> Result<()> {
    let mut map = iommu_ioas_map {
        size: argsz::<iommu_ioas_map>(),
        flags,
        ioas_id,
        user_va,
        length,
        iova,
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `size` bytes, the size of `map`; the caller has shown the rest.
    unsafe { ioctl::ioas_map(iommufd.as_raw_fd(), &raw mut map) }.map(drop)
}

/// `IOMMU_IOAS_UNMAP`: how many bytes were unmapped.
pub(crate) fn ioas_unmap(
    iommufd: BorrowedFd<'_>,
    ioas_id: u32,
    iova: u64,
    length: u64,
) -> Result<u64> {
    let mut unmap = iommu_ioas_unmap {
        size: argsz::<iommu_ioas_unmap>(),
        ioas_id,
        iova,
        length,
    };
    // SAFETY: the kernel writes no more than `size` bytes, the size of `unmap`.
    unsafe { ioctl::ioas_unmap(iommufd.as_raw_fd(), &raw mut unmap) }?;
    Ok(unmap.length)
}

/// `VFIO_DEVICE_BIND_IOMMUFD`.
pub(crate) fn device_bind(
    device: BorrowedFd<'_>,
    iommufd: BorrowedFd<'_>,
    token: Option<&[u8; 16]>,
) -> Result<()> {
    let mut bind = vfio_device_bind_iommufd {
        argsz: argsz::<vfio_device_bind_iommufd>(),
        iommufd: iommufd.as_raw_fd(),
        flags: token.map_or(0, |_| VFIO_DEVICE_BIND_FLAG_TOKEN),
        token_uuid_ptr: token.map_or(0, |token| address(ptr::from_ref(token).cast_mut())),
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `argsz` bytes, the size of `bind`, and reads the token, which lives as long
    // as the call.
    unsafe { ioctl::device_bind_iommufd(device.as_raw_fd(), &raw mut bind) }.map(drop)
}

/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
pub(crate) fn device_attach(device: BorrowedFd<'_>, ioas_id: u32) -> Result<()> {
    let mut attach = vfio_device_attach_iommufd_pt {
        argsz: argsz::<vfio_device_attach_iommufd_pt>(),
        pt_id: ioas_id,
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `argsz` bytes, the size of `attach`.
    unsafe { ioctl::device_attach_iommufd(device.as_raw_fd(), &raw mut attach) }.map(drop)
}

/// The number by which the kernel knows memory of this program.
pub(crate) fn address<T>(memory: *mut T) -> u64 {
    // The kernel gives it its provenance back, when it writes to it.
    u64::try_from(memory.expose_provenance()).expect("no address has more than 64 bits")
}
