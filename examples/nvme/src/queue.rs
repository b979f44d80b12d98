//! A pair of queues: commands go into one, completions come out of the other.

use crate::{
    command::{Command, Completion, CompletionEntry, QueueAt},
    registers::{self, CAP, Doorbell, Registers},
    ring::Ring,
};
use io_core::{
    AccessError, Error, ErrorKind, Io, Result,
    dma::{DmaBuffer, DmaOptions, DmaSpace},
    irq::Interrupt,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How often the memory is looked at before the clock is.
const SPINS: u32 = 1000;
/// How often the controller is looked at while nothing is completed.
const GLANCE: Duration = Duration::from_millis(100);

/// How many entries each queue of a pair has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    pub submission: u16,
    /// As many at least.
    pub completion: u16,
}

/// A submission queue, and the completion queue of the same number.
#[derive(Debug)]
pub struct QueuePair {
    id: u16,
    submission: Half,
    completion: Half,
    /// What tells of completions; without it, the memory is looked at all the time.
    interrupt: Option<Box<dyn Interrupt>>,
}

/// A queue in memory.
#[derive(Debug)]
struct Half {
    memory: DmaBuffer,
    /// The tail of submissions, or the head of completions.
    ring: Ring,
    doorbell: Doorbell,
    /// What the doorbell was told last.
    told: u16,
}

impl QueuePair {
    /// Memory for queues of so many entries, which are zeros.
    pub fn new(
        space: &DmaSpace,
        (id, entries): (u16, Entries),
        cap: CAP,
        interrupt: Option<Box<dyn Interrupt>>,
    ) -> Result<Self> {
        let (submission, completion) = Doorbell::pair(id, cap);
        Ok(Self {
            id,
            submission: Half::new::<Command>(space, entries.submission, submission)?,
            completion: Half::new::<CompletionEntry>(space, entries.completion, completion)?,
            interrupt,
        })
    }

    /// Where the submission queue is.
    pub fn submission(&self) -> QueueAt {
        self.submission.at(self.id)
    }

    /// Where the completion queue is.
    pub fn completion(&self) -> QueueAt {
        self.completion.at(self.id)
    }

    /// The interrupt vector of the completion queue.
    pub fn vector(&self) -> Option<u16> {
        let vector = self.interrupt.as_ref()?.vector();
        u16::try_from(vector).ok()
    }

    /// Puts a command into its queue, of which the controller knows after [`ring`](Self::ring). The caller knows that
    /// there is room.
    pub fn push(&mut self, id: u16, command: &Command) -> Result<(), AccessError> {
        let size = size_of::<Command>();
        let offset = size * usize::from(self.submission.ring.index());
        let entry = self.submission.memory.view().subview::<0>(offset, size)?;
        command.put(id, entry.try_cast()?)?;
        self.submission.ring.advance();
        Ok(())
    }

    /// Takes a completion out of its queue, if there is one.
    pub fn pop(&mut self) -> Result<Option<Completion>, AccessError> {
        let size = size_of::<CompletionEntry>();
        let ring = &mut self.completion.ring;
        let offset = size * usize::from(ring.index());
        let entry = self.completion.memory.view().subview::<0>(offset, size)?;
        let completion = Completion::take(entry.try_cast()?, ring.phase());
        if completion.is_some() {
            ring.advance();
        }
        Ok(completion)
    }

    /// Tells the controller what was pushed and, unless that can wait, what was popped.
    ///
    /// What is in memory is there before the doorbell rings: the accessor sees to it.
    pub fn ring(&mut self, registers: Registers<'_>) -> Result<(), AccessError> {
        // First the room for completions, and then what they will be of.
        if self.completion.untold() > self.patience() {
            self.completion.tell(registers)?;
        }
        self.submission.tell(registers)
    }

    /// How many completions the controller may take for not yet popped, so that not each of them costs a write to a
    /// doorbell. There is room for those of all commands that may be under way still, and as much again.
    fn patience(&self) -> u16 {
        match self.interrupt {
            // It may be that the controller signals no others before it knows of these.
            Some(_) => 0,
            None => {
                let [commands, completions] =
                    [&self.submission, &self.completion].map(|half| half.ring.entries());
                completions.saturating_sub(commands) / 2
            }
        }
    }

    /// Tells the controller of all that was pushed, and waits for a completion: `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// The controller does not run any more.
    pub fn wait(
        &mut self,
        registers: Registers<'_>,
        timeout: Duration,
    ) -> Result<Option<Completion>> {
        if let Some(completion) = self.pop()? {
            return Ok(Some(completion));
        }
        self.ring(registers)?;
        if self.interrupt.is_none() {
            // Most often it is there before there is need of a clock.
            if let Some(completion) = self.look()? {
                return Ok(Some(completion));
            }
        }
        let started = Instant::now();
        let mut glances = 1;
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            let completion = match &self.interrupt {
                Some(interrupt) => match interrupt.wait(left.min(GLANCE))? {
                    Some(_) => self.pop()?,
                    None => None,
                },
                None => {
                    // Others may have work to do.
                    thread::yield_now();
                    self.look()?
                }
            };
            if completion.is_some() {
                return Ok(completion);
            }
            if left.is_zero() || started.elapsed() >= GLANCE * glances {
                glances += 1;
                if registers::trouble(registers).is_some() {
                    let message = "commands are under way";
                    return Err(Error::new(ErrorKind::Lost, message));
                }
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// What it means that nothing was completed in so long.
    pub fn timed_out(&mut self, timeout: Duration) -> Error {
        let what = match self.pop() {
            Ok(Some(_)) => "a command was completed, and its interrupt did not come",
            _ => "no command was completed",
        };
        Error::new(ErrorKind::TimedOut, format!("{what} within {timeout:?}"))
    }

    /// Looks for a completion for a while. There is no `hint::spin_loop()` in it: QEMU leaves the emulated code at each, and
    /// a real processor pauses.
    fn look(&mut self) -> Result<Option<Completion>, AccessError> {
        for _ in 0..SPINS {
            if let Some(completion) = self.pop()? {
                return Ok(Some(completion));
            }
        }
        Ok(None)
    }
}

impl Half {
    /// A queue of so many `T`.
    fn new<T>(space: &DmaSpace, entries: u16, doorbell: Doorbell) -> Result<Self> {
        let len = size_of::<T>() * usize::from(entries);
        Ok(Self {
            memory: space.allocate(len, DmaOptions::default())?.share()?,
            ring: Ring::new(entries),
            doorbell,
            told: 0,
        })
    }

    fn at(&self, id: u16) -> QueueAt {
        QueueAt {
            id,
            entries: self.ring.entries(),
            at: self.memory.iova(),
        }
    }

    /// How far the index has gone on since the controller was told.
    fn untold(&self) -> u16 {
        let (index, entries) = (self.ring.index(), self.ring.entries());
        match index.checked_sub(self.told) {
            Some(ahead) => ahead,
            // It went round.
            None => entries - self.told + index,
        }
    }

    fn tell(&mut self, registers: Registers<'_>) -> Result<(), AccessError> {
        let index = self.ring.index();
        if index != self.told {
            registers.try_write32(self.doorbell.0, u32::from(index))?;
            self.told = index;
        }
        Ok(())
    }
}
