//! Interrupts of a simulated device.

use crate::{
    Error, ErrorKind, Result,
    irq::{Interrupt, InterruptKind},
};
use std::{
    fmt, io,
    io::{Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A vector, which its device signals and its driver waits for.
#[derive(Debug)]
pub(super) struct Vector {
    pub(super) kind: InterruptKind,
    pub(super) number: u32,
    state: Mutex<State>,
    came: Condvar,
    /// The end that is readable while there are events, and the one that makes it so.
    ends: (UnixStream, UnixStream),
}

#[derive(Debug, Default)]
struct State {
    /// The events that nobody has waited for.
    count: u64,
    masked: bool,
    /// An event came while it was masked; of INTx, the level is high.
    pending: bool,
}

impl Vector {
    pub(super) fn new(kind: InterruptKind, number: u32) -> io::Result<Self> {
        let ends = UnixStream::pair()?;
        ends.0.set_nonblocking(true)?;
        Ok(Self {
            kind,
            number,
            state: Mutex::default(),
            came: Condvar::new(),
            ends,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device signals it; of INTx, it asserts the pin or no longer does.
    pub(super) fn signal(&self, level: bool) {
        let mut state = self.lock();
        if self.kind == InterruptKind::Intx {
            state.pending = level;
        } else {
            state.pending |= level;
        }
        self.deliver(&mut state);
    }

    /// An event for what is pending, unless it is masked.
    fn deliver(&self, state: &mut State) {
        if state.masked || !state.pending {
            return;
        }
        if self.kind == InterruptKind::Intx {
            // The level stays until the device is told to let go, and is not told of again until it is unmasked.
            state.masked = true;
        } else {
            state.pending = false;
        }
        if state.count == 0 {
            // There is room for one byte.
            _ = (&self.ends.1).write(&[1]);
        }
        state.count += 1;
        self.came.notify_all();
    }

    fn take(&self, state: &mut State) -> Option<u64> {
        let count = std::mem::take(&mut state.count);
        if count == 0 {
            return None;
        }
        _ = (&self.ends.0).read(&mut [0]);
        Some(count)
    }
}

/// A vector that is enabled until this is dropped.
pub(super) struct SimulatedInterrupt {
    pub(super) vector: Arc<Vector>,
    /// Told when it is dropped.
    pub(super) disable: Box<dyn Fn() + Send + Sync>,
}

impl Interrupt for SimulatedInterrupt {
    fn kind(&self) -> InterruptKind {
        self.vector.kind
    }

    fn vector(&self) -> u32 {
        self.vector.number
    }

    fn wait(&self, timeout: Duration) -> Result<Option<u64>> {
        let state = self.vector.lock();
        let nothing = |state: &mut State| state.count == 0;
        let waited = self.vector.came.wait_timeout_while(state, timeout, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Ok(self.vector.take(&mut state))
    }

    fn mask(&self) -> Result<()> {
        self.vector.lock().masked = true;
        Ok(())
    }

    fn unmask(&self) -> Result<()> {
        let mut state = self.vector.lock();
        state.masked = false;
        self.vector.deliver(&mut state);
        Ok(())
    }

    fn trigger(&self) -> Result<()> {
        if self.vector.kind == InterruptKind::Intx {
            let message = "the level of a pin is its device's";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.vector.signal(true);
        Ok(())
    }
}

impl fmt::Debug for SimulatedInterrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.vector.fmt(f)
    }
}

impl AsFd for SimulatedInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.vector.ends.0.as_fd()
    }
}

impl AsRawFd for SimulatedInterrupt {
    fn as_raw_fd(&self) -> RawFd {
        self.vector.ends.0.as_raw_fd()
    }
}

impl Drop for SimulatedInterrupt {
    fn drop(&mut self) {
        (self.disable)();
    }
}
