//! Memory that is mapped for devices.
#![expect(unsafe_code, reason = "makes views and slices of memory that it owns")]

use super::{DmaOptions, DmaPages, DmaSpace, DmaTap, Iova};
use crate::{Region, Result, SysMem};
use std::{
    fmt,
    mem::{self, ManuallyDrop},
    ops::{Deref, DerefMut},
    slice,
};

/// What is mapped until this is dropped.
pub(super) struct Mapped {
    /// Where, until it is unmapped.
    space: Option<DmaSpace>,
    memory: *mut u8,
    len: usize,
    iova: Iova,
}

// SAFETY: it is an address; what may be done to the memory is a matter of those who have one.
unsafe impl Send for Mapped {}

impl Mapped {
    #[inline]
    pub(super) fn new(space: DmaSpace, memory: *mut u8, len: usize, iova: Iova) -> Self {
        Self {
            space: Some(space),
            memory,
            len,
            iova,
        }
    }

    /// Who is in between, while it is mapped.
    fn tap(&self) -> Option<&dyn DmaTap> {
        self.space.as_ref()?.tap()
    }

    #[inline]
    fn unmap(&mut self) -> Result<()> {
        match self.space.take() {
            None => Ok(()),
            Some(space) => space.unmap(self.iova, self.len),
        }
    }
}

impl Drop for Mapped {
    #[inline]
    fn drop(&mut self) {
        if let Err(error) = self.unmap() {
            log::error!("{error}: devices may reach the memory still");
        }
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} bytes at {}", self.len, self.iova)
    }
}

/// Memory for a device that no device can reach yet: it belongs to the processor alone, as a `[u8]`.
#[derive(Debug)]
pub struct DmaBox {
    space: DmaSpace,
    options: DmaOptions,
    pages: Box<dyn DmaPages>,
}

impl DmaBox {
    pub(super) fn new(space: DmaSpace, options: DmaOptions, pages: Box<dyn DmaPages>) -> Self {
        Self {
            space,
            options,
            pages,
        }
    }

    /// Maps it for the device, from which on there are no references to it.
    ///
    /// # Errors
    ///
    /// There are no such addresses, or the kernel refuses to map it: too much memory is locked.
    pub fn share(self) -> Result<DmaBuffer> {
        let (memory, len) = (self.pages.as_ptr(), self.pages.len());
        let fixed = self.pages.fixed_iova();
        let content = || self.to_vec();
        // SAFETY: the pages are used by nothing else, and live as long as the mapping: a buffer drops it
        // first, and there is no reference to them while there is one.
        let mapped = unsafe {
            self.space
                .map(memory, len, fixed, self.options, Some(&content))?
        };
        let kept = Some(self);
        Ok(DmaBuffer { mapped, kept })
    }
}

impl Deref for DmaBox {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the pages are allocated and used by nothing else.
        unsafe { slice::from_raw_parts(self.pages.as_ptr(), self.pages.len()) }
    }
}

impl DerefMut for DmaBox {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.pages.as_ptr(), self.pages.len()) }
    }
}

/// Memory that a device may read and write at any time, until this is dropped.
///
/// It can go to another thread; it cannot be shared between threads, because its [views](Self::view)
/// could not be kept from racing.
#[derive(Debug)]
pub struct DmaBuffer {
    mapped: Mapped,
    /// What is mapped, until it is unmapped.
    kept: Option<DmaBox>,
}

impl DmaBuffer {
    /// The address of its first byte, for the device.
    #[must_use]
    pub fn iova(&self) -> Iova {
        self.mapped.iova
    }

    /// Its length in bytes: whole pages.
    #[expect(clippy::len_without_is_empty, reason = "it always has some")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.mapped.len
    }

    /// The processor's view of it.
    #[must_use]
    pub fn view(&self) -> SysMem<'_, Region> {
        let pages = self.kept.as_ref().map(|kept| kept.pages.as_ptr());
        let memory = pages.expect("a buffer keeps its memory");
        let region = Region::try_from_raw_parts(memory, self.mapped.len)
            .expect("pages are aligned, and in the address space");
        // SAFETY: the pages are allocated while `self` is borrowed; there are no references to them, and
        // neither `self` nor the view can be shared with another thread.
        let view = unsafe { SysMem::from_raw(region) };
        if let Some(tap) = self.mapped.tap() {
            tap.look(self.mapped.iova, view);
        }
        view
    }

    /// Unmaps it, so that the device cannot reach it any more, and gives it back to the processor.
    ///
    /// What the device does at that address from now on, the IOMMU stops; without one, nothing does.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or unmaps less than was mapped. The memory is not freed then, because the
    /// device may reach it still.
    pub fn unshare(mut self) -> Result<DmaBox> {
        if self.mapped.tap().is_some() {
            // Whoever is in between sees what is given back.
            _ = self.view();
        }
        let kept = self.unmap()?;
        Ok(kept.expect("a buffer keeps its memory"))
    }

    /// Unmaps, and gives back what it keeps. If that fails it is never freed, because a device may reach it still.
    fn unmap(&mut self) -> Result<Option<DmaBox>> {
        // Nor is it freed if a backend panics.
        let kept = ManuallyDrop::new(self.kept.take());
        let unmapped = self.mapped.unmap();
        let kept = ManuallyDrop::into_inner(kept);
        match unmapped {
            Ok(()) => Ok(kept),
            Err(error) => {
                // The pages alone: what is left of the box would keep the device open.
                mem::forget(kept.map(|kept| kept.pages));
                Err(error)
            }
        }
    }
}

impl Drop for DmaBuffer {
    fn drop(&mut self) {
        if let Err(error) = self.unmap() {
            log::error!("{error}: the memory stays allocated");
        }
    }
}

/// Memory of somebody else that devices can reach, until this is dropped.
///
/// If the kernel fails to unmap it then, devices can reach it still, which the log tells; [`unmap`](Self::unmap) returns
/// it.
#[derive(Debug)]
pub struct DmaMapping(pub(super) Mapped);

impl DmaMapping {
    /// The address of its first byte, for the device.
    #[must_use]
    pub fn iova(&self) -> Iova {
        self.0.iova
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "it always has some")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// The address of its first byte, for the processor.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.memory
    }

    /// Unmaps it. Dropping it does the same, and can only log what goes wrong.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or unmaps less than was mapped.
    #[inline]
    pub fn unmap(mut self) -> Result<()> {
        let unmapped = self.0.unmap();
        // Nothing is left to drop.
        mem::forget(self);
        unmapped
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DmaDirection, DmaLimits, DmaOps, PageSize};
    use super::*;
    use crate::{Error, ErrorKind, sim::SimulatedDma};
    use std::{
        panic::{self, AssertUnwindSafe},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    /// A kernel that does not unmap.
    #[derive(Debug)]
    struct Stuck {
        simulated: SimulatedDma,
        _open: Arc<()>,
    }

    impl DmaOps for Stuck {
        fn limits(&self) -> Result<DmaLimits> {
            self.simulated.limits()
        }

        fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
            self.simulated.pages(len, pages)
        }

        unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
            Ok(())
        }

        fn unmap(&self, _: Iova, _: usize) -> Result<()> {
            Err(Error::new(ErrorKind::Other, "stuck"))
        }
    }

    /// Memory that devices find at 0x7000_0000, without an IOMMU.
    #[derive(Debug)]
    struct Fixed(SimulatedDma);

    #[derive(Debug)]
    struct FixedPages(Box<dyn DmaPages>);

    // SAFETY: the pages are such memory.
    unsafe impl DmaPages for FixedPages {
        fn as_ptr(&self) -> *mut u8 {
            self.0.as_ptr()
        }

        fn len(&self) -> usize {
            self.0.len()
        }

        fn fixed_iova(&self) -> Option<Iova> {
            Some(Iova::new(0x7000_0000))
        }
    }

    impl DmaOps for Fixed {
        fn limits(&self) -> Result<DmaLimits> {
            let ranges = Vec::new();
            Ok(DmaLimits {
                ranges,
                ..self.0.limits()?
            })
        }

        fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
            Ok(Box::new(FixedPages(self.0.pages(len, pages)?)))
        }

        unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
            Ok(())
        }

        fn unmap(&self, _: Iova, _: usize) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn memory_whose_address_is_not_for_choosing_is_where_it_is_or_refused() {
        let space = DmaSpace::new(Box::new(Fixed(SimulatedDma::new()))).expect("limits");
        let share = |options| space.allocate(4096, options).and_then(DmaBox::share);
        let error = |options| share(options).expect_err("refused").to_string();
        let options = DmaOptions::default;
        let at = Iova::new(0x7000_0000);
        for options in [options(), options().address_bits(31), options().at(at)] {
            assert_eq!(share(options).expect("shared").iova(), at);
        }
        let cannot = "cannot give a device the 0x1000 bytes at physical address 0x70000000: ";
        let reached = error(options().address_bits(30));
        assert_eq!(reached, format!("{cannot}it has 30 address bits"));
        let chosen = error(options().at(Iova::new(0x1000)));
        assert!(chosen.ends_with("not for choosing"), "{chosen}");

        let memory = space.allocate(4096, options()).expect("memory");
        let start = memory.pages.as_ptr();
        // SAFETY: it is refused.
        let own = unsafe { space.map_memory(start, 4096, options()) };
        let hint = own.expect_err("refused").hint().map(str::to_owned);
        assert!(hint.is_some_and(|hint| hint.contains("no IOMMU")));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the memory is leaked, as it should be")]
    fn memory_that_cannot_be_unmapped_does_not_keep_the_device_open() {
        let open = Arc::new(());
        let ops = Stuck {
            simulated: SimulatedDma::new(),
            _open: Arc::clone(&open),
        };
        let space = DmaSpace::new(Box::new(ops)).expect("limits");
        let memory = space.allocate(4096, DmaOptions::default());
        let buffer = memory.and_then(DmaBox::share).expect("mapped");
        drop(space);
        assert_eq!(Arc::strong_count(&open), 2, "the buffer keeps it");
        assert!(buffer.unshare().is_err());
        assert_eq!(Arc::strong_count(&open), 1);
    }

    /// A kernel that panics instead of unmapping.
    #[derive(Debug)]
    struct Panics(SimulatedDma, Arc<AtomicBool>);

    #[derive(Debug)]
    struct Told(Box<dyn DmaPages>, Arc<AtomicBool>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    // SAFETY: the pages are such memory.
    unsafe impl DmaPages for Told {
        fn as_ptr(&self) -> *mut u8 {
            self.0.as_ptr()
        }

        fn len(&self) -> usize {
            self.0.len()
        }
    }

    impl DmaOps for Panics {
        fn limits(&self) -> Result<DmaLimits> {
            self.0.limits()
        }

        fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
            let freed = Arc::clone(&self.1);
            Ok(Box::new(Told(self.0.pages(len, pages)?, freed)))
        }

        unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
            Ok(())
        }

        fn unmap(&self, _: Iova, _: usize) -> Result<()> {
            panic!("stuck")
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "the memory is leaked, as it should be")]
    fn memory_whose_unmapping_panics_is_not_freed() {
        let freed = Arc::new(AtomicBool::new(false));
        let ops = Panics(SimulatedDma::new(), Arc::clone(&freed));
        let space = DmaSpace::new(Box::new(ops)).expect("limits");
        let memory = space.allocate(4096, DmaOptions::default());
        let buffer = memory.and_then(DmaBox::share).expect("mapped");
        let unmapped = panic::catch_unwind(AssertUnwindSafe(|| buffer.unshare()));
        assert!(unmapped.is_err());
        assert!(!freed.load(Ordering::Relaxed));
    }
}
