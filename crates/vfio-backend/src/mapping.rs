//! BARs, mapped as far as the kernel lets them be mapped.
#![expect(unsafe_code, reason = "makes BARs of mappings")]

use crate::{RegionInfo, file_region::FileRegion};
use dma_memory::page_size;
use io_core::{Bar, Error, MmioRaw, Region, Result, Width};
use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::{
    errno::Errno,
    libc,
    sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap},
};
use std::{fmt, fs::File, num::NonZeroUsize, sync::Arc};

/// An open file with regions in it: that of a device.
pub(crate) trait RegionFile: AsRef<File> + fmt::Debug + Send + Sync + 'static {}

impl<F: AsRef<File> + fmt::Debug + Send + Sync + 'static> RegionFile for F {}

/// The BAR that `info` describes: mapped as a whole, in parts, or reached by calls up to `widest`.
pub(crate) fn bar<F: RegionFile>(
    file: &Arc<F>,
    info: &RegionInfo,
    name: String,
    widest: Width,
) -> Result<Bar> {
    let whole = (0, info.len()?);
    let areas = match &info.sparse {
        _ if !(info.mappable && info.readable && info.writable) => Vec::new(),
        None => vec![whole],
        Some(_) => info.areas(page_size()),
    };
    if areas == [whole] {
        return map(file, info, whole, &name);
    }
    let calls = FileRegion::new(file, info, name.clone(), widest)?;
    if areas.is_empty() {
        return Ok(Bar::called(calls));
    }
    let areas = areas.into_iter().map(|area| {
        let name = format!("the area at {:#x} of {name}", area.0);
        Ok((area.0, map(file, info, area, &name)?))
    });
    Ok(Bar::sparse(areas.collect::<Result<_>>()?, calls))
}

/// Maps so many bytes from this offset on.
fn map<F: RegionFile>(
    file: &Arc<F>,
    info: &RegionInfo,
    (start, size): (usize, usize),
    name: &str,
) -> Result<Bar> {
    let failed =
        |what: &str, e| Error::from_os(format!("cannot {what} {name} ({size:#x} bytes)"), e);
    let start = u64::try_from(start).unwrap_or(u64::MAX);
    let offset = info.offset.saturating_add(start);
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

#[cfg(test)]
mod tests {
    use super::*;
    use io_core::{ErrorKind, Io};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::unix::fs::FileExt;

    /// A file that stands for a device's.
    #[derive(Debug)]
    struct Memory(File);

    impl AsRef<File> for Memory {
        fn as_ref(&self) -> &File {
            &self.0
        }
    }

    /// Where the region is in the file.
    const AT: u64 = 0x1_0000;
    const SIZE: u64 = 0x5000;

    /// The file, a region of 5 pages in it, and its BAR, if the kernel lets these areas of it be mapped.
    fn region(sparse: Option<Vec<(u64, u64)>>) -> (Arc<Memory>, Result<Bar>) {
        let file = File::from(memfd_create(c"region", MFdFlags::MFD_CLOEXEC).unwrap());
        file.set_len(AT + SIZE).unwrap();
        let file = Arc::new(Memory(file));
        let info = RegionInfo {
            offset: AT,
            size: SIZE,
            readable: true,
            writable: true,
            mappable: true,
            sparse,
            msix_mappable: false,
        };
        let bar = bar(&file, &info, "BAR 2".to_owned(), Width::U64);
        (file, bar)
    }

    /// Where the pages of the region are mapped, by the kernel's word.
    fn mapped(file: &Memory) -> Vec<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;

        let inode = format!(" {} ", file.0.metadata().unwrap().ino());
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        // proc_pid_maps(5): addresses, permissions, offset, device, inode, path.
        let areas = maps
            .lines()
            .filter(|line| line.contains(&inode))
            .map(|line| {
                let mut words = line.split(' ');
                let (first, end) = words.next().unwrap().split_once('-').unwrap();
                let offset = number(words.nth(1).unwrap());
                (offset - AT, number(end) - number(first))
            });
        let mut areas: Vec<_> = areas.collect();
        areas.sort_unstable();
        areas
    }

    #[test]
    fn areas_are_mapped_and_the_gaps_between_them_are_reached_by_calls() {
        let (file, bar) = region(Some(vec![(0x1000, 0x1000), (0x3000, 0x2000)]));
        let bar = bar.unwrap();
        assert_eq!(mapped(&file), [(0x1000, 0x1000), (0x3000, 0x2000)]);
        let io = bar.io::<0x5000>().unwrap();
        for at in (0..0x5000).step_by(0x7fc) {
            let value = u32::try_from(at).unwrap() ^ 0x5a5a_5a5a;
            io.try_write32(at, value).unwrap();
            let mut bytes = [0; 4];
            let place = AT + u64::try_from(at).unwrap();
            file.0.read_exact_at(&mut bytes, place).unwrap();
            assert_eq!(u32::from_le_bytes(bytes), value, "{at:#x}");
            assert_eq!(io.try_read32(at), Ok(value), "{at:#x}");
        }
        // A file that has become shorter stands for a device that went away: calls and what is mapped both say so.
        file.0.set_len(AT).unwrap();
        assert!(io.try_read32(0x2000).is_err());
        assert!(io.try_read32(0x3000).unwrap_err().is_lost() && bar.is_lost());
        file.0.set_len(AT + SIZE).unwrap();
        bar.revive().unwrap();
        assert_eq!((io.try_read32(0x3000), bar.is_lost()), (Ok(0), false));
        drop(bar);
        assert_eq!(mapped(&file), []);
    }

    #[test]
    fn what_can_be_mapped_as_a_whole_is_and_what_cannot_be_mapped_is_not() {
        for sparse in [None, Some(vec![(0, SIZE)])] {
            let (file, bar) = region(sparse);
            let bar = bar.unwrap();
            assert_eq!(mapped(&file), [(0, SIZE)]);
            bar.mmio::<0x5000>().unwrap().write32::<0x4ffc>(7);
        }
        let (file, bar) = region(Some(vec![]));
        let error = bar.unwrap().mmio::<4>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "BAR 2 cannot be mapped");
        assert_eq!(mapped(&file), []);
    }
}
