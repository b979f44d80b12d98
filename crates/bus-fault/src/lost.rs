//! Whether devices are lost, and whether one has been meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// How many devices are lost, in the lower bits, of which there are enough for all mappings that Linux lets a process have by
/// default (65530); and above them, how often one has been found again. One word, so that who makes an access has little
/// to look at.
static STATE: AtomicUsize = AtomicUsize::new(0);

/// What finding one again adds.
const AGAIN: usize = 1 << 16;
const COUNT: usize = AGAIN - 1;

/// The moment before an access.
#[derive(Debug, Clone, Copy)]
pub struct Moment(usize);

impl Moment {
    /// This moment.
    #[inline]
    #[must_use]
    pub fn now() -> Self {
        Self(STATE.load(Ordering::Acquire) & !COUNT)
    }

    /// Whether no device is lost, and none has been found again since: what was read since then is what devices said.
    #[inline]
    #[must_use]
    pub fn is_quiet_since(self) -> bool {
        // After what was read.
        fence(Ordering::Acquire);
        STATE.load(Ordering::Relaxed) == self.0
    }
}

/// Whether a device is lost. All is in atomics, for the signal handler.
#[derive(Debug)]
pub struct Lost {
    /// How often that has been found since it was there; 0 if it is there.
    faults: AtomicUsize,
    /// The moment at which it was found again.
    again: AtomicUsize,
}

impl Lost {
    /// It is there.
    #[must_use]
    pub fn new() -> Self {
        let lost = Self::unused();
        lost.again.store(Moment::now().0, Ordering::Release);
        lost
    }

    pub(crate) const fn unused() -> Self {
        Self {
            faults: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
        }
    }

    /// Whether it is lost.
    #[must_use]
    pub fn get(&self) -> bool {
        self.faults() != 0
    }

    /// Whether it is lost, or has been since that moment.
    #[must_use]
    pub fn since(&self, moment: Moment) -> bool {
        let lost = self.get();
        let after = self.again.load(Ordering::Acquire).wrapping_sub(moment.0);
        lost || (after != 0 && after <= usize::MAX / 2)
    }

    /// Says that it is lost, or that it is there.
    pub fn set(&self, lost: bool) {
        if lost {
            self.mark();
        } else {
            self.begin_again();
            if self.faults.swap(0, Ordering::SeqCst) != 0 {
                STATE.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::SeqCst)
    }

    pub(crate) fn mark(&self) {
        // Counted first: who finds it lost already must not be the first to read what is not the device's.
        STATE.fetch_add(1, Ordering::SeqCst);
        if self.faults.fetch_add(1, Ordering::SeqCst) != 0 {
            STATE.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Says that it is there again, unless more faults were found than these.
    pub(crate) fn clear(&self, faults: usize) {
        self.begin_again();
        let order = Ordering::SeqCst;
        let cleared = self.faults.compare_exchange(faults, 0, order, order);
        if cleared.is_ok() && faults != 0 {
            STATE.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Accesses that have begun by now do not count, from before it is there on.
    fn begin_again(&self) {
        let before = STATE.fetch_add(AGAIN, Ordering::SeqCst) & !COUNT;
        let now = before.wrapping_add(AGAIN);
        self.again.store(now, Ordering::SeqCst);
    }
}

impl Default for Lost {
    fn default() -> Self {
        Self::new()
    }
}
