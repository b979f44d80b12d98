//! Memory for devices, through either of the kernel's interfaces.
#![expect(unsafe_code, reason = "lets devices write to memory")]

use crate::{
    capability,
    container::Container,
    iommufd::Iommufd,
    sys::{
        iommufd::{self, address},
        type1,
    },
};
use dma_memory::Pages;
use io_core::{
    Error, ErrorKind, Result,
    dma::{DmaDirection, DmaLimits, DmaOps, DmaPages, Iova, IovaRange, PageSize},
};
use iommufd_bindings::{
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA as FIXED_IOVA,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE as READABLE,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE as WRITEABLE,
};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit},
};
use pci_host::Host;
use std::{io, os::fd::AsFd, sync::Arc};
use vfio_bindings::bindings::vfio::{
    VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_IOMMU_INFO_CAPS, VFIO_IOMMU_INFO_PGSIZES,
    VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
};

/// `VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL` of include/uapi/linux/vfio.h.
const CAP_DMA_AVAIL: u32 = 3;

/// Who has it may lock as much memory as there is: include/uapi/linux/capability.h.
const CAP_IPC_LOCK: u32 = 14;

/// The memory of a container with a type 1 IOMMU.
#[derive(Debug)]
pub(crate) struct Type1Dma {
    pub container: Arc<Container>,
    pub host: Host,
}

impl DmaOps for Type1Dma {
    fn limits(&self) -> Result<DmaLimits> {
        let (info, bytes) = type1::get_info(self.container.as_fd())
            .map_err(|e| os_error("ask what the IOMMU can do", e))?;
        let mut limits = DmaLimits {
            // What kernels before 5.4 do not say.
            ranges: vec![IovaRange::ALL],
            page_sizes: 0x1000,
            mappings: None,
        };
        if info.flags & VFIO_IOMMU_INFO_PGSIZES != 0 {
            limits.page_sizes = info.iova_pgsizes;
        }
        if info.flags & VFIO_IOMMU_INFO_CAPS == 0 {
            return Ok(limits);
        }
        for capability in capability::chain(&bytes, info.cap_offset) {
            match u32::from(capability.id) {
                VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE => {
                    let pairs = capability.pairs(0, 8);
                    let ranges = pairs.filter_map(|(first, last)| IovaRange::new(first, last));
                    limits.ranges = ranges.collect();
                }
                CAP_DMA_AVAIL => limits.mappings = capability.u32(0),
                _ => {}
            }
        }
        Ok(limits)
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        Ok(Box::new(Pages::new(len, pages)?))
    }

    unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        iova: Iova,
        direction: DmaDirection,
    ) -> Result<()> {
        let flags = match direction {
            DmaDirection::ToDevice => VFIO_DMA_MAP_FLAG_READ,
            DmaDirection::FromDevice => VFIO_DMA_MAP_FLAG_WRITE,
            DmaDirection::Both => VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        };
        let container = self.container.as_fd();
        // SAFETY: the caller has shown it.
        unsafe { type1::map(container, address(memory), iova.raw(), bytes(len), flags) }
            .map_err(|errno| map_error(&self.host, "VmLck", len, iova, errno))
    }

    fn unmap(&self, iova: Iova, len: usize) -> Result<()> {
        whole(
            type1::unmap(self.container.as_fd(), iova.raw(), bytes(len)),
            iova,
            len,
        )
    }
}

/// The memory of an address space of iommufd.
#[derive(Debug)]
pub(crate) struct IommufdDma {
    pub iommufd: Arc<Iommufd>,
    pub host: Host,
}

impl DmaOps for IommufdDma {
    fn limits(&self) -> Result<DmaLimits> {
        let (ranges, alignment) = iommufd::ioas_ranges(self.iommufd.as_fd(), self.iommufd.ioas())
            .map_err(|e| os_error("ask which addresses the IOMMU has", e))?;
        let ranges = ranges.into_iter();
        Ok(DmaLimits {
            ranges: ranges
                .filter_map(|(first, last)| IovaRange::new(first, last))
                .collect(),
            // The kernel tells the smallest size only.
            page_sizes: alignment.max(0x1000),
            mappings: None,
        })
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        Ok(Box::new(Pages::new(len, pages)?))
    }

    unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        iova: Iova,
        direction: DmaDirection,
    ) -> Result<()> {
        let flags = FIXED_IOVA
            | match direction {
                DmaDirection::ToDevice => READABLE,
                DmaDirection::FromDevice => WRITEABLE,
                DmaDirection::Both => READABLE | WRITEABLE,
            };
        let (space, ioas) = (self.iommufd.as_fd(), self.iommufd.ioas());
        // SAFETY: the caller has shown it.
        unsafe { iommufd::ioas_map(space, ioas, address(memory), iova.raw(), bytes(len), flags) }
            .map_err(|errno| map_error(&self.host, "VmPin", len, iova, errno))
    }

    fn unmap(&self, iova: Iova, len: usize) -> Result<()> {
        let done = iommufd::ioas_unmap(
            self.iommufd.as_fd(),
            self.iommufd.ioas(),
            iova.raw(),
            bytes(len),
        );
        whole(done, iova, len)
    }
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).expect("no length has more than 64 bits")
}

fn os_error(what: &str, errno: Errno) -> Error {
    Error::from_os(format!("cannot {what}"), io::Error::from(errno))
}

/// Why memory cannot be mapped. What is locked is in this field of the kernel's word for it.
#[cold]
fn map_error(host: &Host, field: &str, len: usize, iova: Iova, errno: Errno) -> Error {
    let error = os_error(&format!("map {len:#x} bytes for a device at {iova}"), errno);
    match errno {
        Errno::ENOMEM if host.has_capability(CAP_IPC_LOCK) => error.with_hint(
            "the machine may have no memory left: the limit of locked memory (ulimit -l) is not for this process, which has \
             CAP_IPC_LOCK, if it has it outside a user namespace",
        ),
        Errno::ENOMEM => {
            let locked = host.locked_memory(field).unwrap_or(0);
            let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
            error.with_hint(memlock_hint(limit, locked, bytes(len)))
        }
        Errno::ENOSPC => error.with_hint(
            "the kernel's limit of mappings is reached: use fewer, larger ones; or, for containers that are opened after it: \
             echo 131070 | sudo tee /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
        ),
        Errno::EFAULT => error.with_hint("the kernel maps ordinary memory only, and no BARs, through this interface"),
        _ => error,
    }
}

/// What to do when the kernel locks no more memory, by its limit, what this process has locked, and what it needs.
fn memlock_hint(limit: u64, locked: u64, needed: u64) -> String {
    let total = locked.saturating_add(needed);
    if total <= limit {
        return format!(
            "the machine may have no memory left, or other programs of this user lock some of the {limit} bytes that all \
             of them together may lock (ulimit -l); this one has locked {locked}, and needs {needed} more"
        );
    }
    format!(
        "this user may lock {limit} bytes of memory (ulimit -l); {locked} are locked, and {needed} more are needed; raise \
         it to {} KiB or more: a line `USER - memlock KIBIBYTES` in /etc/security/limits.conf, or LimitMEMLOCK= of a \
         systemd unit",
        total.div_ceil(1024)
    )
}

/// Turns anything but a whole unmapping into an error.
fn whole(done: nix::Result<u64>, iova: Iova, len: usize) -> Result<()> {
    if done == Ok(bytes(len)) {
        return Ok(());
    }
    Err(not_whole(done, iova, len))
}

#[cold]
fn not_whole(done: nix::Result<u64>, iova: Iova, len: usize) -> Error {
    match done {
        Ok(done) => Error::new(
            ErrorKind::Other,
            format!("the kernel unmapped {done:#x} of the {len:#x} bytes at {iova}"),
        ),
        Err(errno) => os_error(&format!("unmap {len:#x} bytes at {iova}"), errno),
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Host, Iova, map_error, memlock_hint};
    use std::fs;

    #[test]
    fn who_has_no_limit_is_not_told_of_one() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/self");
        fs::create_dir_all(&process).unwrap();
        let hint = |capabilities| {
            let status = format!("VmLck:\t0 kB\nCapEff:\t{capabilities}\n");
            fs::write(process.join("status"), status).unwrap();
            let host = Host::at(root.path());
            let error = map_error(&host, "VmLck", usize::MAX, Iova::new(0), Errno::ENOMEM);
            error.hint().unwrap().to_owned()
        };
        // Of a root shell, of one without CAP_IPC_LOCK, and of a user.
        let root = hint("000001ffffffffff");
        assert!(
            root.starts_with("the machine may have no memory left"),
            "{root}"
        );
        for capabilities in ["000001ffffffbfff", "0000000000000000"] {
            let user = hint(capabilities);
            assert!(!user.contains("CAP_IPC_LOCK"), "{user}");
        }
    }

    #[test]
    fn a_limit_is_told_with_what_is_locked_and_what_is_needed() {
        let hint = memlock_hint(65536, 4096, 61441);
        let start = "this user may lock 65536 bytes of memory (ulimit -l); 4096 are locked, and 61441 more are needed; \
                     raise it to 65 KiB or more: ";
        assert!(hint.starts_with(start), "{hint}");
    }

    #[test]
    fn a_limit_that_is_not_exceeded_is_not_said_to_be() {
        for limit in [65536, u64::MAX] {
            let hint = memlock_hint(limit, 4096, 61440);
            assert!(
                hint.starts_with("the machine may have no memory left"),
                "{hint}"
            );
        }
    }
}
