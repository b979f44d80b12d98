//! Where entries go: the sink of a recording.

use super::{
    Answer, Call, Space,
    encode::{self, OTHER},
    head::Head,
    wire::number,
};
use crate::{
    Error, Fault, Offset, Result, Width,
    sim::{Tell, Told},
};
use std::{
    fmt, io,
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// How many bytes are gathered before they are written.
const BATCH: usize = 1 << 14;
/// After how many microseconds they are written in any case, with the next entry.
const SOON: u64 = 100_000;

thread_local! {
    /// Its address tells threads apart.
    static HERE: u8 = const { 0 };
}

/// Where the entries of a recording go.
pub(super) struct Tape {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    sink: Box<dyn Write + Send>,
    /// What is not written yet.
    batch: Vec<u8>,
    /// The time of the last entry, and of the last write, in microseconds.
    last: u64,
    written: u64,
    /// The threads that were seen, and which of them has the turn.
    threads: Vec<usize>,
    turn: usize,
    /// Nothing is written any more.
    is_over: bool,
    failed: Option<io::Error>,
}

impl Tape {
    /// A tape that begins with the head.
    pub(super) fn new(head: &Head, sink: Box<dyn Write + Send>) -> Self {
        let mut batch = Vec::with_capacity(2 * BATCH);
        encode::head(&mut batch, head);
        let here = here();
        Self {
            start: Instant::now(),
            state: Mutex::new(State {
                sink,
                batch,
                last: 0,
                written: 0,
                threads: vec![here],
                turn: here,
                is_over: false,
                failed: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what was done, which is over now.
    pub(super) fn put(&self, call: &Call, answer: &Answer) {
        let here = here();
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        // Under the lock, so that no entry is before the one that it follows.
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        if state.turn != here {
            state.turn_to(here);
        }
        let delta = now.saturating_sub(state.last);
        state.last = now;
        encode::entry(&mut state.batch, delta, call, answer);
        if state.batch.len() >= BATCH || now.saturating_sub(state.written) >= SOON {
            state.written = now;
            state.write();
        }
    }

    /// Writes down what came of a call that gives nothing.
    pub(super) fn put_done(&self, call: &Call, result: &Result<()>) {
        self.put(call, &Answer::of(result));
    }

    /// Ends the recording. The first error of the sink, if there was one, comes now.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.lock();
        if !state.is_over {
            state.batch.extend([OTHER, 0, 0]);
            state.write();
            let flushed = state.sink.flush();
            state.note(flushed);
            state.is_over = true;
        }
        match state.failed.take() {
            None => Ok(()),
            Some(error) => Err(Error::from_os("the recording is not whole", error)),
        }
    }
}

impl State {
    /// What follows is done by this thread.
    #[cold]
    fn turn_to(&mut self, here: usize) {
        self.turn = here;
        let known = self.threads.iter().position(|thread| *thread == here);
        let which = known.unwrap_or_else(|| {
            self.threads.push(here);
            self.threads.len() - 1
        });
        encode::entry(
            &mut self.batch,
            0,
            &Call::Thread(number(which)),
            &Answer::Done,
        );
    }

    /// Writes what has been gathered.
    fn write(&mut self) {
        let written = self.sink.write_all(&self.batch);
        self.batch.clear();
        self.note(written);
    }

    /// Notes that the sink failed, and that there is no more of the recording.
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            if self.failed.is_none() {
                log::error!("the recording ends here, and the driver goes on: {error}");
                self.failed = Some(error);
            }
            self.is_over = true;
        }
    }
}

/// A number that no other thread has now.
fn here() -> usize {
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Tape")
            .field("last", &state.last)
            .field("is_over", &state.is_over)
            .finish_non_exhaustive()
    }
}

/// The part of a tape that is about one region.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) tape: Arc<Tape>,
    pub(super) space: Space,
}

impl Track {
    fn put(&self, call: impl FnOnce(u8) -> Call, answer: &Answer) {
        // Of configuration space there is nothing to tell but accesses.
        if let Space::Bar(index) = self.space {
            self.tape.put(&call(index), answer);
        }
    }
}

impl Tell for Track {
    fn tell(&self, told: Told<'_>) {
        match told {
            Told::Access {
                write,
                at,
                bytes,
                result,
            } => self.access(write, at, bytes, result),
            Told::IsLost(lost) => self.put(Call::IsLost, &Answer::Flag(lost)),
            Told::SetLost(lost) => self.put(|index| Call::SetLost(index, lost), &Answer::Done),
            Told::Revive(result) => self.put(Call::Revive, &Answer::of(result)),
        }
    }
}

impl Track {
    fn access(&self, write: bool, at: Offset, bytes: &[u8], result: Result<(), Fault>) {
        let Some(width) = Width::from_bytes(bytes.len()) else {
            return;
        };
        let (space, at, value) = (self.space, number(at.bytes()), super::value(bytes));
        let call = if write {
            Call::Write {
                space,
                at,
                width,
                value,
            }
        } else {
            Call::Read { space, at, width }
        };
        let answer = match result {
            Err(fault) => Answer::Fault(fault),
            Ok(()) if write => Answer::Done,
            Ok(()) => Answer::Value(value),
        };
        self.tape.put(&call, &answer);
    }
}
