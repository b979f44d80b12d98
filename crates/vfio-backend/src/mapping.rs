//! BARs, mapped as far as the kernel lets them be mapped.

use crate::RegionInfo;
use device_file::{FileRegion, RegionFile, map, page_size};
use io_core::{Bar, Result, Width};
use std::sync::Arc;

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
        return map(file, (info.offset, whole.1), &name);
    }
    let calls = by_calls(file, info, name.clone(), widest)?;
    if areas.is_empty() {
        return Ok(Bar::called(calls));
    }
    let areas = areas.into_iter().map(|area| {
        let name = format!("the area at {:#x} of {name}", area.0);
        let start = u64::try_from(area.0).unwrap_or(u64::MAX);
        let place = (info.offset.saturating_add(start), area.1);
        Ok((area.0, map(file, place, &name)?))
    });
    Ok(Bar::sparse(areas.collect::<Result<_>>()?, calls))
}

/// The region that `info` describes, reached by calls up to `widest`.
pub(crate) fn by_calls<F: RegionFile>(
    file: &Arc<F>,
    info: &RegionInfo,
    name: String,
    widest: Width,
) -> Result<FileRegion<F>> {
    let place = (info.offset, info.len()?);
    let region = FileRegion::new(file, place, name, widest);
    Ok(if info.writable {
        region
    } else {
        region.read_only()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_core::{ErrorKind, Io};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::{fs::File, os::unix::fs::FileExt};

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
