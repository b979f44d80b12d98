//! Accesses that take long are reported.

use crate::{Error, Fault, Offset, RegionOps, Result, Width};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Reports each access to the regions that it watches that takes longer than a limit, and names it.
///
/// A read of a device that does not answer returns when the bus gives up, which may be after a long time, or never, and
/// raises no signal. The thread that made it can do nothing meanwhile, but another one can tell of it: the one that this
/// starts. It is for finding out which access it is that a device stops at.
///
/// A region is watched by calls, one for each access, which [`Bar::called`](crate::Bar::called) makes a BAR again; a driver
/// that uses [`Bar::io`](crate::Bar::io) cannot tell it from the one before. Each access costs two locks and a look at the
/// clock more. Each access of a copy is watched for itself.
///
/// What it cannot do:
///
/// - It does not end the access. Nothing does, but the bus: a thread in one cannot be killed either.
/// - A stalled access may stop more than its processor. If it stops the whole machine, nobody reports it.
/// - Writes to memory are posted (PCI Express Base 6.0 section 2.4): they come back before the device has seen them, so that it
///   is the next read that is reported.
/// - While VFIO resets a device, accesses to its BARs wait for the end of the reset. They are reported too.
///
/// ```
/// use io_core::{Bar, Io, Watchdog, sim::Ram};
/// use std::time::Duration;
///
/// let watchdog = Watchdog::new(Duration::from_millis(100), |stall| log::warn!("{stall}"))?;
/// let bar = Bar::called(Ram::new("BAR 0 of a simulated device", 0x100));
/// let bar = Bar::called(watchdog.watch(bar));
/// assert_eq!(bar.io::<0x40>()?.try_read32(0x10)?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// An access that takes longer than the limit of a [`Watchdog`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// What the region is called, such as "BAR 0 of 0000:01:00.0".
    pub region: Arc<str>,
    /// Whether it is a write.
    pub write: bool,
    /// Where it is in the region.
    pub at: Offset,
    /// How many bytes it is wide.
    pub len: usize,
    /// How long it takes, until now or until it came back.
    pub lasts: Duration,
    /// Whether it came back: reported once more, then.
    pub over: bool,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.write { "write" } else { "read" };
        let unit = if self.len == 1 { "byte" } else { "bytes" };
        let end = if self.over {
            "came back after"
        } else {
            "has not come back for"
        };
        let (len, at, region) = (self.len, self.at.bytes(), &self.region);
        write!(
            f,
            "the {access} of {len} {unit} at offset {at:#x} of {region} {end} {:.1?}",
            self.lasts
        )
    }
}

/// It looks no more often than this.
const SHORTEST: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to report, or nothing more to do.
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The accesses that are under way, in their order.
    running: BTreeMap<u64, Running>,
    next: u64,
    /// Those that were reported and have come back.
    over: Vec<Stall>,
    stop: bool,
}

#[derive(Debug)]
struct Running {
    stall: Stall,
    since: Instant,
    reported: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchdog {
    /// Calls `report`, on a thread of its own, for each access that takes longer than `limit`: then, and when it comes back.
    ///
    /// # Errors
    ///
    /// There cannot be another thread.
    pub fn new(limit: Duration, report: impl FnMut(&Stall) + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watch(&watched, limit, report))
            .map_err(|error| Error::from_os("cannot start the thread of a watchdog", error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The same region, whose accesses are watched as long as the watchdog lives.
    ///
    /// `region` is a [`Bar`](crate::Bar), or anything else that is reached by calls.
    pub fn watch<R: RegionOps>(&self, region: R) -> impl RegionOps + use<R> {
        Watched {
            name: region.name().into(),
            region,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        let thread = self.thread.take();
        // It may be dropped by what it reports to.
        let other = thread.filter(|thread| thread.thread().id() != thread::current().id());
        if other.is_some_and(|thread| thread.join().is_err()) {
            log::error!("a report of a watchdog panicked");
        }
    }
}

/// Reports what is due, until the watchdog is dropped.
fn watch(shared: &Shared, limit: Duration, mut report: impl FnMut(&Stall)) {
    let mut state = shared.lock();
    loop {
        let now = Instant::now();
        let over = std::mem::take(&mut state.over);
        // Accesses that begin later are due later than this.
        let mut wait = limit;
        let mut due = Vec::new();
        for access in state.running.values_mut().filter(|access| !access.reported) {
            let lasts = now.duration_since(access.since);
            if lasts < limit {
                wait = limit - lasts;
                break;
            }
            access.reported = true;
            access.stall.lasts = lasts;
            due.push(access.stall.clone());
        }
        if over.is_empty() && due.is_empty() {
            if state.stop {
                return;
            }
            let waited = shared.wake.wait_timeout(state, wait.max(SHORTEST));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        over.iter().chain(&due).for_each(&mut report);
        state = shared.lock();
    }
}

/// A region whose accesses are watched.
#[derive(Debug)]
struct Watched<R> {
    region: R,
    name: Arc<str>,
    shared: Arc<Shared>,
}

impl<R> Watched<R> {
    /// Has an access in the list as long as what is returned lives.
    fn begin(&self, write: bool, at: Offset, len: usize) -> UnderWay<'_> {
        let mut state = self.shared.lock();
        let number = state.next;
        state.next += 1;
        let stall = Stall {
            region: Arc::clone(&self.name),
            write,
            at,
            len,
            lasts: Duration::ZERO,
            over: false,
        };
        let running = Running {
            stall,
            since: Instant::now(),
            reported: false,
        };
        state.running.insert(number, running);
        let shared = &self.shared;
        UnderWay { shared, number }
    }
}

/// An access that is under way.
struct UnderWay<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let ended = state.running.remove(&self.number);
        if let Some(Running { stall, since, .. }) = ended.filter(|access| access.reported) {
            state.over.push(Stall {
                lasts: since.elapsed(),
                over: true,
                ..stall
            });
            self.shared.wake.notify_all();
        }
    }
}

impl<R: RegionOps> RegionOps for Watched<R> {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn size(&self) -> usize {
        self.region.size()
    }

    fn widest(&self) -> Width {
        self.region.widest()
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let _under_way = self.begin(false, at, bytes.len());
        self.region.read(at, bytes)
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        let _under_way = self.begin(true, at, bytes.len());
        self.region.write(at, bytes)
    }

    fn is_lost(&self) -> bool {
        self.region.is_lost()
    }

    fn set_lost(&self, lost: bool) {
        self.region.set_lost(lost);
    }

    fn revive(&self) -> Result<()> {
        self.region.revive()
    }
}
