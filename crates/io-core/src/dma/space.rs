//! What the devices of one IOMMU context see of memory.
#![expect(unsafe_code, reason = "lets devices write to memory")]

use super::{
    DmaBox, DmaMapping, Iova, IovaAllocator, IovaRange, NoIova, allocator::last_address,
    buffer::Mapped,
};
use crate::{Error, ErrorKind, Result};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What an IOMMU can do, as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends make it")]
pub struct DmaLimits {
    /// The addresses that exist, in ascending order, with holes between them. None, if none is for choosing
    /// (see [`DmaPages::fixed_iova`]).
    pub ranges: Vec<IovaRange>,
    /// The page sizes: bit `n` stands for pages of 2^n bytes. The smallest is the granule of every mapping.
    pub page_sizes: u64,
    /// How many mappings there can be more, if that is limited.
    pub mappings: Option<u32>,
}

impl DmaLimits {
    /// The smallest page in bytes.
    #[must_use]
    pub const fn granule(&self) -> u64 {
        match 1_u64.checked_shl(self.page_sizes.trailing_zeros()) {
            Some(granule) => granule,
            None => 1,
        }
    }
}

/// Who may write to memory that is mapped for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum DmaDirection {
    /// The device reads it.
    ToDevice,
    /// The device writes it. Most IOMMUs let it read too.
    FromDevice,
    /// The device reads and writes it.
    #[default]
    Both,
}

/// The size of the pages that a buffer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum PageSize {
    /// The processor's smallest: 4 KiB on x86-64.
    #[default]
    Base,
    /// 2 MiB, from the kernel's pool of huge pages.
    Huge2M,
    /// 1 GiB, from the kernel's pool of huge pages.
    Huge1G,
}

impl PageSize {
    /// The number of bytes that a length is rounded up to, for huge pages.
    #[must_use]
    pub const fn huge_bytes(self) -> Option<usize> {
        match self {
            Self::Base => None,
            Self::Huge2M => Some(1 << 21),
            Self::Huge1G => Some(1 << 30),
        }
    }
}

/// What a buffer or a mapping is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DmaOptions {
    direction: DmaDirection,
    bits: u32,
    iova: Option<Iova>,
    pages: PageSize,
    fallback: bool,
}

impl Default for DmaOptions {
    /// Both directions, 64 address bits, any address, small pages.
    fn default() -> Self {
        Self {
            direction: DmaDirection::Both,
            bits: 64,
            iova: None,
            pages: PageSize::Base,
            fallback: false,
        }
    }
}

impl DmaOptions {
    /// In this direction.
    #[must_use]
    pub const fn direction(self, direction: DmaDirection) -> Self {
        Self { direction, ..self }
    }

    /// For a device with so many address bits.
    #[must_use]
    pub const fn address_bits(self, bits: u32) -> Self {
        Self { bits, ..self }
    }

    /// At this address, which has to be within the [address bits](Self::address_bits).
    #[must_use]
    pub const fn at(self, iova: Iova) -> Self {
        Self {
            iova: Some(iova),
            ..self
        }
    }

    /// Of pages of this size; if the kernel has none left, that is an error.
    #[must_use]
    pub const fn pages(self, pages: PageSize) -> Self {
        Self {
            pages,
            fallback: false,
            ..self
        }
    }

    /// Of pages of this size or, if the kernel has none left, of small ones, which the log tells.
    #[must_use]
    pub const fn pages_if_possible(self, pages: PageSize) -> Self {
        Self {
            pages,
            fallback: true,
            ..self
        }
    }
}

/// What a backend does for a [`DmaSpace`].
pub trait DmaOps: fmt::Debug + Send + Sync {
    /// What the IOMMU can do.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    fn limits(&self) -> Result<DmaLimits>;

    /// Memory of at least `len` bytes, of pages of this size, all zeros.
    ///
    /// # Errors
    ///
    /// The kernel has none.
    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>>;

    /// Lets devices reach the `len` bytes at `memory` by `iova`. All of them are multiples of the granule.
    ///
    /// # Errors
    ///
    /// The kernel refuses: too much memory is locked, the addresses are taken.
    ///
    /// # Safety
    ///
    /// Until it is unmapped, the memory stays allocated, and nothing relies on what is in it if `direction`
    /// lets devices write.
    unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        iova: Iova,
        direction: DmaDirection,
    ) -> Result<()>;

    /// Takes the `len` bytes at `iova` away from devices. What was mapped at once is unmapped at once.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or unmaps less than that.
    fn unmap(&self, iova: Iova, len: usize) -> Result<()>;
}

/// Memory that can be mapped for devices.
///
/// # Safety
///
/// The `len` bytes at `as_ptr` are allocated, readable and writable, used by nothing else, and at the same
/// place as long as this lives.
#[expect(clippy::len_without_is_empty, reason = "there always are some")]
pub unsafe trait DmaPages: fmt::Debug + Send {
    /// Where it starts: at a multiple of its page size.
    ///
    /// # Panics
    ///
    /// The memory must not be used on this thread. Ordinary memory never panics.
    fn as_ptr(&self) -> *mut u8;

    /// How many bytes there are, a multiple of the page size.
    fn len(&self) -> usize;

    /// Where devices find it, if that is not for choosing: without an IOMMU, its physical address.
    fn fixed_iova(&self) -> Option<Iova> {
        None
    }
}

/// What the devices of one IOMMU context see of memory. Cloning it gives another handle to the same one.
#[derive(Debug, Clone)]
pub struct DmaSpace {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) ops: Box<dyn DmaOps>,
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
        Ok(Self { inner })
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
        let ops = &self.inner.ops;
        let pages = match ops.pages(len, options.pages) {
            Err(error) if options.fallback && options.pages != PageSize::Base => {
                log::info!("{error}: small pages instead");
                ops.pages(len, PageSize::Base)?
            }
            pages => pages?,
        };
        Ok(DmaBox::new(self.clone(), options, pages))
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
    pub unsafe fn map_memory(
        &self,
        memory: *mut u8,
        len: usize,
        options: DmaOptions,
    ) -> Result<DmaMapping> {
        // SAFETY: the caller has shown it.
        Ok(DmaMapping(unsafe { self.map(memory, len, None, options) }?))
    }

    /// Maps memory: at `fixed`, if that is where devices find it.
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
    ) -> Result<Mapped> {
        // SAFETY: the caller has shown it.
        let iova = unsafe { self.map_somewhere(memory, len, fixed, options) }?;
        Ok(Mapped::new(Arc::clone(&self.inner), memory, len, iova))
    }

    /// Maps memory, and says where.
    ///
    /// # Safety
    ///
    /// As for `DmaOps::map`, until it is unmapped.
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
            self.inner.free().free(iova, bytes);
            return Err(error);
        }
        Ok(iova)
    }

    /// Takes addresses for so many bytes.
    fn choose(&self, bytes: u64, options: DmaOptions) -> Result<Iova> {
        if bytes == self.inner.granule && options.iova.is_none() {
            match self.inner.spare.swap(0, Ordering::Relaxed) {
                0 => {}
                at if beyond(Iova::new(at), bytes, options.bits) => {
                    self.inner.free().free(Iova::new(at), bytes);
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

    /// Unmaps what was mapped at `iova`. If that fails, the addresses are not given out again.
    pub(super) fn unmap(&self, iova: Iova, len: usize) -> Result<()> {
        self.ops.unmap(iova, len)?;
        if self.limits.ranges.is_empty() {
            return Ok(());
        }
        let (at, len) = (iova.raw(), bytes(len));
        let free = if at != 0 && len == self.granule {
            let spare = self.spare.swap(at, Ordering::Relaxed);
            (spare != 0).then_some(spare)
        } else {
            Some(at)
        };
        if let Some(at) = free {
            self.free().free(Iova::new(at), len);
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
fn beyond(at: Iova, bytes: u64, bits: u32) -> bool {
    let last = at.raw().checked_add(bytes - 1);
    last.is_none_or(|last| last > last_address(bits))
}

fn list(ranges: &[IovaRange]) -> String {
    let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    ranges.join(", ")
}
