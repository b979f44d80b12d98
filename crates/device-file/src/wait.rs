//! Waiting for what a descriptor tells of.

use nix::{
    Result,
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

/// What `take` finds, which is asked first, and again whenever `fd` is readable: `None` if there was nothing within
/// `timeout`.
///
/// # Errors
///
/// Those of `take`, and of poll(2).
pub fn until_some<T>(
    fd: BorrowedFd<'_>,
    timeout: Duration,
    mut take: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    // Most often there is need of neither a clock nor poll.
    if let Some(taken) = take()? {
        return Ok(Some(taken));
    }
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        // Rounded up, so that it is not looked again and again in the last millisecond.
        let wait = left.map_or(PollTimeout::NONE, |left| {
            let millis = left.as_micros().div_ceil(1000);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        if let Some(taken) = take()? {
            return Ok(Some(taken));
        }
    }
}
