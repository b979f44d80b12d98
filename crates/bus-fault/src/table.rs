//! The mappings that are guarded: what the handler looks an address up in.

use crate::{handler, ones};
use std::{
    io,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

/// How many mappings are of devices that are lost, those that [`Guard::set_lost`] says it of and others that somebody
/// counts here: mostly none, so that nobody has to look further.
pub static LOST: AtomicUsize = AtomicUsize::new(0);

/// How many slots are made at once.
const SLOTS: usize = 32;

/// A place for a mapping. A signal handler cannot wait for a lock, so that all is in atomics, and nothing is ever freed.
struct Slot {
    taken: AtomicBool,
    /// The address of the first byte; 0 for none.
    first: AtomicUsize,
    /// The address after the last one.
    past: AtomicUsize,
    lost: AtomicBool,
}

struct Chunk {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Chunk>,
}

static CHUNKS: Chunk = Chunk::new();

impl Chunk {
    const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn next(&self) -> Option<&'static Self> {
        let next = NonNull::new(self.next.load(Ordering::Acquire))?;
        // SAFETY: `grow` leaked it, and made it whole before it said where it is.
        Some(unsafe { next.as_ref() })
    }

    /// Puts another chunk behind the last one, which `self` was a moment ago.
    fn grow(&'static self) -> &'static Self {
        let more: &'static Self = Box::leak(Box::new(Self::new()));
        let mut last = self;
        loop {
            let end = ptr::null_mut();
            let here = ptr::from_ref(more).cast_mut();
            match last
                .next
                .compare_exchange(end, here, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return more,
                Err(_) => last = last.next().unwrap_or(last),
            }
        }
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            first: AtomicUsize::new(0),
            past: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
        }
    }

    /// Whether `address` is in the mapping.
    fn has(&self, address: usize) -> bool {
        let first = self.first.load(Ordering::Acquire);
        let past = self.past.load(Ordering::Acquire);
        // The slot may have changed hands between the two.
        let unchanged = self.first.load(Ordering::Acquire) == first;
        unchanged && first != 0 && first <= address && address < past
    }

    fn set_lost(&self, lost: bool) {
        match (self.lost.swap(lost, Ordering::AcqRel), lost) {
            (false, true) => _ = LOST.fetch_add(1, Ordering::Release),
            (true, false) => _ = LOST.fetch_sub(1, Ordering::Release),
            _ => {}
        }
    }

    /// A slot that nobody has had, or has any more.
    fn take() -> &'static Self {
        let mut chunk = &CHUNKS;
        loop {
            let free = |slot: &&Self| !slot.taken.swap(true, Ordering::Acquire);
            if let Some(slot) = chunk.slots.iter().find(free) {
                return slot;
            }
            chunk = chunk.next().unwrap_or_else(|| chunk.grow());
        }
    }
}

/// Marks the mapping lost that has `address`, and says whether there is one. For the handler.
pub(crate) fn mark_lost(address: usize) -> bool {
    let mut chunk = Some(&CHUNKS);
    while let Some(this) = chunk {
        if let Some(slot) = this.slots.iter().find(|slot| slot.has(address)) {
            slot.set_lost(true);
            return true;
        }
        chunk = this.next();
    }
    false
}

/// A mapping of a device in which SIGBUS is survived, for as long as this lives.
pub struct Guard {
    slot: &'static Slot,
}

impl Guard {
    /// Guards the pages of the `size` bytes at `base`, which is the start of a page.
    ///
    /// # Errors
    ///
    /// `base` is not the start of a page, or the kernel refuses the handler or the page of ones.
    ///
    /// # Safety
    ///
    /// As long as the guard lives, these pages are a mapping of a device that nothing else is in and that nothing
    /// unmaps: at any access, any of them may be replaced by private memory of ones. There is no Rust reference to them.
    pub unsafe fn new(base: *mut u8, size: usize) -> io::Result<Self> {
        let page = ones::page_size()?;
        if base.is_null() || base.addr() % page != 0 {
            let message = format!("a mapping at {base:p} does not start with a page");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let past = size
            .checked_next_multiple_of(page)
            .and_then(|size| base.addr().checked_add(size));
        let Some(past) = past else {
            let message =
                format!("{size:#x} bytes at {base:p} go past the end of the address space");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        ones::prepare()?;
        handler::install()?;
        let slot = Slot::take();
        slot.past.store(past, Ordering::Release);
        slot.first.store(base.addr(), Ordering::Release);
        Ok(Self { slot })
    }

    /// Whether an access has raised SIGBUS, or [`set_lost`](Self::set_lost) says that the device is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.slot.lost.load(Ordering::Acquire)
    }

    /// Says that the device is lost; or that it is there again, which is for whoever maps all of it again: before that,
    /// so that a fault meanwhile is not forgotten.
    pub fn set_lost(&self, lost: bool) {
        self.slot.set_lost(lost);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.first.store(0, Ordering::Release);
        self.slot.set_lost(false);
        self.slot.taken.store(false, Ordering::Release);
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.slot.first.load(Ordering::Relaxed);
        let past = self.slot.past.load(Ordering::Relaxed);
        write!(f, "Guard({first:#x}..{past:#x}, lost: {})", self.is_lost())
    }
}
