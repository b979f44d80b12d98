//! What is mapped: its names, for errors, and whether the device behind it is lost.
#![expect(unsafe_code, reason = "guards mappings")]

use crate::{KnownSize, RegionName};
use bus_fault::{Guard, LOST};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        PoisonError, RwLock,
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
    lost: Lost,
}

/// Whether the device is lost.
#[derive(Debug)]
enum Lost {
    /// Somebody says so.
    Said(bool),
    /// So does an access that raised SIGBUS.
    Guarded(Guard),
}

impl Lost {
    fn get(&self) -> bool {
        match self {
            Self::Said(lost) => *lost,
            Self::Guarded(guard) => guard.is_lost(),
        }
    }

    fn set(&mut self, lost: bool) {
        match self {
            Self::Said(said) => match (std::mem::replace(said, lost), lost) {
                (false, true) => _ = LOST.fetch_add(1, Ordering::Relaxed),
                (true, false) => _ = LOST.fetch_sub(1, Ordering::Relaxed),
                _ => {}
            },
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
                    lost: Lost::Said(false),
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
        self.change(|lost| {
            lost.set(false);
            *lost = Lost::Guarded(guard);
        });
        Ok(())
    }

    /// Says that the device behind the memory is lost, or that it is there again. Accesses that may fail report
    /// [`Fault::Lost`](crate::Fault::Lost) while it is lost; those that cannot are as they were.
    pub fn set_lost(&self, lost: bool) {
        self.change(|flag| flag.set(lost));
    }

    /// Whether the device behind the memory is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let mappings = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
        let mapping = self.key.and_then(|key| mappings.get(&key));
        mapping.is_some_and(|mapping| mapping.lost.get())
    }

    fn change(&self, change: impl FnOnce(&mut Lost)) {
        let mut mappings = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapping) = self.key.and_then(|key| mappings.get_mut(&key)) {
            change(&mut mapping.lost);
        }
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

/// Whether the device is lost that is mapped at `ptr`.
#[inline]
pub(crate) fn is_lost<T: ?Sized + KnownSize>(ptr: *const T) -> bool {
    LOST.load(Ordering::Relaxed) != 0 && find(ptr, |_, mapping| mapping.lost.get()).unwrap_or(false)
}
