//! The kernel's VFIO interface: one function an ioctl (include/uapi/linux/vfio.h).
#![expect(unsafe_code, reason = "makes ioctls")]

mod capabilities;
pub(crate) mod iommufd;
pub(crate) mod irq;
pub(crate) mod reset;
pub(crate) mod type1;

use nix::Result;
use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, VFIO_DEVICE_FEATURE_SET, vfio_device_info, vfio_group_status,
    vfio_region_info,
};

/// The numbers encode neither size nor direction, so the macros are nix's "bad" ones.
mod ioctl {
    use iommufd_bindings::{
        IOMMUFD_CMD_IOAS_ALLOC, IOMMUFD_CMD_IOAS_IOVA_RANGES, IOMMUFD_CMD_IOAS_MAP,
        IOMMUFD_CMD_IOAS_UNMAP, IOMMUFD_TYPE, iommu_ioas_alloc, iommu_ioas_iova_ranges,
        iommu_ioas_map, iommu_ioas_unmap,
    };
    use nix::request_code_none;
    use std::ffi::{c_char, c_int};
    use vfio_bindings::bindings::vfio::{
        VFIO_BASE, VFIO_TYPE, vfio_device_attach_iommufd_pt, vfio_device_bind_iommufd,
        vfio_device_feature, vfio_device_info, vfio_group_status, vfio_iommu_type1_dma_map,
        vfio_iommu_type1_dma_unmap, vfio_iommu_type1_info, vfio_irq_info, vfio_irq_set,
        vfio_pci_hot_reset, vfio_pci_hot_reset_info, vfio_region_info,
    };

    nix::ioctl_none_bad!(get_api_version, request_code_none!(VFIO_TYPE, VFIO_BASE));
    nix::ioctl_write_int_bad!(
        check_extension,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 1)
    );
    nix::ioctl_write_int_bad!(set_iommu, request_code_none!(VFIO_TYPE, VFIO_BASE + 2));
    nix::ioctl_readwrite_bad!(
        group_get_status,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 3),
        vfio_group_status
    );
    nix::ioctl_write_ptr_bad!(
        group_set_container,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 4),
        c_int
    );
    nix::ioctl_write_ptr_bad!(
        group_get_device_fd,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 6),
        c_char
    );
    nix::ioctl_readwrite_bad!(
        device_get_info,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 7),
        vfio_device_info
    );
    nix::ioctl_readwrite_bad!(
        device_get_region_info,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 8),
        vfio_region_info
    );
    nix::ioctl_readwrite_bad!(
        device_get_irq_info,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 9),
        vfio_irq_info
    );
    nix::ioctl_write_ptr_bad!(
        device_set_irqs,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 10),
        vfio_irq_set
    );
    nix::ioctl_none_bad!(device_reset, request_code_none!(VFIO_TYPE, VFIO_BASE + 11));
    // The numbers are shared with those of containers: what they mean is said by the file.
    nix::ioctl_readwrite_bad!(
        device_get_pci_hot_reset_info,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 12),
        vfio_pci_hot_reset_info
    );
    nix::ioctl_write_ptr_bad!(
        device_pci_hot_reset,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 13),
        vfio_pci_hot_reset
    );
    nix::ioctl_readwrite_bad!(
        iommu_get_info,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 12),
        vfio_iommu_type1_info
    );
    nix::ioctl_write_ptr_bad!(
        iommu_map_dma,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 13),
        vfio_iommu_type1_dma_map
    );
    nix::ioctl_readwrite_bad!(
        iommu_unmap_dma,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 14),
        vfio_iommu_type1_dma_unmap
    );
    nix::ioctl_write_ptr_bad!(
        device_feature,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 17),
        vfio_device_feature
    );
    nix::ioctl_readwrite_bad!(
        device_bind_iommufd,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 18),
        vfio_device_bind_iommufd
    );
    nix::ioctl_readwrite_bad!(
        device_attach_iommufd,
        request_code_none!(VFIO_TYPE, VFIO_BASE + 19),
        vfio_device_attach_iommufd_pt
    );
    nix::ioctl_readwrite_bad!(
        ioas_alloc,
        request_code_none!(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC),
        iommu_ioas_alloc
    );
    nix::ioctl_readwrite_bad!(
        ioas_iova_ranges,
        request_code_none!(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES),
        iommu_ioas_iova_ranges
    );
    nix::ioctl_readwrite_bad!(
        ioas_map,
        request_code_none!(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP),
        iommu_ioas_map
    );
    nix::ioctl_readwrite_bad!(
        ioas_unmap,
        request_code_none!(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP),
        iommu_ioas_unmap
    );
}

/// `VFIO_GET_API_VERSION` on a container.
pub(crate) fn get_api_version(container: BorrowedFd<'_>) -> Result<i32> {
    // SAFETY: takes no argument.
    unsafe { ioctl::get_api_version(container.as_raw_fd()) }
}

/// `VFIO_CHECK_EXTENSION` on a container: whether it knows this kind of IOMMU.
pub(crate) fn check_extension(container: BorrowedFd<'_>, iommu: i32) -> Result<bool> {
    // SAFETY: the argument is a number, of which the kernel knows or does not know the meaning.
    Ok(unsafe { ioctl::check_extension(container.as_raw_fd(), iommu) }? > 0)
}

/// `VFIO_SET_IOMMU` on a container that has a group.
pub(crate) fn set_iommu(container: BorrowedFd<'_>, iommu: i32) -> Result<()> {
    // SAFETY: the argument is a number, of which the kernel knows or does not know the meaning.
    unsafe { ioctl::set_iommu(container.as_raw_fd(), iommu) }.map(drop)
}

/// `VFIO_GROUP_GET_STATUS`: the flags.
pub(crate) fn group_flags(group: BorrowedFd<'_>) -> Result<u32> {
    let mut status = vfio_group_status {
        argsz: argsz::<vfio_group_status>(),
        flags: 0,
    };
    // SAFETY: the kernel writes no more than `argsz` bytes, the size of `status`.
    unsafe { ioctl::group_get_status(group.as_raw_fd(), &raw mut status) }?;
    Ok(status.flags)
}

/// `VFIO_GROUP_SET_CONTAINER`.
pub(crate) fn group_set_container(group: BorrowedFd<'_>, container: BorrowedFd<'_>) -> Result<()> {
    let container = container.as_raw_fd();
    // SAFETY: the kernel reads one int, which `container` is.
    unsafe { ioctl::group_set_container(group.as_raw_fd(), &raw const container) }.map(drop)
}

/// `VFIO_GROUP_GET_DEVICE_FD`: the device of this name, for a PCI function its address.
pub(crate) fn group_get_device_fd(group: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    // SAFETY: the kernel reads a string that ends with a NUL, which a `CStr` does.
    let fd = unsafe { ioctl::group_get_device_fd(group.as_raw_fd(), name.as_ptr()) }?;
    // SAFETY: the kernel has just made this descriptor for us (with O_CLOEXEC set).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `VFIO_DEVICE_GET_INFO`.
pub(crate) fn device_get_info(device: BorrowedFd<'_>) -> Result<vfio_device_info> {
    let mut info = vfio_device_info {
        argsz: argsz::<vfio_device_info>(),
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `argsz` bytes, the size of `info`.
    unsafe { ioctl::device_get_info(device.as_raw_fd(), &raw mut info) }?;
    Ok(info)
}

/// `VFIO_DEVICE_GET_REGION_INFO` of the region of this index: the structure, and all of the kernel's answer.
pub(crate) fn device_get_region_info(
    device: BorrowedFd<'_>,
    index: u32,
) -> Result<(vfio_region_info, Vec<u8>)> {
    capabilities::with(
        |argsz| vfio_region_info {
            argsz,
            index,
            ..Default::default()
        },
        |info| info.argsz,
        // SAFETY: the kernel writes no more than `argsz` bytes, which `info` has room for.
        |info| unsafe { ioctl::device_get_region_info(device.as_raw_fd(), info) },
    )
}

/// `VFIO_DEVICE_FEATURE` with `VFIO_DEVICE_FEATURE_PCI_VF_TOKEN`.
pub(crate) fn set_vf_token(device: BorrowedFd<'_>, token: &[u8; 16]) -> Result<()> {
    // Two numbers of 32 bits, and the 16 bytes.
    let flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
    let mut words = vec![8 + 16, flags];
    words.extend(token.chunks_exact(4).filter_map(|bytes| {
        let bytes = bytes.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    }));
    // SAFETY: the kernel reads `argsz` bytes, which is the length of `words`.
    unsafe { ioctl::device_feature(device.as_raw_fd(), words.as_ptr().cast()) }.map(drop)
}

/// The size of a structure as the kernel wants to be told it.
fn argsz<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("the kernel's structures are small")
}
