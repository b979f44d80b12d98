//! One run of QEMU, watched until the guest's command, the guest, QEMU or the time ends.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::channels::{self, Done};
use crate::error::{Context, Result};
use crate::{ivshmem_server, program};

/// A guest that has not started its command after this time never will. It takes some 5 s.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// The guest says every five seconds that it lives. When it has not for this long, it hangs.
const SILENCE_LIMIT: Duration = Duration::from_secs(90);

/// How long QEMU may take to end when it is asked to.
const END_LIMIT: Duration = Duration::from_secs(3);

/// How long output may still be on its way when QEMU has ended.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);

/// What can happen in a run.
pub enum Event {
    /// The guest starts its command.
    Up,
    /// The guest lives.
    Alive,
    /// So many bytes of the command's output were passed on.
    Copied(usize),
    /// Our own stdout or stderr takes no more.
    CannotWrite(io::Error),
    /// The command ended; `None` if the guest could not tell how.
    Done(Option<Done>),
    /// QEMU ended.
    Ended(io::Result<ExitStatus>),
    /// We were asked to stop.
    Interrupted,
}

/// How a run ended.
pub enum Outcome {
    /// The command ended, with this status.
    Exit(u8),
    /// QEMU could not start the machine.
    Refused(ExitStatus),
    /// The guest ended, by a panic or by its own will, without the command's status.
    SwitchedOff {
        /// Whether it had started the command.
        up: bool,
    },
    /// QEMU ended, or the guest hangs. The sentence says which.
    Lost(String),
    /// The time that the user gave was over.
    TimedOut(Duration),
    /// We were asked to stop.
    Interrupted,
}

/// A running QEMU.
pub struct Machine {
    id: Pid,
    events: Receiver<Event>,
    ended: bool,
}

impl Machine {
    /// Starts `qemu`, whose serial ports are connected to the sockets in `folder`.
    ///
    /// It runs under `setpriv --pdeathsig`: when we die, by whatever signal, it dies. That is also why this must be
    /// called from the main thread.
    pub fn start(qemu: &mut Command, folder: &Path) -> Result<Self> {
        let (sender, events) = channel();
        let signals = SigSet::from_iter([Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block()?;
        report_signals(signals, sender.clone());
        channels::open(folder, &sender)?;
        ivshmem_server::start(folder)?;
        // A process inherits what is blocked, and QEMU is to end when it is asked to.
        signals.thread_unblock()?;
        let child = qemu.spawn();
        signals.thread_block()?;
        let mut child = child.context(|| format!("cannot start `{}`", program::line(qemu)))?;
        let id = Pid::from_raw(i32::try_from(child.id())?);
        thread::spawn(move || {
            let _ = sender.send(Event::Ended(child.wait()));
        });
        Ok(Self {
            id,
            events,
            ended: false,
        })
    }

    /// Waits for the end, whichever it is, and leaves no QEMU behind. The command may take `timeout`.
    ///
    /// # Errors
    ///
    /// What the command writes cannot be passed on.
    pub fn watch(mut self, timeout: Option<Duration>) -> Result<Outcome> {
        let outcome = self.follow(timeout);
        self.end();
        outcome
    }

    fn follow(&mut self, timeout: Option<Duration>) -> Result<Outcome> {
        let mut since = Instant::now();
        let mut heard = since;
        let mut up = false;
        let mut copied = 0;
        let mut done: Option<Done> = None;
        loop {
            if let Some(Done { code, bytes }) = done {
                if copied >= bytes {
                    return Ok(Outcome::Exit(code));
                }
            }
            let left = |limit: Duration, since: Instant| limit.saturating_sub(since.elapsed());
            let wait = match timeout {
                _ if !up => left(BOOT_LIMIT, since),
                Some(timeout) => left(timeout, since).min(left(SILENCE_LIMIT, heard)),
                None => left(SILENCE_LIMIT, heard),
            };
            match self.next(wait) {
                Some(Event::Up) => {
                    up = true;
                    since = Instant::now();
                    heard = since;
                }
                Some(Event::Alive) => heard = Instant::now(),
                Some(Event::Copied(bytes)) => copied += u64::try_from(bytes)?,
                Some(Event::CannotWrite(error)) => {
                    return Err(error).context(
                        || "the command's output cannot be passed on; the guest was ended",
                    );
                }
                Some(Event::Done(Some(report))) => done = Some(report),
                Some(Event::Done(None)) => {
                    let sentence = "the guest could not say how the command ended";
                    return Ok(Outcome::Lost(sentence.to_owned()));
                }
                Some(Event::Ended(status)) => {
                    let status = status.context(|| "cannot wait for QEMU")?;
                    return Ok(self.gone(status, up));
                }
                Some(Event::Interrupted) => return Ok(Outcome::Interrupted),
                None => return Ok(late(up, timeout.filter(|limit| since.elapsed() >= *limit))),
            }
        }
    }

    fn gone(&mut self, status: ExitStatus, up: bool) -> Outcome {
        // QEMU exits when it refuses its arguments; it does not die of a signal.
        if !up && status.code().is_some_and(|code| code != 0) {
            return Outcome::Refused(status);
        }
        // Pass on what the command wrote last.
        let start = Instant::now();
        while self
            .next(DRAIN_LIMIT.saturating_sub(start.elapsed()))
            .is_some()
        {}
        if status.success() {
            Outcome::SwitchedOff { up }
        } else {
            Outcome::Lost(format!("QEMU ended before the command did ({status})"))
        }
    }

    /// The next event, or nothing when `limit` is over.
    fn next(&mut self, limit: Duration) -> Option<Event> {
        let event = self.events.recv_timeout(limit);
        self.ended |= matches!(event, Ok(Event::Ended(_)));
        event.ok()
    }

    /// Ends QEMU: politely first, so that it puts the terminal in order.
    fn end(&mut self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if !self.ended {
                // It may have ended by itself in this moment.
                let _ = kill(self.id, signal);
            }
            let start = Instant::now();
            while !self.ended && start.elapsed() < END_LIMIT {
                self.next(END_LIMIT.saturating_sub(start.elapsed()));
            }
        }
    }
}

/// What it means that nothing more was heard: before the command was `up`, when its time is over, or between.
fn late(up: bool, over: Option<Duration>) -> Outcome {
    match over {
        _ if !up => Outcome::Lost(format!(
            "the guest did not start the command within {} s",
            BOOT_LIMIT.as_secs()
        )),
        Some(timeout) => Outcome::TimedOut(timeout),
        None => Outcome::Lost(format!(
            "the guest hangs: it gave no sign of life for {} s",
            SILENCE_LIMIT.as_secs()
        )),
    }
}

/// Signals that ask us to stop are events, so that no QEMU and no file is left behind. They must be blocked in this
/// thread, and in those that it starts.
fn report_signals(signals: SigSet, events: Sender<Event>) {
    thread::spawn(move || {
        while signals.wait().is_ok() {
            if events.send(Event::Interrupted).is_err() {
                // The run is over.
                std::process::exit(130);
            }
        }
    });
}
