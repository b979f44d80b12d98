//! Waiting for a register to say something.
//!
//! Hardware says that it is ready, or that it has failed, by the value of a register; and it may never
//! say either. [`Poll`] reads until it knows, and tells four ends apart: the value that was waited for,
//! a value that means failure, nothing of the kind in time, and a device that has gone.
//!
//! ```
//! use io_core::poll::{Poll, PollError, Verdict};
//! use std::time::Duration;
//!
//! // A status register: bit 0 is "busy", bit 7 is "error".
//! let mut values = [0x01, 0x01, 0x40].into_iter();
//! let status = Poll::within(Duration::from_millis(100)).until(
//!     || values.next().unwrap_or(0xff_u8),
//!     |status| match status {
//!         status if status & 0x80 != 0 => Verdict::Failed,
//!         status if status & 0x01 != 0 => Verdict::Pending,
//!         _ => Verdict::Ready,
//!     },
//! );
//! assert_eq!(status, Ok(0x40));
//!
//! // The processor reads all ones from a device that is not there any more.
//! let gone = Poll::within(Duration::from_secs(1)).until(|| u32::MAX, |_| Verdict::Pending);
//! assert_eq!(gone, Err(PollError::Gone));
//! ```

use crate::{AccessError, Error, ErrorKind, num::Integer, register::Bitfield};
use std::{
    error, fmt, thread,
    time::{Duration, Instant},
};

/// What a value means to whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one that was waited for.
    Ready,
    /// Nothing is decided yet.
    Pending,
    /// It will not come to what is waited for.
    Failed,
}

impl Verdict {
    /// Ready or pending, of a device that does not say that it has failed.
    #[must_use]
    pub const fn ready_if(ready: bool) -> Self {
        if ready { Self::Ready } else { Self::Pending }
    }
}

/// How long to wait, and how often to look.
///
/// The first reads follow each other after 10 µs, then more and more slowly, up to 1 ms apart. Where
/// that is too often or too seldom, [`every`](Self::every) says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    timeout: Duration,
    interval: Duration,
    longest: Duration,
    gone: bool,
}

impl Poll {
    /// Waits for up to `timeout`, by the monotonic clock.
    #[must_use]
    pub const fn within(timeout: Duration) -> Self {
        let (interval, longest) = (Duration::from_micros(10), Duration::from_millis(1));
        Self {
            timeout,
            interval,
            longest,
            gone: true,
        }
    }

    /// Lets `interval` pass between two reads, and as long each time, until [`up_to`](Self::up_to) says that it grows.
    #[must_use]
    pub const fn every(self, interval: Duration) -> Self {
        Self {
            interval,
            longest: interval,
            ..self
        }
    }

    /// Doubles the interval after each read, until it is `longest`.
    #[must_use]
    pub const fn up_to(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Takes all ones for a value like any other, for a register that may have it.
    #[must_use]
    pub const fn all_ones_is_a_value(self) -> Self {
        Self {
            gone: false,
            ..self
        }
    }

    /// Reads until `verdict` says that the value is ready, or failed.
    ///
    /// The clock is asked before each read, so that there is always one read after the deadline:
    /// whoever is suspended between the two does not time out on a device that was ready long ago.
    ///
    /// # Errors
    ///
    /// The device failed, took too long, or has gone.
    pub fn until<T: AllOnes>(
        self,
        read: impl FnMut() -> T,
        verdict: impl FnMut(T) -> Verdict,
    ) -> Result<T, PollError<T>> {
        let mut read = read;
        self.try_until(|| Ok(read()), verdict)
    }

    /// As [`until`](Self::until), by reads that may fail: the `try_` accessors of any view.
    ///
    /// # Errors
    ///
    /// As for `until`, or a read failed. One that failed because the device is lost is
    /// [`PollError::Gone`].
    ///
    /// ```
    /// use io_core::{Fault, IndirectIo, Io, Region, poll::{Poll, PollError, Verdict}, sim::Ram};
    /// use std::time::Duration;
    ///
    /// let ram = Ram::new("BAR 0 of a simulated device", 0x40).with_fault(3, Fault::Lost);
    /// let bar = IndirectIo::<Region>::new(&ram)?;
    /// let ready = Poll::within(Duration::from_secs(1))
    ///     .try_until(|| bar.try_read32(0x20), |_| Verdict::Pending);
    /// assert_eq!(ready, Err(PollError::Gone));
    /// # Ok::<(), io_core::RegionError>(())
    /// ```
    pub fn try_until<T: AllOnes>(
        self,
        read: impl FnMut() -> Result<T, AccessError>,
        verdict: impl FnMut(T) -> Verdict,
    ) -> Result<T, PollError<T>> {
        let started = Instant::now();
        self.run(read, verdict, || started.elapsed(), thread::sleep)
    }

    /// As [`try_until`](Self::try_until), by a clock that tells how long it has been.
    fn run<T: AllOnes>(
        self,
        mut read: impl FnMut() -> Result<T, AccessError>,
        mut verdict: impl FnMut(T) -> Verdict,
        mut elapsed: impl FnMut() -> Duration,
        mut sleep: impl FnMut(Duration),
    ) -> Result<T, PollError<T>> {
        let mut interval = self.interval;
        loop {
            let last = elapsed() >= self.timeout;
            let value = match read() {
                Ok(value) => value,
                Err(error) if error.is_lost() => return Err(PollError::Gone),
                Err(error) => return Err(PollError::Access(error)),
            };
            if self.gone && value.is_all_ones() {
                return Err(PollError::Gone);
            }
            match verdict(value) {
                Verdict::Ready => return Ok(value),
                Verdict::Failed => return Err(PollError::Failed(value)),
                Verdict::Pending if last => {
                    return Err(PollError::TimedOut {
                        after: self.timeout,
                        value,
                    });
                }
                Verdict::Pending => sleep(interval),
            }
            interval = interval.saturating_mul(2).min(self.longest);
        }
    }
}

/// A value of a register: an integer, or what [`register!`](crate::register!) defines.
pub trait AllOnes: Copy {
    /// Whether every bit is set.
    fn is_all_ones(self) -> bool;

    /// The number.
    fn number(self) -> u64;
}

impl<T: Bitfield> AllOnes for T {
    #[inline]
    fn is_all_ones(self) -> bool {
        self.number() == u64::MAX >> (u64::BITS - T::Storage::BITS)
    }

    #[inline]
    fn number(self) -> u64 {
        T::Storage::from(self).into()
    }
}

macro_rules! all_ones {
    ($($ty:ty)*) => {$(
        impl AllOnes for $ty {
            #[inline]
            fn is_all_ones(self) -> bool {
                self == <$ty>::MAX
            }

            #[inline]
            fn number(self) -> u64 {
                self.into()
            }
        }
    )*};
}
all_ones!(u8 u16 u32 u64);

/// How a wait ended, if not well.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollError<T> {
    /// The device said that it failed.
    Failed(
        /// The value that says so.
        T,
    ),
    /// The device said nothing in time.
    TimedOut {
        /// The time that it had.
        after: Duration,
        /// The last value.
        value: T,
    },
    /// All ones were read, as from a device that is not there any more. Its vendor id, read from
    /// configuration space, decides: all ones there too mean that it has gone. Or the read said that the
    /// device is lost.
    Gone,
    /// A read did not get through.
    Access(
        /// Why.
        AccessError,
    ),
}

impl<T: AllOnes + fmt::Debug + Send + Sync + 'static> PollError<T> {
    /// The [`Error`] with a message that says what was waited for, of the kind that fits, and this as its source.
    ///
    /// ```
    /// use io_core::{ErrorKind, poll::{Poll, Verdict}};
    /// use std::time::Duration;
    ///
    /// let status = Poll::within(Duration::ZERO).until(|| 0_u8, |_| Verdict::Pending);
    /// let error = status.unwrap_err().into_error("the link of 0000:01:00.0 does not come up");
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// ```
    #[must_use]
    pub fn into_error(self, message: impl Into<String>) -> Error {
        let kind = match &self {
            Self::Failed(_) => ErrorKind::Other,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Gone => ErrorKind::Lost,
            Self::Access(error) => Error::from(error.clone()).kind(),
        };
        Error::new(kind, message).with_source(self)
    }
}

impl<T: AllOnes> fmt::Display for PollError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(value) => write!(f, "the device reports a failure: {:#x}", value.number()),
            Self::TimedOut { after, value } => {
                write!(
                    f,
                    "the device was not ready within {after:?}; the last value was {:#x}",
                    value.number()
                )
            }
            Self::Gone => f.write_str("the device does not answer any more"),
            Self::Access(error) => error.fmt(f),
        }
    }
}

impl<T: AllOnes + fmt::Debug> error::Error for PollError<T> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Access(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    const MS: Duration = Duration::from_millis(1);

    fn ready(value: u8) -> Verdict {
        if value == 1 {
            Verdict::Ready
        } else {
            Verdict::Pending
        }
    }

    /// Runs a poll by a clock that stands still but for the sleeps, and returns those.
    fn sleeps(poll: Poll) -> (Result<u8, PollError<u8>>, Vec<Duration>) {
        let slept = RefCell::<Vec<Duration>>::default();
        let elapsed = || slept.borrow().iter().sum();
        let end = poll.run(
            || Ok(0),
            ready,
            elapsed,
            |time| slept.borrow_mut().push(time),
        );
        (end, slept.into_inner())
    }

    #[test]
    fn the_interval_doubles_up_to_the_longest() {
        let (end, slept) = sleeps(Poll::within(20 * MS).every(MS).up_to(6 * MS));
        assert_eq!(
            end,
            Err(PollError::TimedOut {
                after: 20 * MS,
                value: 0
            })
        );
        assert_eq!(slept, [MS, 2 * MS, 4 * MS, 6 * MS, 6 * MS, 6 * MS]);
    }

    #[test]
    fn a_fixed_interval_stays() {
        assert_eq!(sleeps(Poll::within(3 * MS).every(MS)).1, [MS; 3]);
    }

    #[test]
    fn there_is_one_read_after_the_deadline() {
        // We are suspended in the first sleep for far longer than the timeout; meanwhile it got ready.
        let now = Cell::new(Duration::ZERO);
        let reads = Cell::new(0);
        let read = || {
            reads.set(reads.get() + 1);
            Ok(u8::from(!now.get().is_zero()))
        };
        let end = Poll::within(MS).run(read, ready, || now.get(), |_| now.set(1000 * MS));
        assert_eq!((end, reads.get()), (Ok(1), 2));
    }

    #[test]
    fn there_is_one_read_even_if_there_is_no_time() {
        assert_eq!(Poll::within(Duration::ZERO).until(|| 1, ready), Ok(1));
        let end = Poll::within(Duration::ZERO).until(|| 0, ready);
        assert_eq!(
            end,
            Err(PollError::TimedOut {
                after: Duration::ZERO,
                value: 0
            })
        );
    }

    #[test]
    fn failure_and_absence_end_the_wait_at_once() {
        let failed = Poll::within(Duration::MAX).until(|| 0x80_u16, |_| Verdict::Failed);
        assert_eq!(failed, Err(PollError::Failed(0x80)));
        let gone = Poll::within(Duration::MAX).until(|| u64::MAX, |_| Verdict::Pending);
        assert_eq!(gone, Err(PollError::Gone));
    }

    #[test]
    fn all_ones_can_be_a_value() {
        let poll = Poll::within(Duration::MAX).all_ones_is_a_value();
        assert_eq!(poll.until(|| u8::MAX, |_| Verdict::Ready), Ok(u8::MAX));
    }
}
