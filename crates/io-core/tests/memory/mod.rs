//! Memory that a test reaches through views, and sees without them.

use io_core::{Mmio, MmioRaw, Region, SysMem};
use std::alloc::{self, Layout};

/// What is in memory that nothing was written to.
pub const CANARY: u8 = 0xc5;
/// How much memory there is before a region, and after it.
pub const MARGIN: usize = 16;

/// Memory for one region, with canaries before and after it.
pub struct Memory {
    start: *mut u8,
    pub size: usize,
}

impl Memory {
    pub fn new(size: usize) -> Self {
        // SAFETY: the layout has a size.
        let start = unsafe { alloc::alloc(Self::layout(size)) };
        assert!(!start.is_null());
        // SAFETY: just allocated, of this length.
        unsafe { start.write_bytes(CANARY, size + 2 * MARGIN) };
        Self { start, size }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size + 2 * MARGIN, 16).unwrap()
    }

    pub fn base(&self) -> *mut u8 {
        self.start.wrapping_add(MARGIN)
    }

    pub fn mmio<const SIZE: usize>(&self) -> Mmio<'_, Region<SIZE>> {
        let raw = MmioRaw::new_region(self.base(), self.size).unwrap();
        // SAFETY: the memory lives as long as `self`, and there are no references to it.
        unsafe { Mmio::from_raw(raw) }
    }

    pub fn sys_mem<const SIZE: usize>(&self) -> SysMem<'_, Region<SIZE>> {
        let region = Region::try_from_raw_parts(self.base(), self.size).unwrap();
        // SAFETY: the memory lives as long as `self`, and there are no references to it.
        unsafe { SysMem::from_raw(region) }
    }

    /// The alias: every byte, canaries included, read without any view.
    pub fn all(&self) -> Vec<u8> {
        let len = self.size + 2 * MARGIN;
        let mut bytes = vec![0; len];
        // SAFETY: the allocation has this length, and all of it was written.
        unsafe { self.start.copy_to_nonoverlapping(bytes.as_mut_ptr(), len) };
        bytes
    }

    /// Asserts that the memory is `expected`, and that the canaries live.
    pub fn assert_is(&self, expected: &[u8]) {
        let all = self.all();
        assert_eq!(all[MARGIN..MARGIN + self.size], *expected);
        assert_eq!(all[..MARGIN], [CANARY; MARGIN], "before the region");
        assert_eq!(
            all[MARGIN + self.size..],
            [CANARY; MARGIN],
            "after the region"
        );
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout.
        unsafe { alloc::dealloc(self.start, Self::layout(self.size)) };
    }
}
