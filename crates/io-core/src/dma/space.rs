//! What the devices of one IOMMU context see of memory.
#![expect(unsafe_code, reason = "lets devices write to memory")]

use super::{
    DmaBox, DmaLimits, DmaMapping, DmaOps, DmaOptions, DmaPages, DmaTap, Iova, IovaAllocator,
    IovaRange, NoIova, PageSize, allocator::last_address, buffer::Mapped,
};
use crate::{Error, ErrorKind, Result};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// What the devices of one IOMMU context see of memory. Cloning it gives another handle to the same one.
#[derive(Debug, Clone)]
pub struct DmaSpace {
    inner: Arc<Inner>,
    tap: Option<Arc<dyn DmaTap>>,
}

#[derive(Debug)]
struct Inner {
    ops: Box<dyn DmaOps>,
    limits: DmaLimits,
    granule: u64,
    free: Mutex<IovaAllocator>,
    /// The address of a granule that was unmapped, and that `free` does not know of yet; 0 if there is none. What is mapped
    /// for one command after the other goes there, without a search.
    spare: AtomicU64,
}

impl DmaSpace {
    /// The space that `ops` reaches. There must be one only for each IOMMU context.
    ///
    /// # Errors
    ///
    /// The kernel does not say what the IOMMU can do.
    pub fn new(ops: Box<dyn DmaOps>) -> Result<Self> {
        let limits = ops.limits()?;
        let granule = limits.granule();
        let free = Mutex::new(IovaAllocator::new(&limits.ranges, granule));
        let spare = AtomicU64::new(0);
        let inner = Arc::new(Inner {
            ops,
            limits,
            granule,
            free,
            spare,
        });
        Ok(Self { inner, tap: None })
    }

    /// Another handle to the same one, with somebody in between.
    pub(crate) fn tapped(&self, tap: Arc<dyn DmaTap>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            tap: Some(tap),
        }
    }

    /// Who is in between.
    pub(super) fn tap(&self) -> Option<&dyn DmaTap> {
        self.tap.as_deref()
    }

    /// What the IOMMU could do when the space was made.
    #[must_use]
    pub fn limits(&self) -> &DmaLimits {
        &self.inner.limits
    }

    /// Asks for the addresses again: another device, with an IOMMU of its own, has joined.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn refresh(&self) -> Result<()> {
        let limits = self.inner.ops.limits()?;
        self.inner.free().set_ranges(&limits.ranges);
        Ok(())
    }

    /// Memory of `len` bytes, rounded up to whole pages, all zeros, which [`share`](DmaBox::share) maps.
    ///
    /// # Errors
    ///
    /// The kernel has no such memory.
    pub fn allocate(&self, len: usize, options: DmaOptions) -> Result<DmaBox> {
        let mut make = || self.pages(len, options);
        let pages = match &self.tap {
            None => make(),
            Some(tap) => tap.pages(len, &mut make),
        };
        Ok(DmaBox::new(self.clone(), options, pages?))
    }

    fn pages(&self, len: usize, options: DmaOptions) -> Result<Box<dyn DmaPages>> {
        let ops = &self.inner.ops;
        match ops.pages(len, options.pages) {
            Err(error) if options.fallback && options.pages != PageSize::Base => {
                log::info!("{error}: small pages instead");
                ops.pages(len, PageSize::Base)
            }
            pages => pages,
        }
    }

    /// Lets devices reach the `len` bytes at `memory`, which belong to the caller.
    ///
    /// # Errors
    ///
    /// The memory does not start and end at multiples of the granule, there are no such addresses, or the
    /// kernel refuses to map it.
    ///
    /// # Safety
    ///
    /// Until the mapping is gone, by [`unmap`](DmaMapping::unmap) without an error or by being dropped without one in the
    /// log, the memory stays allocated. If the direction lets devices write, there is no reference to it; if it
    /// does not, there is no exclusive one.
    #[inline]
    pub unsafe fn map_memory(
        &self,
        memory: *mut u8,
        len: usize,
        options: DmaOptions,
    ) -> Result<DmaMapping> {
        // SAFETY: the caller has shown it.
        Ok(DmaMapping(unsafe {
            self.map(memory, len, None, options, None)
        }?))
    }

    /// Maps memory: at `fixed`, if that is where devices find it. `content` gives what is in it, if it is known.
    ///
    /// # Safety
    ///
    /// As for `DmaOps::map`, for as long as what is returned lives.
    #[inline]
    pub(super) unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        fixed: Option<Iova>,
        options: DmaOptions,
        content: Option<&dyn Fn() -> Vec<u8>>,
    ) -> Result<Mapped> {
        let iova = match &self.tap {
            // SAFETY: the caller has shown it.
            None => unsafe { self.map_somewhere(memory, len, fixed, options) },
            // SAFETY: as above.
            Some(tap) => unsafe { self.map_tapped(&**tap, memory, len, fixed, options, content) },
        }?;
        Ok(Mapped::new(self.clone(), memory, len, iova))
    }

    /// Maps memory, with somebody in between.
    ///
    /// # Safety
    ///
    /// As for `map`.
    // Apart, so that what is mapped by nobody else's leave stays in registers.
    #[cold]
    unsafe fn map_tapped(
        &self,
        tap: &dyn DmaTap,
        memory: *mut u8,
        len: usize,
        fixed: Option<Iova>,
        options: DmaOptions,
        content: Option<&dyn Fn() -> Vec<u8>>,
    ) -> Result<Iova> {
        // SAFETY: the caller has shown it.
        let mut map = || unsafe { self.map_somewhere(memory, len, fixed, options) };
        tap.map(len, options.direction, content, &mut map)
    }

    /// Maps memory, and says where.
    ///
    /// # Safety
    ///
    /// As for `DmaOps::map`, until it is unmapped.
    #[inline]
    unsafe fn map_somewhere(
        &self,
        memory: *mut u8,
        len: usize,
        fixed: Option<Iova>,
        options: DmaOptions,
    ) -> Result<Iova> {
        let granule = self.inner.granule;
        let bytes = bytes(len);
        let start = u64::try_from(memory.addr()).unwrap_or(u64::MAX);
        // A granule is a power of two.
        if len == 0 || (bytes | start) & (granule - 1) != 0 {
            return Err(not_whole_pages(memory, len, granule));
        }
        let iova = match fixed {
            Some(at) => reached(at, bytes, options)?,
            None => self.choose(bytes, options)?,
        };
        // SAFETY: the caller has shown it.
        if let Err(error) = unsafe { self.inner.ops.map(memory, len, iova, options.direction) } {
            self.inner.give_back(iova, bytes);
            return Err(error);
        }
        Ok(iova)
    }

    /// Unmaps what was mapped at `iova`. If that fails, the addresses are not given out again.
    #[inline]
    pub(super) fn unmap(&self, iova: Iova, len: usize) -> Result<()> {
        match &self.tap {
            None => self.inner.unmap(iova, len),
            Some(tap) => self.unmap_tapped(&**tap, iova, len),
        }
    }

    #[cold]
    fn unmap_tapped(&self, tap: &dyn DmaTap, iova: Iova, len: usize) -> Result<()> {
        tap.unmap(iova, &mut || self.inner.unmap(iova, len))
    }

    /// Takes addresses for so many bytes.
    #[inline]
    fn choose(&self, bytes: u64, options: DmaOptions) -> Result<Iova> {
        if bytes == self.inner.granule && options.iova.is_none() {
            match self.inner.spare.swap(0, Ordering::Relaxed) {
                0 => {}
                at if beyond(Iova::new(at), bytes, options.bits) => {
                    self.inner.give_back(Iova::new(at), bytes);
                }
                at => return Ok(Iova::new(at)),
            }
        }
        self.search(bytes, options)
    }

    /// Takes addresses for so many bytes from those that are free.
    // Apart, so that the way without a search is short.
    #[inline(never)]
    fn search(&self, bytes: u64, options: DmaOptions) -> Result<Iova> {
        let align = options.pages.huge_bytes().and_then(|huge| {
            let huge = u64::try_from(huge).ok()?;
            huge.min(bytes).checked_next_power_of_two()
        });
        let align = align.unwrap_or(self.inner.granule);
        let bits = options.bits;
        let mut free = self.inner.free();
        let taken = match options.iova {
            Some(at) if beyond(at, bytes, bits) => Err(NoIova::Beyond {
                at,
                len: bytes,
                bits,
            }),
            Some(at) => free.reserve(at, bytes).map(|()| at),
            None => free.allocate(bytes, align, bits),
        };
        taken.map_err(|e| {
            let message = format!("cannot map {bytes:#x} bytes for a device: {e}");
            let error = Error::new(ErrorKind::InvalidInput, message);
            match free.ranges() {
                [] => error.with_hint(
                    "there is no IOMMU, and so a device reaches only memory that its DmaSpace has allocated",
                ),
                ranges => error.with_hint(format!("the IOMMU has {}", list(ranges))),
            }
        })
    }
}

impl Inner {
    /// The addresses that are free, all of them.
    fn free(&self) -> MutexGuard<'_, IovaAllocator> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = self.spare.swap(0, Ordering::Relaxed);
        if spare != 0 {
            free.free(Iova::new(spare), self.granule);
        }
        free
    }

    /// Lets addresses be given out again.
    // Apart, so that the way without it is short.
    #[inline(never)]
    fn give_back(&self, iova: Iova, bytes: u64) {
        self.free().free(iova, bytes);
    }

    #[inline]
    fn unmap(&self, iova: Iova, len: usize) -> Result<()> {
        self.ops.unmap(iova, len)?;
        if self.limits.ranges.is_empty() {
            return Ok(());
        }
        let (at, len) = (iova.raw(), bytes(len));
        let free = if at != 0 && len == self.granule {
            self.spare.swap(at, Ordering::Relaxed)
        } else {
            at
        };
        if free != 0 || at == 0 {
            self.give_back(Iova::new(free), len);
        }
        Ok(())
    }
}

#[cold]
fn not_whole_pages(memory: *mut u8, len: usize, granule: u64) -> Error {
    let message = format!(
        "cannot map {len:#x} bytes at {memory:p}: an IOMMU maps whole pages of {granule:#x} bytes"
    );
    Error::new(ErrorKind::InvalidInput, message)
}

#[inline]
fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The address `at`, if a device finds so many bytes there as `options` wants it.
fn reached(at: Iova, bytes: u64, options: DmaOptions) -> Result<Iova> {
    let cannot = |why: &str| {
        let message =
            format!("cannot give a device the {bytes:#x} bytes at physical address {at}: {why}");
        Error::new(ErrorKind::InvalidInput, message)
    };
    if options.iova.is_some_and(|wanted| wanted != at) {
        return Err(cannot("without an IOMMU their address is not for choosing"));
    }
    if beyond(at, bytes, options.bits) {
        return Err(cannot(&format!("it has {} address bits", options.bits))
            .with_hint("other huge pages may be in its reach: allocate more of them, and keep those that are"));
    }
    Ok(at)
}

/// Whether a device with `bits` address bits does not reach all of so many bytes, one at least.
#[inline]
fn beyond(at: Iova, bytes: u64, bits: u32) -> bool {
    let last = at.raw().checked_add(bytes - 1);
    last.is_none_or(|last| last > last_address(bits))
}

fn list(ranges: &[IovaRange]) -> String {
    let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    ranges.join(", ")
}
