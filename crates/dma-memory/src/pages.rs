//! Memory of this program that a device can be given.
#![expect(unsafe_code, reason = "promises that the memory is there")]

use device_file::page_size;
use io_core::{
    Error, ErrorKind, Result,
    dma::{DmaPages, PageSize},
};
use memmap2::{Advice, MmapOptions, MmapRaw};

/// Whole pages, all zeros, until this is dropped.
#[derive(Debug)]
pub struct Pages {
    map: MmapRaw,
}

impl Pages {
    /// At least `len` bytes. Huge pages are taken from the kernel's pool at once, and are never swapped out.
    ///
    /// # Errors
    ///
    /// The kernel has no memory, or no huge pages of this size, left.
    pub fn new(len: usize, pages: PageSize) -> Result<Self> {
        let failed = |e| {
            let error = Error::from_os(format!("cannot allocate {len:#x} bytes for a device"), e);
            match (pages, error.errno()) {
                (PageSize::Base, _) => error,
                // The processor or the kernel does not have it.
                (_, Some(nix::libc::EINVAL)) => {
                    error.with_hint("this machine has no pages of this size")
                }
                (PageSize::Huge2M, _) => error.with_hint(huge("2048kB")),
                (PageSize::Huge1G, _) => error.with_hint(huge("1048576kB")),
            }
        };
        let unit = pages.huge_bytes().unwrap_or_else(page_size);
        let rounded = len.checked_next_multiple_of(unit).filter(|len| *len > 0);
        let Some(rounded) = rounded else {
            let message = format!("cannot allocate {len:#x} bytes for a device");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        };
        let mut options = MmapOptions::new();
        options.len(rounded);
        match pages {
            PageSize::Base => &mut options,
            PageSize::Huge2M => options.huge(Some(21)).populate(),
            PageSize::Huge1G => options.huge(Some(30)).populate(),
        };
        let map = MmapRaw::from(options.map_anon().map_err(failed)?);
        // A child process would make the pages its own when it writes, and leave the device with others.
        map.advise(Advice::DontFork).map_err(failed)?;
        Ok(Self { map })
    }
}

/// How the kernel gets huge pages of this size.
fn huge(size: &str) -> String {
    format!(
        "the kernel has no huge pages of this size left: echo 16 | sudo tee \
         /sys/kernel/mm/hugepages/hugepages-{size}/nr_hugepages"
    )
}

// SAFETY: the mapping is anonymous and this one's own, and lasts as long as it does.
unsafe impl DmaPages for Pages {
    fn as_ptr(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    fn len(&self) -> usize {
        self.map.len()
    }
}
