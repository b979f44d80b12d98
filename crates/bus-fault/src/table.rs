//! The mappings that are guarded: what the handler looks an address up in.

use crate::{
    handler,
    lost::{Lost, Moment},
    ones,
};
use std::{
    io,
    ptr::{self, NonNull},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    },
    thread,
};

/// How many slots are made at once.
const SLOTS: usize = 32;

/// A place for a mapping. A signal handler cannot wait for a lock, so that all is in atomics, and nothing is ever freed.
pub(crate) struct Slot {
    taken: AtomicBool,
    /// The address of the first byte; 0 for none.
    first: AtomicUsize,
    /// The address after the last one.
    past: AtomicUsize,
    lost: Lost,
    /// How many threads are about to put ones in the place of one of its pages.
    handling: AtomicUsize,
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
            lost: Lost::unused(),
            handling: AtomicUsize::new(0),
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

    /// Lets the handler put ones there, for which the mapping is lost first.
    pub(crate) fn handle(&self, put: impl FnOnce() -> bool) -> bool {
        self.handling.fetch_add(1, Ordering::SeqCst);
        self.lost.mark();
        let done = put();
        self.handling.fetch_sub(1, Ordering::SeqCst);
        done
    }

    /// How many faults there were, all of which have been handled.
    fn handled(&self) -> usize {
        loop {
            let faults = self.lost.faults();
            // Those that come now are others.
            if self.handling.load(Ordering::SeqCst) == 0 {
                return faults;
            }
            thread::yield_now();
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

/// The mapping that has `address`, for the handler.
pub(crate) fn find(address: usize) -> Option<&'static Slot> {
    let mut chunk = Some(&CHUNKS);
    while let Some(this) = chunk {
        if let Some(slot) = this.slots.iter().find(|slot| slot.has(address)) {
            return Some(slot);
        }
        chunk = this.next();
    }
    None
}

/// A mapping of a device in which SIGBUS is survived, for as long as this lives.
pub struct Guard {
    slot: &'static Slot,
    /// Held by who revives it: one at a time.
    reviving: Mutex<()>,
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
        let reviving = Mutex::default();
        Ok(Self { slot, reviving })
    }

    /// Whether an access has raised SIGBUS, or [`set_lost`](Self::set_lost) says that the device is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.slot.lost.get()
    }

    /// Whether the device is lost, or has been since that moment.
    #[must_use]
    pub fn lost_since(&self, moment: Moment) -> bool {
        self.slot.lost.since(moment)
    }

    /// Says that the device is lost, or that it is there again. If any page may be one of ones, [`revive`](Self::revive)
    /// is for that.
    pub fn set_lost(&self, lost: bool) {
        self.slot.lost.set(lost);
    }

    /// Maps the device anew, by `map`, which takes the place of all pages of ones, and says that it is there again.
    ///
    /// It is lost until that is done, and stays lost if an access raises SIGBUS meanwhile.
    ///
    /// # Errors
    ///
    /// That of `map`. It is lost then.
    pub fn revive<E>(&self, map: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let reviving = self.reviving.lock();
        let _reviving = reviving.unwrap_or_else(PoisonError::into_inner);
        let faults = self.slot.handled();
        map().inspect_err(|_| self.slot.lost.mark())?;
        self.slot.lost.clear(faults);
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.first.store(0, Ordering::Release);
        self.slot.lost.set(false);
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
