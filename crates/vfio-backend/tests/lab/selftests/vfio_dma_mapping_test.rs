//! Memory that is mapped and unmapped, at the limits of the address space too.

use super::{
    devices::{Device, Mode, Opened, each},
    raw::Space,
};
use io_core::{
    ErrorKind,
    dma::{DmaBox, DmaOptions, Iova, IovaRange, PageSize},
};
use nix::errno::Errno;
use std::fs;

scenarios! { everywhere:
    dma_map_unmap_4k
    dma_map_unmap_2m
    dma_map_unmap_1g
    limits_unmap_range
    limits_unmap_all
    limits_overflow
}

const PAGE: u64 = 0x1000;

fn dma_map_unmap_4k(devices: &[Device]) {
    each(devices, |opened| map_unmap(opened, 4096, PageSize::Base));
}

fn dma_map_unmap_2m(devices: &[Device]) {
    let pool = Pool::new("2048kB");
    assert!(pool.filled, "the guest has memory for one page of 2 MiB");
    each(devices, |opened| {
        map_unmap(opened, 1 << 21, PageSize::Huge2M);
    });
}

#[expect(clippy::print_stdout, reason = "says what was not possible here")]
fn dma_map_unmap_1g(devices: &[Device]) {
    let pool = Pool::new("1048576kB");
    if pool.filled {
        return each(devices, |opened| {
            map_unmap(opened, 1 << 30, PageSize::Huge1G);
        });
    }
    // mmap(2): EINVAL for a size that the processor does not have, ENOMEM if there is none left.
    let (errno, why) = if pool.exists() {
        (12, "nr_hugepages")
    } else {
        (22, "no pages of this size")
    };
    println!("this guest has no page of 1 GiB ({why}): only the error is tested");
    each(&devices[..1], |opened| {
        let space = opened.device.dma().unwrap();
        let options = DmaOptions::default().pages(PageSize::Huge1G);
        let error = space.allocate(1 << 30, options).unwrap_err();
        assert_eq!(error.errno(), Some(errno), "{opened}: {error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains(why), "{opened}: {hint}");
    });
}

fn map_unmap(opened: &Opened, size: u64, pages: PageSize) {
    let space = opened.device.dma().unwrap();
    let options = DmaOptions::default().pages(pages);
    let len = usize::try_from(size).unwrap();
    let buffer = space.allocate(len, options).unwrap().share().unwrap();
    let iova = buffer.iova().raw();
    assert_eq!((buffer.len(), iova % size), (len, 0), "{opened}");
    let mapped = IovaRange::new(iova, iova + size - 1).unwrap();
    let ranges = &space.limits().ranges;
    assert!(ranges.iter().any(|r| r.contains(mapped)), "{opened}");
    // It is mapped: nothing else can be mapped there. Then it is not: the kernel finds nothing, and something can be.
    let there = || page_at(opened, iova + size - PAGE).share();
    assert_eq!(
        there().unwrap_err().kind(),
        ErrorKind::InvalidInput,
        "{opened}"
    );
    let memory = buffer.unshare().unwrap();
    assert_not_mapped(opened, iova, size);
    there().unwrap().unshare().unwrap();
    assert!(
        memory.iter().all(|byte| *byte == 0),
        "{opened}: it is ours again"
    );
}

/// A page that is to be mapped at `iova`.
fn page_at(opened: &Opened, iova: u64) -> DmaBox {
    let options = DmaOptions::default().at(Iova::new(iova));
    let space = opened.device.dma().unwrap();
    space.allocate(4096, options).unwrap()
}

/// Lets the kernel unmap what is not mapped: a container unmaps nothing, iommufd's own call is refused.
fn assert_not_mapped(opened: &Opened, iova: u64, size: u64) {
    let found = Space::new(opened.mode).unmap(iova, size);
    let expected = match opened.mode {
        Mode::Type1v2 | Mode::CompatType1v2 => Ok(0),
        Mode::Iommufd => Err(Errno::ENOENT),
    };
    assert_eq!(found, expected, "{opened}");
}

/// The last page of the last range.
fn last_page(opened: &Opened) -> u64 {
    let ranges = &opened.device.dma().unwrap().limits().ranges;
    ranges.last().unwrap().last() & !(PAGE - 1)
}

fn limits_unmap_range(devices: &[Device]) {
    each(devices, |opened| {
        let last = last_page(opened);
        let buffer = page_at(opened, last).share().unwrap();
        assert_eq!(buffer.iova().raw(), last, "{opened}");
        // An error, if it were less than all of it.
        let page = buffer.unshare().unwrap();
        assert_not_mapped(opened, last, PAGE);
        drop(page.share().unwrap());
        assert_not_mapped(opened, last, PAGE);
    });
}

fn limits_unmap_all(devices: &[Device]) {
    each(devices, |opened| {
        let last = last_page(opened);
        let buffer = page_at(opened, last).share().unwrap();
        // Our API has no such call: who drops the context unmaps all. A buffer notices that somebody else has made it.
        assert_eq!(
            Space::new(opened.mode).unmap_all(),
            Ok(PAGE),
            "{opened}: the bytes unmapped"
        );
        assert_not_mapped(opened, last, PAGE);
        let error = buffer.unshare().unwrap_err();
        assert!(error.to_string().contains("unmap"), "{opened}: {error}");
    });
}

fn limits_overflow(devices: &[Device]) {
    each(devices, |opened| {
        // 2^64 is in the middle of it.
        let (iova, size) = (u64::MAX - 0xfff, 2 * PAGE);
        let space = opened.device.dma().unwrap();
        let options = DmaOptions::default().at(Iova::new(iova));
        let error = space.allocate(8192, options).unwrap().share().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{opened}: {error}");
        assert_eq!(error.errno(), None, "{opened}: before the kernel is asked");
        // The kernel would refuse it too. Type 1 of newer kernels says EOVERFLOW as well, which is what its selftest wants.
        let refused: &[_] = match opened.mode {
            Mode::Type1v2 => &[Errno::EINVAL, Errno::EOVERFLOW],
            Mode::CompatType1v2 | Mode::Iommufd => &[Errno::EOVERFLOW],
        };
        let raw = Space::new(opened.mode);
        let results = [raw.map(iova, size), raw.unmap(iova, size).map(drop)];
        for errno in results.map(Result::unwrap_err) {
            assert!(refused.contains(&errno), "{opened}: {errno}");
        }
        // For the addresses alone: at others, it is the memory that is missing.
        assert_eq!(raw.map(PAGE, PAGE), Err(Errno::EFAULT), "{opened}");
    });
}

/// The kernel's pool of huge pages of one size: one page, until this is dropped.
struct Pool {
    path: String,
    filled: bool,
}

impl Pool {
    fn new(size: &str) -> Self {
        let path = format!("/sys/kernel/mm/hugepages/hugepages-{size}/nr_hugepages");
        // Without an error, and without a page, if there is no memory for it.
        let filled = fs::write(&path, "1").is_ok()
            && fs::read_to_string(&path).is_ok_and(|count| count.trim() == "1");
        Self { path, filled }
    }

    /// Whether the processor has pages of the size.
    fn exists(&self) -> bool {
        fs::exists(&self.path).unwrap()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, "0");
    }
}
