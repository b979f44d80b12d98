//! What is mapped: its names, for errors, and whether the device behind it is lost.
#![expect(unsafe_code, reason = "guards mappings")]

use crate::{KnownSize, RegionName};
use bus_fault::{Guard, Lost, Moment};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is mapped now: by the address of its last byte, and a number that tells two mappings of the same memory
/// apart.
static MAPPINGS: RwLock<BTreeMap<(usize, u64), Mapping>> = RwLock::new(BTreeMap::new());

#[derive(Debug)]
struct Mapping {
    first: usize,
    name: String,
    source: Source,
}

/// Who knows whether the device is lost.
#[derive(Debug, Clone)]
enum Source {
    /// Somebody says so.
    Said(Arc<Lost>),
    /// So does an access that raised SIGBUS.
    Guarded(Arc<Guard>),
}

impl Source {
    fn get(&self) -> bool {
        match self {
            Self::Said(lost) => lost.get(),
            Self::Guarded(guard) => guard.is_lost(),
        }
    }

    fn since(&self, moment: Moment) -> bool {
        match self {
            Self::Said(lost) => lost.since(moment),
            Self::Guarded(guard) => guard.lost_since(moment),
        }
    }

    fn set(&self, lost: bool) {
        match self {
            Self::Said(said) => said.set(lost),
            Self::Guarded(guard) => guard.set_lost(lost),
        }
    }
}

/// The number of the next mapping.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The name of memory that is mapped, for as long as this lives.
///
/// A view is an address and a size, so that it fits in two registers; what it is a part of is looked up
/// when an error needs it. Whoever maps memory gives it a name and drops the name before unmapping.
///
/// ```
/// use io_core::{Io, MappingName, Mmio, MmioRaw, Region};
///
/// let mut memory = [0u64; 8];
/// let name = MappingName::new(memory.as_mut_ptr().cast(), 64, "BAR 0 of 0000:01:00.0");
/// let raw = MmioRaw::<Region>::new_region(memory.as_mut_ptr().cast(), 64)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
/// let bar = unsafe { Mmio::from_raw(raw) };
/// assert_eq!(
///     bar.try_read32(0x40).unwrap_err().to_string(),
///     "4 bytes at offset 0x40 do not fit in BAR 0 of 0000:01:00.0 (0x40 bytes)"
/// );
/// # drop(name);
/// # Ok::<(), io_core::RegionError>(())
/// ```
#[derive(Debug)]
pub struct MappingName {
    key: Option<(usize, u64)>,
}

impl MappingName {
    /// Gives the `size` bytes from `base` on this name. Memory of no bytes needs none, and has none.
    #[must_use = "the memory has the name for as long as this lives"]
    pub fn new(base: *mut u8, size: usize, name: impl Into<String>) -> Self {
        let (first, name) = (base.addr(), name.into());
        let key = size.checked_sub(1).map(|past| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            (first.saturating_add(past), number)
        });
        if let Some(key) = key {
            let mut mappings = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
            mappings.insert(
                key,
                Mapping {
                    first,
                    name,
                    source: Source::Said(Arc::default()),
                },
            );
        }
        Self { key }
    }
}

impl MappingName {
    /// Survives accesses to the memory that raise SIGBUS: they find ones, and the device is lost.
    ///
    /// # Errors
    ///
    /// Those of [`Guard::new`].
    ///
    /// # Safety
    ///
    /// As long as this lives, the pages of the memory are a mapping of a device that nothing else is in and that nothing
    /// unmaps: at any access, any of them may be replaced by private memory of ones. There is no Rust reference to them.
    pub(crate) unsafe fn guard(&self, base: *mut u8, size: usize) -> io::Result<()> {
        // SAFETY: the caller has shown it, and `Drop` drops the guard.
        let guard = unsafe { Guard::new(base, size) }?;
        guard.set_lost(self.is_lost());
        self.set_lost(false);
        let guarded = Source::Guarded(Arc::new(guard));
        let mut mappings = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapping) = self.key.and_then(|key| mappings.get_mut(&key)) {
            mapping.source = guarded;
        }
        Ok(())
    }

    /// Maps the memory anew, by `map`, and says that the device is there again: see [`Guard::revive`].
    pub(crate) fn revive<E>(&self, map: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        match self.source() {
            Some(Source::Guarded(guard)) => guard.revive(map),
            _ => map().inspect(|()| self.set_lost(false)),
        }
    }

    /// Says that the device behind the memory is lost, or that it is there again. Accesses that may fail report
    /// [`Fault::Lost`](crate::Fault::Lost) while it is lost; those that cannot are as they were.
    pub fn set_lost(&self, lost: bool) {
        if let Some(source) = self.source() {
            source.set(lost);
        }
    }

    /// Whether the device behind the memory is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.source().is_some_and(|source| source.get())
    }

    fn source(&self) -> Option<Source> {
        let mappings = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
        let mapping = self.key.and_then(|key| mappings.get(&key))?;
        Some(mapping.source.clone())
    }
}

impl Drop for MappingName {
    fn drop(&mut self) {
        self.set_lost(false);
        if let Some(key) = self.key {
            let mut mappings = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
            mappings.remove(&key);
        }
    }
}

/// What the mapping that has all of what `ptr` points at says, if there is one.
fn find<T: ?Sized + KnownSize, R>(ptr: *const T, says: impl Fn(usize, &Mapping) -> R) -> Option<R> {
    let first = ptr.cast::<u8>().addr();
    let last = first.checked_add(T::size(ptr).checked_sub(1)?)?;
    let mappings = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
    // The first one that does not end before it.
    let (_, mapping) = mappings.range((last, 0)..).next()?;
    Some(says(first.checked_sub(mapping.first)?, mapping))
}

/// The name of the mapping that has what `ptr` points at.
#[cold]
pub(crate) fn name_of<T: ?Sized + KnownSize>(ptr: *const T) -> Option<RegionName> {
    find(ptr, |offset, mapping| RegionName {
        name: mapping.name.clone(),
        offset,
    })
}

/// Whether the device that is mapped at `ptr` is lost, or has been since that moment: who made an access to it since then has
/// not had the device's answer.
#[inline]
pub(crate) fn lost_since<T: ?Sized + KnownSize>(ptr: *const T, moment: Moment) -> bool {
    !moment.is_quiet_since()
        && find(ptr, |_, mapping| mapping.source.since(moment)).unwrap_or(false)
}
