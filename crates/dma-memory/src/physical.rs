//! Memory by its physical addresses, for devices without an IOMMU.
#![expect(
    unsafe_code,
    reason = "gives devices memory that no IOMMU keeps them in"
)]

use crate::Pages;
use device_file::page_size;
use io_core::{
    Error, ErrorKind, Result,
    dma::{DmaDirection, DmaLimits, DmaOps, DmaPages, DmaSpace, Iova, PageSize},
};
use pci_host::Host;
use std::{fs::File, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

/// Memory for devices without an IOMMU: each buffer is one huge page, and its address for the device is the physical one.
///
/// Every buffer has 2 MiB, or 1 GiB if [`PageSize::Huge1G`] is asked for, whatever is asked for below that: physical
/// memory is contiguous within one huge page only. Where it is, is not for choosing. A buffer that the
/// device's [address bits](io_core::dma::DmaOptions::address_bits) do not reach cannot be shared. Memory of the caller's
/// own cannot be mapped, because the kernel may move it. The direction means nothing: a device may read and write all.
///
/// # Errors
///
/// This program may not see physical addresses: that takes `CAP_SYS_ADMIN`
/// (Documentation/admin-guide/mm/pagemap.rst in the kernel's source).
///
/// # Safety
///
/// No IOMMU keeps the device from any memory of the machine, the kernel's too. As long as a device uses the space:
///
/// - It has no IOMMU that translates: addresses on its bus are physical ones.
/// - It is told no addresses but those of buffers that are shared, and no lengths beyond their ends.
/// - It has stopped using a buffer for good before the buffer is unshared or dropped, or this program ends, however that
///   happens: by a reset, or because bus mastering is off. Nothing else makes it stop, and the page goes to the next
///   who wants one.
/// - Nobody makes the kernel move huge pages: by taking memory offline, move_pages(2), migrate_pages(2), or
///   allocating areas of contiguous memory that they are in (`CONFIG_CMA`).
pub unsafe fn physical_space(host: &Host) -> Result<DmaSpace> {
    let pagemap = Pagemap::open(host)?;
    // Said now, and not when the first buffer is wanted.
    let probe = Pages::new(page_size(), PageSize::Base)?;
    // SAFETY: the first byte of pages that nothing else uses. Now there is memory behind it.
    unsafe { probe.as_ptr().write_volatile(1) };
    pagemap.physical(probe.as_ptr())?;
    DmaSpace::new(Box::new(Physical(Arc::new(pagemap))))
}

#[derive(Debug)]
struct Physical(Arc<Pagemap>);

impl DmaOps for Physical {
    fn limits(&self) -> Result<DmaLimits> {
        Ok(DmaLimits {
            // None is for choosing.
            ranges: Vec::new(),
            page_sizes: (1 << 21) | (1 << 30),
            mappings: None,
        })
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        let pages = match pages {
            PageSize::Base => PageSize::Huge2M,
            huge => huge,
        };
        let most = pages.huge_bytes().unwrap_or_else(page_size);
        if len > most {
            let message = format!(
                "cannot allocate {len:#x} bytes for a device without an IOMMU: physical memory is contiguous within one \
                 huge page only, of {most:#x} bytes"
            );
            let error = Error::new(ErrorKind::InvalidInput, message);
            return Err(match pages {
                PageSize::Huge1G => error,
                _ => error.with_hint("pages of 1 GiB are asked for by PageSize::Huge1G"),
            });
        }
        let pages = Pages::new(len, pages)?;
        let at = Iova::new(self.0.physical(pages.as_ptr())?);
        Ok(Box::new(PhysicalPages { pages, at }))
    }

    unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
        Ok(())
    }

    fn unmap(&self, _: Iova, _: usize) -> Result<()> {
        Ok(())
    }
}

/// A huge page.
#[derive(Debug)]
struct PhysicalPages {
    pages: Pages,
    at: Iova,
}

// SAFETY: the pages are such memory, and are this one's own.
unsafe impl DmaPages for PhysicalPages {
    fn as_ptr(&self) -> *mut u8 {
        self.pages.as_ptr()
    }

    fn len(&self) -> usize {
        self.pages.len()
    }

    fn fixed_iova(&self) -> Option<Iova> {
        Some(self.at)
    }
}

/// Where the memory of this program is.
#[derive(Debug)]
struct Pagemap {
    file: File,
    path: PathBuf,
}

impl Pagemap {
    fn open(host: &Host) -> Result<Self> {
        let path = host.pagemap();
        let file = File::open(&path)
            .map_err(|e| Error::from_os(format!("cannot open {}", path.display()), e))?;
        Ok(Self { file, path })
    }

    /// The physical address of the page that starts at `memory`.
    fn physical(&self, memory: *mut u8) -> Result<u64> {
        // Documentation/admin-guide/mm/pagemap.rst: an entry of 64 bits a page. Bit 63: it is in memory; bits 54 to 0: the
        // number of its frame, 0 for who may not see it.
        const PRESENT: u64 = 1 << 63;
        const FRAME: u64 = (1 << 55) - 1;

        let place = memory.addr() / page_size() * size_of::<u64>();
        let mut entry = [0; 8];
        self.file
            .read_exact_at(&mut entry, bytes(place))
            .map_err(|e| Error::from_os(format!("cannot read {}", self.path.display()), e))?;
        let entry = u64::from_ne_bytes(entry);
        let cannot = "cannot tell the physical address of memory";
        if entry & PRESENT == 0 {
            let message = format!("{cannot}: the kernel has put none behind it");
            return Err(Error::new(ErrorKind::Other, message)
                .with_hint("a control group may limit huge pages (hugetlb.*.max)"));
        }
        if entry & FRAME == 0 {
            let message = format!(
                "{cannot}: the kernel hides it from this program in {}",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::PermissionDenied, message)
                .with_hint("it takes CAP_SYS_ADMIN: run it with sudo"));
        }
        (entry & FRAME)
            .checked_mul(bytes(page_size()))
            .ok_or_else(|| Error::new(ErrorKind::Other, format!("{cannot}: {entry:#x} is none")))
    }
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).expect("no length has more than 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, ptr::without_provenance_mut};

    /// What the pagemap with these entries says of the page of this number.
    fn physical(entries: &[u64], page: usize) -> Result<u64> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let file: Vec<u8> = entries.iter().flat_map(|e| e.to_ne_bytes()).collect();
        fs::write(root.path().join("proc/self/pagemap"), file).unwrap();
        let pagemap = Pagemap::open(&Host::at(root.path())).unwrap();
        pagemap.physical(without_provenance_mut(page * page_size()))
    }

    // Documentation/admin-guide/mm/pagemap.rst: bit 63 is "present", bits 54 to 0 are the frame's number, bit 55 is
    // "soft-dirty", bit 56 "exclusively mapped", bit 61 "file or shared-anon".
    const BITS: u64 = (1 << 63) | (1 << 61) | (1 << 56) | (1 << 55);

    #[test]
    fn an_address_is_that_of_the_frame_whatever_else_the_entry_says() {
        assert_eq!(physical(&[0, BITS | 0x4_0200], 1).unwrap(), 0x4020_0000);
        assert_eq!(physical(&[(1 << 63) | 1], 0).unwrap(), 0x1000);
        let most = (1 << 63) | ((1 << 52) - 1);
        assert_eq!(physical(&[most], 0).unwrap(), 0xffff_ffff_ffff_f000);
    }

    #[test]
    fn an_address_that_is_hidden_or_not_there_is_an_error() {
        let hidden = physical(&[BITS], 0).unwrap_err();
        assert_eq!(hidden.kind(), ErrorKind::PermissionDenied);
        assert!(hidden.hint().unwrap().contains("CAP_SYS_ADMIN"));
        let absent = physical(&[0x4_0200], 0).unwrap_err();
        assert!(absent.to_string().ends_with("has put none behind it"));
        let short = physical(&[BITS], 1).unwrap_err();
        assert!(short.to_string().starts_with("cannot read "), "{short}");
        // A frame that no processor has.
        assert!(physical(&[u64::MAX], 0).is_err());
    }

    #[test]
    fn what_is_not_in_one_huge_page_is_refused() {
        let pagemap = Pagemap {
            file: tempfile::tempfile().unwrap(),
            path: PathBuf::new(),
        };
        let space = Physical(Arc::new(pagemap));
        let error = |len, pages| space.pages(len, pages).unwrap_err();
        let small = error((2 << 20) + 1, PageSize::Base);
        assert!(small.to_string().ends_with("of 0x200000 bytes"), "{small}");
        assert!(small.hint().unwrap().contains("Huge1G"));
        let large = error((1 << 30) + 1, PageSize::Huge1G);
        assert_eq!(large.kind(), ErrorKind::InvalidInput);
        assert!(large.hint().is_none());
    }
}
