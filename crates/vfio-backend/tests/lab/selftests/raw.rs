//! Calls that our API never makes.

use super::devices::Mode;
use iommufd_bindings::{
    IOMMUFD_CMD_IOAS_ALLOC, IOMMUFD_CMD_IOAS_MAP, IOMMUFD_CMD_IOAS_UNMAP, IOMMUFD_TYPE,
    iommu_ioas_alloc, iommu_ioas_map, iommu_ioas_unmap,
};
use nix::{errno::Errno, libc, request_code_none};
use std::{
    fs,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::Path,
    ptr,
};
use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_DMA_UNMAP_FLAG_ALL, VFIO_TYPE, vfio_device_attach_iommufd_pt,
    vfio_device_bind_iommufd, vfio_device_detach_iommufd_pt, vfio_device_info,
    vfio_iommu_type1_dma_map, vfio_iommu_type1_dma_unmap,
};

/// A structure that is the argument of one call.
pub trait Argument: Default {
    const REQUEST: libc::c_ulong;
}

macro_rules! arguments {
    ($($structure:ty: $type:expr, $number:expr;)*) => {$(
        impl Argument for $structure {
            const REQUEST: libc::c_ulong = request_code_none!($type, $number);
        }
    )*};
}

// include/uapi/linux/vfio.h and iommufd.h.
arguments! {
    vfio_device_info: VFIO_TYPE, VFIO_BASE + 7;
    vfio_iommu_type1_dma_map: VFIO_TYPE, VFIO_BASE + 13;
    vfio_iommu_type1_dma_unmap: VFIO_TYPE, VFIO_BASE + 14;
    vfio_device_bind_iommufd: VFIO_TYPE, VFIO_BASE + 18;
    vfio_device_attach_iommufd_pt: VFIO_TYPE, VFIO_BASE + 19;
    vfio_device_detach_iommufd_pt: VFIO_TYPE, VFIO_BASE + 20;
    iommu_ioas_alloc: IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC;
    iommu_ioas_map: IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP;
    iommu_ioas_unmap: IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP;
}

/// Makes the call.
fn call<T: Argument>(file: impl AsFd, argument: &mut T) -> nix::Result<()> {
    let argument = ptr::from_mut(argument);
    #[expect(unsafe_code, reason = "makes calls that our API never makes")]
    // SAFETY: the kernel reads and writes no more than the structure, whose first field is its size. No address of memory
    // is in it but one that is to be refused.
    let result = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), T::REQUEST, argument) };
    Errno::result(result).map(drop)
}

fn size<T>() -> u32 {
    size_of::<T>().try_into().unwrap()
}

/// `VFIO_DEVICE_GET_INFO`: the flags.
pub fn get_info(device: impl AsFd) -> nix::Result<u32> {
    let mut info = vfio_device_info {
        argsz: size::<vfio_device_info>(),
        ..Default::default()
    };
    call(device, &mut info).map(|()| info.flags)
}

/// `VFIO_DEVICE_BIND_IOMMUFD`.
pub fn bind(device: impl AsFd, iommufd: RawFd) -> nix::Result<()> {
    let mut bind = vfio_device_bind_iommufd {
        argsz: size::<vfio_device_bind_iommufd>(),
        iommufd,
        ..Default::default()
    };
    call(device, &mut bind)
}

/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
pub fn attach(device: impl AsFd, pt_id: u32) -> nix::Result<()> {
    let mut attach = vfio_device_attach_iommufd_pt {
        argsz: size::<vfio_device_attach_iommufd_pt>(),
        pt_id,
        ..Default::default()
    };
    call(device, &mut attach)
}

/// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.
pub fn detach(device: impl AsFd) -> nix::Result<()> {
    let mut detach = vfio_device_detach_iommufd_pt {
        argsz: size::<vfio_device_detach_iommufd_pt>(),
        ..Default::default()
    };
    call(device, &mut detach)
}

/// `IOMMU_IOAS_ALLOC`: the id.
pub fn ioas_alloc(iommufd: impl AsFd) -> nix::Result<u32> {
    let mut alloc = iommu_ioas_alloc {
        size: size::<iommu_ioas_alloc>(),
        ..Default::default()
    };
    call(iommufd, &mut alloc).map(|()| alloc.out_ioas_id)
}

/// The address space of the one context that this process has.
pub struct Space {
    file: OwnedFd,
    mode: Mode,
}

/// The first object that is made in an iommufd.
const FIRST_IOAS: u32 = 1;

impl Space {
    pub fn new(mode: Mode) -> Self {
        let path = match mode {
            Mode::Type1v2 => "/dev/vfio/vfio",
            Mode::CompatType1v2 | Mode::Iommufd => "/dev/iommu",
        };
        let files = fs::read_dir("/proc/self/fd").unwrap();
        let number = files.map(Result::unwrap).find_map(|entry| {
            let found = fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(path));
            found.then(|| entry.file_name().to_string_lossy().parse().unwrap())
        });
        #[expect(unsafe_code, reason = "takes a descriptor by its number")]
        // SAFETY: the context holds it open meanwhile: tests run one at a time.
        let file = unsafe { BorrowedFd::borrow_raw(number.unwrap()) };
        let file = file.try_clone_to_owned().unwrap();
        Self { file, mode }
    }

    /// Asks for a mapping that has to be refused: of memory at address 0, where there is none.
    pub fn map(&self, iova: u64, length: u64) -> nix::Result<()> {
        const READ_WRITE: u32 = 3; // VFIO_DMA_MAP_FLAG_READ and _WRITE
        const FIXED_READ_WRITE: u32 = 7; // IOMMU_IOAS_MAP_FIXED_IOVA, _WRITEABLE and _READABLE
        if self.mode == Mode::Iommufd {
            let mut map = iommu_ioas_map {
                size: size::<iommu_ioas_map>(),
                flags: FIXED_READ_WRITE,
                ioas_id: FIRST_IOAS,
                iova,
                length,
                ..Default::default()
            };
            return call(&self.file, &mut map);
        }
        let mut map = vfio_iommu_type1_dma_map {
            argsz: size::<vfio_iommu_type1_dma_map>(),
            flags: READ_WRITE,
            iova,
            size: length,
            ..Default::default()
        };
        call(&self.file, &mut map)
    }

    /// Unmaps, and returns how many bytes that were.
    pub fn unmap(&self, iova: u64, length: u64) -> nix::Result<u64> {
        if self.mode == Mode::Iommufd {
            let mut unmap = iommu_ioas_unmap {
                size: size::<iommu_ioas_unmap>(),
                ioas_id: FIRST_IOAS,
                iova,
                length,
            };
            return call(&self.file, &mut unmap).map(|()| unmap.length);
        }
        self.unmap_type1(0, iova, length)
    }

    /// Unmaps all that is mapped.
    pub fn unmap_all(&self) -> nix::Result<u64> {
        match self.mode {
            Mode::Iommufd => self.unmap(0, u64::MAX),
            _ => self.unmap_type1(VFIO_DMA_UNMAP_FLAG_ALL, 0, 0),
        }
    }

    fn unmap_type1(&self, flags: u32, iova: u64, length: u64) -> nix::Result<u64> {
        let mut unmap = vfio_iommu_type1_dma_unmap {
            argsz: size::<vfio_iommu_type1_dma_unmap>(),
            flags,
            iova,
            size: length,
            ..Default::default()
        };
        call(&self.file, &mut unmap).map(|()| unmap.size)
    }
}
