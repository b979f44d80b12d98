//! The recording that a replay follows: what comes next, and where the driver parted from it.

use super::{
    Answer, Call, Ending, Entry, Reader, Space,
    head::Head,
    line::{Line, Lines},
    wire::Take,
};
use crate::{Error, ErrorKind, Result, irq::InterruptKind};
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// How long a thread waits for the others to do what comes before.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same, if no other has been seen.
const PATIENCE_ALONE: Duration = Duration::from_millis(500);

/// Where a driver parted from the recording that it was replayed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deviation {
    /// The entry of the recording that should have come, from 1 on.
    pub number: u64,
    /// When it was over, since the recording began.
    pub time: Duration,
    /// What was recorded.
    pub expected: String,
    /// What the driver did.
    pub found: String,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            time,
            expected,
            found,
        } = self;
        let time = time.as_secs_f64();
        write!(
            f,
            "at entry {number} of the recording, {time:.6} s after its begin, there was {expected}, and now comes {found}"
        )
    }
}

/// The recording that a replay follows.
pub(super) struct Script {
    bytes: Vec<u8>,
    known: Known,
    state: Mutex<State>,
    /// Somebody had a turn.
    turn: Condvar,
}

/// What the whole of a recording says of its device, whatever the order.
#[derive(Debug)]
struct Known {
    bars: BTreeMap<u8, Answer>,
    interrupts: BTreeMap<InterruptKind, Answer>,
    threads: bool,
    entries: u64,
    ending: Ending,
}

struct State {
    /// The next entry, and where the one behind it is.
    next: Option<Entry>,
    position: usize,
    /// The last entry that was passed.
    number: u64,
    time: Duration,
    /// Configuration space as it was read last.
    config: Vec<u8>,
    deviation: Option<Deviation>,
    lines: Lines,
    /// Who has had a turn, or waited for one, in a recording with several threads.
    threads: HashSet<ThreadId>,
}

impl Script {
    pub(super) fn new(bytes: Vec<u8>) -> Result<(Head, Self)> {
        let (head, mut reader) = Reader::with_head(&bytes)?;
        let position = reader.bytes_read();
        let known = Known::of(&mut reader);
        let state = State {
            next: None,
            position,
            number: 0,
            time: Duration::ZERO,
            config: head.config.clone(),
            deviation: None,
            lines: Lines::default(),
            threads: HashSet::new(),
        };
        let script = Self {
            bytes,
            known,
            state: Mutex::new(state),
            turn: Condvar::new(),
        };
        script.advance(&mut script.lock());
        Ok((head, script))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ending(&self) -> Ending {
        self.known.ending
    }

    /// How many entries are left.
    pub(super) fn left(&self) -> u64 {
        self.known.entries.saturating_sub(self.lock().number)
    }

    pub(super) fn deviation(&self) -> Option<Deviation> {
        self.lock().deviation.clone()
    }

    /// What a BAR, or a kind of interrupt, was found to be anywhere in the recording.
    pub(super) fn bar(&self, index: u8) -> Option<&Answer> {
        self.known.bars.get(&index)
    }

    pub(super) fn interrupts(&self, kind: InterruptKind) -> Option<&Answer> {
        self.known.interrupts.get(&kind)
    }

    /// Does what has to come now, and says what came of it. What may come at any time is passed over. A thread of a
    /// recording with several waits for its turn.
    pub(super) fn perform(&self, call: &Call) -> Result<Answer> {
        let mut state = self.lock();
        if self.known.threads {
            state.threads.insert(thread::current().id());
        }
        let (mut since, mut seen) = (Instant::now(), state.number);
        loop {
            if let Some(deviation) = &state.deviation {
                return Err(deviated(deviation));
            }
            if let Some(answer) = self.take(&mut state, call, false) {
                self.turn.notify_all();
                return Ok(answer);
            }
            if state.number != seen {
                (since, seen) = (Instant::now(), state.number);
            }
            let alone = state.threads.len() < 2;
            let patience = if alone { PATIENCE_ALONE } else { PATIENCE };
            let left = patience.saturating_sub(since.elapsed());
            if !self.known.threads || left.is_zero() {
                return Err(self.deviate(&mut state, call.to_string()));
            }
            let waited = self.turn.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Does what gives nothing.
    pub(super) fn done(&self, call: &Call) -> Result<()> {
        match self.perform(call)? {
            Answer::Done => Ok(()),
            Answer::Failed(failure) => Err(failure.into()),
            _ => Err(self.wrong(call)),
        }
    }

    /// The recording has an answer that the call cannot have.
    pub(super) fn wrong(&self, call: &Call) -> Error {
        self.refuse(&format!("{call}, whose answer is damaged"))
    }

    /// What came of a call that may come at any time, if it comes now.
    pub(super) fn glance(&self, call: &Call) -> Option<Answer> {
        let mut state = self.lock();
        let answer = self.take(&mut state, call, true);
        if answer.is_some() {
            self.turn.notify_all();
        }
        answer
    }

    /// Ends the replay: the recording, or the driver, has something that cannot be.
    pub(super) fn refuse(&self, found: &str) -> Error {
        let mut state = self.lock();
        match &state.deviation {
            Some(deviation) => deviated(deviation),
            None => self.deviate(&mut state, found.to_owned()),
        }
    }

    /// What was read last of configuration space.
    pub(super) fn config(&self, at: usize, bytes: &mut [u8]) {
        let state = self.lock();
        for (to, from) in bytes.iter_mut().zip(state.config.iter().skip(at)) {
            *to = *from;
        }
    }

    /// A descriptor that is readable when `call` comes next.
    pub(super) fn line(&self, call: Call) -> Result<Arc<Line>> {
        let mut state = self.lock();
        let line = state.lines.add(call)?;
        self.light(&mut state);
        Ok(line)
    }

    /// Passes the next entry that is this call, if there is none before it that has to come first. If there is one, what
    /// may be passed before it has been, unless it is to stay (`or_stay`).
    fn take(&self, state: &mut State, call: &Call, or_stay: bool) -> Option<Answer> {
        let before =
            or_stay.then(|| (state.next.clone(), state.position, state.number, state.time));
        let config = or_stay.then(|| state.config.clone());
        let answer = loop {
            match &state.next {
                Some(next) if next.call == *call => break Some(next.answer.clone()),
                Some(next) if may_be_passed(&next.call) => self.advance(state),
                _ => break None,
            }
        };
        if answer.is_some() {
            self.advance(state);
        } else if let (Some(before), Some(config)) = (before, config) {
            (state.next, state.position, state.number, state.time) = before;
            state.config = config;
        }
        self.light(state);
        answer
    }

    /// Passes the next entry.
    fn advance(&self, state: &mut State) {
        if let Some(entry) = state.next.take() {
            (state.number, state.time) = (entry.number, entry.time);
            if let (
                Call::Read {
                    space: Space::Config,
                    at,
                    width,
                },
                Answer::Value(value),
            ) = (&entry.call, &entry.answer)
            {
                let at = usize::try_from(*at).unwrap_or(usize::MAX);
                let bytes = value.to_le_bytes();
                let to = state.config.iter_mut().skip(at).take(width.bytes());
                to.zip(bytes).for_each(|(to, from)| *to = from);
            }
        }
        let mut reader = self.reader(state);
        let next = reader.next();
        state.position = reader.bytes_read();
        state.next = next;
    }

    fn reader(&self, state: &State) -> Reader<'_> {
        let rest = self.bytes.get(state.position..).unwrap_or_default();
        let time = u64::try_from(state.time.as_micros()).unwrap_or(u64::MAX);
        Reader::at(self.bytes.len(), Take { rest }, state.number, time)
    }

    /// Makes the descriptor readable that the driver waits for next.
    fn light(&self, state: &mut State) {
        if state.lines.is_empty() {
            return;
        }
        let reader = self.reader(state);
        let coming = state.next.clone().into_iter().chain(reader);
        let next = coming
            .map(|entry| entry.call)
            .find(|call| !may_be_passed(call));
        state.lines.light(next.as_ref());
    }

    fn deviate(&self, state: &mut State, found: String) -> Error {
        let (number, time, expected) = match &state.next {
            Some(next) => (next.number, next.time, next.call.to_string()),
            None => (state.number + 1, state.time, self.end()),
        };
        let deviation = Deviation {
            number,
            time,
            expected,
            found,
        };
        log::error!("the driver parts from the recording: {deviation}");
        let error = deviated(&deviation);
        state.deviation = Some(deviation);
        self.turn.notify_all();
        error
    }

    /// What comes after the last entry.
    fn end(&self) -> String {
        match self.known.ending {
            Ending::Finished => "the end".to_owned(),
            Ending::Cut => "the place where it is cut off".to_owned(),
            Ending::Damaged(at) => format!("nothing that can be read: byte {at} is damaged"),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Script")
            .field("known", &self.known)
            .field("next", &state.next)
            .field("deviation", &state.deviation)
            .finish_non_exhaustive()
    }
}

impl Known {
    fn of(reader: &mut Reader<'_>) -> Self {
        let mut known = Self {
            bars: BTreeMap::new(),
            interrupts: BTreeMap::new(),
            threads: false,
            entries: 0,
            ending: Ending::Cut,
        };
        for entry in reader.by_ref() {
            known.entries = entry.number;
            match entry.call {
                Call::Bar(index) => {
                    known.bars.entry(index).or_insert(entry.answer);
                }
                Call::InterruptInfo(kind) => {
                    known.interrupts.entry(kind).or_insert(entry.answer);
                }
                Call::Thread(_) => known.threads = true,
                _ => {}
            }
        }
        known.ending = reader.ending().unwrap_or(Ending::Cut);
        known
    }
}

/// Whether it may come at any time, or not at all: what only asks, and what only lets go.
fn may_be_passed(call: &Call) -> bool {
    matches!(
        call,
        Call::Read {
            space: Space::Config,
            ..
        } | Call::Bar(_)
            | Call::IsLost(_)
            | Call::SetLost(..)
            | Call::InterruptInfo(_)
            | Call::Disable(..)
            | Call::Unwatch
            | Call::Allocate(_)
            | Call::Unmap(_)
            | Call::Thread(_)
    )
}

fn deviated(deviation: &Deviation) -> Error {
    Error::new(ErrorKind::Other, deviation.to_string())
}
