//! Regions of a PCI device in a file that the kernel has for it: a device file of VFIO, `resource0` and `config` in `/sys`.
//!
//! A region is [mapped](map), as a [`Bar`] whose accesses are single instructions, or reached by calls, each of which is
//! one system call: [`FileRegion`].
#![expect(unsafe_code, reason = "makes BARs of mappings")]

mod region;
mod wait;

pub use region::FileRegion;
pub use wait::until_some;

use io_core::{Bar, Error, MmioRaw, Region, Result};
use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::{
    errno::Errno,
    libc,
    sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap},
    unistd::{SysconfVar, sysconf},
};
use std::{fmt, fs::File, num::NonZeroUsize, sync::Arc};

/// The size of a page of this machine in bytes: not everywhere is it 4 KiB.
#[must_use]
pub fn page_size() -> usize {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok())
        .unwrap_or(4096)
}

/// An open file with regions of a device in it.
pub trait RegionFile: AsRef<File> + fmt::Debug + Send + Sync + 'static {}

impl<F: AsRef<File> + fmt::Debug + Send + Sync + 'static> RegionFile for F {}

/// Maps the `size` bytes at `offset` in the file, to be called `name`.
///
/// The file stays open as long as the BAR lives. Child processes do not inherit the mapping, and accesses that the kernel
/// answers with SIGBUS are [survived](Bar::survive), unless the region starts inside a page that others may be in too.
///
/// # Errors
///
/// The kernel does not map it.
pub fn map<F: RegionFile>(file: &Arc<F>, (offset, size): (u64, usize), name: &str) -> Result<Bar> {
    let failed =
        |what: &str, e| Error::from_os(format!("cannot {what} {name} ({size:#x} bytes)"), e);
    let map = MmapOptions::new()
        .offset(offset)
        .len(size)
        .map_raw(file.as_ref().as_ref())
        .map_err(|e| failed("map", e))?;
    // A child process that inherited it would keep the kernel from taking the device back.
    map.advise(Advice::DontFork)
        .map_err(|e| failed("keep child processes from", e))?;
    log::debug!("mapped {name}: {size:#x} bytes at {:p}", map.as_ptr());
    let raw = MmioRaw::new_region(map.as_mut_ptr(), size)?;
    // Unmapped before the device is closed.
    let owner: (MmapRaw, _) = (map, Arc::clone(file));
    // SAFETY: it is mapped, readable and writable, for the size that the device reports, as long as the owner
    // lives; nothing makes references to it.
    let bar = unsafe { Bar::mapped(raw, name, owner) };
    if raw.addr() % page_size() != 0 {
        return Ok(bar);
    }
    let (file, name) = (Arc::clone(file), name.to_owned());
    let map_again = move || {
        log::debug!("mapping {name} again");
        // SAFETY: the BAR that calls this has its pages there.
        unsafe { map_in_place(raw, file.as_ref().as_ref(), offset) }
            .map_err(|e| Error::from_os(format!("cannot map {name} again"), e.into()))
    };
    // SAFETY: the pages are the owner's alone, until it unmaps them.
    unsafe { bar.survive(map_again) }
}

/// Maps what is at `offset` in `file` where a BAR was mapped before.
///
/// # Safety
///
/// The pages at `raw` are the BAR's.
unsafe fn map_in_place(raw: MmioRaw<Region>, file: &File, offset: u64) -> nix::Result<()> {
    let address = NonZeroUsize::new(raw.addr()).ok_or(Errno::EINVAL)?;
    let size = NonZeroUsize::new(raw.size()).ok_or(Errno::EINVAL)?;
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
    // SAFETY: the caller has shown that what is there may be replaced.
    let pages = unsafe { mmap(Some(address), size, access, flags, file, offset) }?;
    // SAFETY: this changes what a fork does.
    unsafe { madvise(pages, size.get(), MmapAdvise::MADV_DONTFORK) }
}
