//! The kernel's calls, as one would make them by hand.
#![expect(unsafe_code, reason = "makes ioctls")]

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::path::Path;

use iommufd_bindings::{iommu_ioas_alloc, iommu_ioas_map, iommu_ioas_unmap};
use libc::{Ioctl, c_int};
use vfio_bindings::bindings::vfio::{
    vfio_device_attach_iommufd_pt, vfio_device_bind_iommufd, vfio_iommu_type1_dma_map,
    vfio_iommu_type1_dma_unmap,
};

// include/uapi/linux/vfio.h: _IO(';', 100 + n).
const SET_IOMMU: Ioctl = 0x3b66;
const GROUP_SET_CONTAINER: Ioctl = 0x3b68;
const GROUP_GET_DEVICE_FD: Ioctl = 0x3b6a;
const IOMMU_MAP_DMA: Ioctl = 0x3b71;
const IOMMU_UNMAP_DMA: Ioctl = 0x3b72;
const DEVICE_BIND_IOMMUFD: Ioctl = 0x3b76;
const DEVICE_ATTACH_IOMMUFD_PT: Ioctl = 0x3b77;

// include/uapi/linux/iommufd.h: _IO(';', 0x80 + n).
const IOAS_ALLOC: Ioctl = 0x3b81;
const IOAS_MAP: Ioctl = 0x3b85;
const IOAS_UNMAP: Ioctl = 0x3b86;

/// `VFIO_TYPE1v2_IOMMU`.
const TYPE1V2: c_int = 3;

/// Readable, writable and, of iommufd, at a fixed address.
const TYPE1_FLAGS: u32 = 3;
const IOAS_FLAGS: u32 = 7;

/// Opens a file for reading and writing.
pub fn open(path: &Path) -> File {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.expect("it could be opened before")
}

/// The descriptor of this process that is open on `path`.
pub fn find(path: &str) -> io::Result<RawFd> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let leads_there = fs::read_link(entry.path()).is_ok_and(|to| to == Path::new(path));
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let (true, Some(number)) = (leads_there, number) {
            return Ok(number);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("{path} is not open"),
    ))
}

fn size_of_it<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("no structure is as large")
}

/// An ioctl with a structure for its argument. The bench has no use for a kernel that refuses.
fn with<T>(fd: RawFd, request: Ioctl, argument: &mut T) -> c_int {
    // SAFETY: the kernel reads and writes no more than the structure, whose size it was told or knows.
    let result = unsafe { libc::ioctl(fd, request, &raw mut *argument) };
    assert!(result >= 0, "{request:#x}: {}", io::Error::last_os_error());
    result
}

/// `VFIO_GROUP_SET_CONTAINER`, `VFIO_SET_IOMMU` and `VFIO_GROUP_GET_DEVICE_FD`.
pub fn open_in_group(container: &File, group: &File, address: &CStr) -> File {
    with(
        group.as_raw_fd(),
        GROUP_SET_CONTAINER,
        &mut container.as_raw_fd(),
    );
    // SAFETY: the argument is a number.
    let set = unsafe { libc::ioctl(container.as_raw_fd(), SET_IOMMU, TYPE1V2) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel reads a string.
    let device = unsafe { libc::ioctl(group.as_raw_fd(), GROUP_GET_DEVICE_FD, address.as_ptr()) };
    assert!(device >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel has just made it.
    unsafe { File::from_raw_fd(device) }
}

/// `IOMMU_IOAS_ALLOC`, `VFIO_DEVICE_BIND_IOMMUFD` and `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
pub fn attach(iommufd: &File, device: &File) {
    let mut alloc = iommu_ioas_alloc {
        size: size_of_it::<iommu_ioas_alloc>(),
        ..Default::default()
    };
    with(iommufd.as_raw_fd(), IOAS_ALLOC, &mut alloc);
    let mut bind = vfio_device_bind_iommufd {
        argsz: size_of_it::<vfio_device_bind_iommufd>(),
        iommufd: iommufd.as_raw_fd(),
        ..Default::default()
    };
    with(device.as_raw_fd(), DEVICE_BIND_IOMMUFD, &mut bind);
    let mut attach = vfio_device_attach_iommufd_pt {
        argsz: size_of_it::<vfio_device_attach_iommufd_pt>(),
        pt_id: alloc.out_ioas_id,
        ..Default::default()
    };
    with(device.as_raw_fd(), DEVICE_ATTACH_IOMMUFD_PT, &mut attach);
}

/// `VFIO_IOMMU_MAP_DMA` and `VFIO_IOMMU_UNMAP_DMA`.
pub fn map_and_unmap_type1(container: RawFd, (vaddr, iova, size): (u64, u64, u64)) {
    let mut map = vfio_iommu_type1_dma_map {
        argsz: size_of_it::<vfio_iommu_type1_dma_map>(),
        flags: TYPE1_FLAGS,
        vaddr,
        iova,
        size,
    };
    with(container, IOMMU_MAP_DMA, &mut map);
    let mut unmap = vfio_iommu_type1_dma_unmap {
        argsz: size_of_it::<vfio_iommu_type1_dma_unmap>(),
        iova,
        size,
        ..Default::default()
    };
    with(container, IOMMU_UNMAP_DMA, &mut unmap);
}

/// `IOMMU_IOAS_MAP` and `IOMMU_IOAS_UNMAP`.
pub fn map_and_unmap_iommufd(
    iommufd: RawFd,
    ioas_id: u32,
    (user_va, iova, length): (u64, u64, u64),
) {
    let mut map = iommu_ioas_map {
        size: size_of_it::<iommu_ioas_map>(),
        flags: IOAS_FLAGS,
        ioas_id,
        user_va,
        length,
        iova,
        ..Default::default()
    };
    with(iommufd, IOAS_MAP, &mut map);
    let mut unmap = iommu_ioas_unmap {
        size: size_of_it::<iommu_ioas_unmap>(),
        ioas_id,
        iova,
        length,
    };
    with(iommufd, IOAS_UNMAP, &mut unmap);
}
