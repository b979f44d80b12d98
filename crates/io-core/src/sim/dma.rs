//! A simulated IOMMU: memory as a simulated device sees it.
#![expect(unsafe_code, reason = "reaches memory that is mapped for it")]

use crate::{
    Error, ErrorKind, Result,
    dma::{DmaDirection, DmaLimits, DmaOps, DmaPages, DmaSpace, Iova, IovaRange, PageSize},
};
use std::{
    alloc::{self, Layout},
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
};

const PAGE: usize = 4096;

/// A simulated IOMMU, through which a simulated device reaches the memory that is mapped for it and no other.
///
/// Cloning it gives another handle to the same one: a driver has its [`space`](Self::space), and the model of
/// the device [reads](Self::read) and [writes](Self::write). Both happen on the thread on which the memory was
/// allocated or mapped, as Rust knows no devices that write to memory in the background: the model works when the
/// driver accesses a register. On another thread, an access of the model is an error, and one of the driver panics.
///
/// ```
/// use io_core::{Io, dma::{DmaDirection, DmaOptions}, sim::SimulatedDma};
///
/// let iommu = SimulatedDma::new();
/// let space = iommu.space();
/// let buffer = space.allocate(4096, DmaOptions::default())?.share()?;
/// iommu.write(buffer.iova(), b"from the device")?;
/// assert_eq!(buffer.view().try_read8(0)?, b'f');
///
/// let iova = buffer.iova();
/// drop(buffer);
/// assert!(iommu.write(iova, b"too late").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SimulatedDma {
    mapped: Arc<Mutex<BTreeMap<u64, Mapping>>>,
}

#[derive(Debug, Clone, Copy)]
struct Mapping {
    memory: *mut u8,
    len: usize,
    direction: DmaDirection,
    home: ThreadId,
}

// SAFETY: it is an address; what is done to the memory is a matter of `SimulatedDma`.
unsafe impl Send for Mapping {}

impl SimulatedDma {
    /// An IOMMU for which nothing is mapped: with the addresses that Intel's has in QEMU, a hole for
    /// interrupts among them, and pages of 4 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the device sees of memory.
    #[must_use]
    pub fn space(&self) -> DmaSpace {
        DmaSpace::new(Box::new(self.clone())).expect("it knows its limits")
    }

    /// How many mappings there are.
    #[must_use]
    pub fn mappings(&self) -> usize {
        self.lock().len()
    }

    /// Reads what is at `iova` into `bytes`, as the device.
    ///
    /// # Errors
    ///
    /// Not all of it is mapped by one mapping for the device to read.
    pub fn read(&self, iova: Iova, bytes: &mut [u8]) -> Result<()> {
        let mapped = self.lock();
        let from = translate(&mapped, iova, bytes.len(), DmaDirection::FromDevice)?;
        // SAFETY: who mapped the memory has promised that it stays until it is unmapped, which takes the lock; the
        // mapping has this many bytes; and they are accessed on this thread alone.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Writes `bytes` to `iova`, as the device.
    ///
    /// # Errors
    ///
    /// Not all of it is mapped by one mapping for the device to write.
    pub fn write(&self, iova: Iova, bytes: &[u8]) -> Result<()> {
        let mapped = self.lock();
        let to = translate(&mapped, iova, bytes.len(), DmaDirection::ToDevice)?;
        // SAFETY: as for `read`, and nothing relies on what is in the memory.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Mapping>> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the `len` bytes at `iova` are, unless the mapping is of the direction that does not do.
fn translate(
    mapped: &BTreeMap<u64, Mapping>,
    iova: Iova,
    len: usize,
    not: DmaDirection,
) -> Result<*mut u8> {
    let fault = |why: &str| {
        let message = format!("the IOMMU stops an access to {len:#x} bytes at {iova}: {why}");
        Error::new(ErrorKind::InvalidInput, message)
    };
    let (start, mapping) = mapped
        .range(..=iova.raw())
        .next_back()
        .ok_or_else(|| fault("nothing is mapped there"))?;
    let offset = usize::try_from(iova.raw() - start).unwrap_or(usize::MAX);
    if offset.checked_add(len).is_none_or(|end| end > mapping.len) {
        return Err(fault("not all of it is mapped"));
    }
    if mapping.direction == not {
        return Err(fault("it is mapped for the other direction"));
    }
    if mapping.home != thread::current().id() {
        return Err(fault(
            "a simulated device works on the thread of its driver",
        ));
    }
    Ok(mapping.memory.wrapping_add(offset))
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl DmaOps for SimulatedDma {
    fn limits(&self) -> Result<DmaLimits> {
        let ranges = [(0, 0xfedf_ffff), (0xfef0_0000, 0x7f_ffff_ffff)];
        let ranges = ranges
            .into_iter()
            .filter_map(|(first, last)| IovaRange::new(first, last));
        Ok(DmaLimits {
            ranges: ranges.collect(),
            page_sizes: 0x1000,
            mappings: None,
        })
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        if pages != PageSize::Base {
            let message = "the simulated machine has no huge pages";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Box::new(Pages::new(len, Some(thread::current().id()))?))
    }

    unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        iova: Iova,
        direction: DmaDirection,
    ) -> Result<()> {
        let mapping = Mapping {
            memory,
            len,
            direction,
            home: thread::current().id(),
        };
        let mut mapped = self.lock();
        let last = iova.raw().saturating_add(bytes(len) - 1);
        let below = mapped.range(..=last).next_back();
        if below.is_some_and(|(start, other)| start + bytes(other.len) > iova.raw()) {
            let message = format!("{len:#x} bytes at {iova} are mapped already");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        mapped.insert(iova.raw(), mapping);
        Ok(())
    }

    fn unmap(&self, iova: Iova, _: usize) -> Result<()> {
        self.lock().remove(&iova.raw());
        Ok(())
    }
}

/// Memory that starts and ends at a page.
#[derive(Debug)]
pub(crate) struct Pages {
    start: *mut u8,
    layout: Layout,
    /// The only thread that may use it.
    home: Option<ThreadId>,
}

// SAFETY: it owns the memory.
unsafe impl Send for Pages {}

impl Pages {
    pub(crate) fn new(len: usize, home: Option<ThreadId>) -> Result<Self> {
        let failed = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("cannot allocate {len:#x} bytes"),
            )
        };
        let layout = Layout::from_size_align(len, PAGE).map_err(|_| failed())?;
        let layout = layout.align_to(PAGE).map_err(|_| failed())?.pad_to_align();
        if len == 0 {
            return Err(failed());
        }
        // SAFETY: the layout has a size.
        let start = unsafe { alloc::alloc_zeroed(layout) };
        if start.is_null() {
            return Err(failed());
        }
        Ok(Self {
            start,
            layout,
            home,
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout.
        unsafe { alloc::dealloc(self.start, self.layout) };
    }
}

// SAFETY: the memory is allocated, and is freed with this.
unsafe impl DmaPages for Pages {
    fn as_ptr(&self) -> *mut u8 {
        assert!(
            self.home.is_none_or(|home| home == thread::current().id()),
            "simulated DMA memory is used on the thread that allocated it"
        );
        self.start
    }

    fn len(&self) -> usize {
        self.layout.size()
    }
}
