//! Writes to `/sys` that are waited for until a deadline: the kernel may take for ever.
//!
//! An unbind waits in the kernel until nobody has the device open, and no signal ends that; neither does the end of the
//! process, as long as one of its threads is in there. So a program names a helper, another process that writes for it
//! and may be left behind. Without a helper a thread writes.

use crate::{SysfsWrite, host};
use io_core::{Error, ErrorKind, Result};
use serde_json::Value;
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// What an answer of the helper says where the operating system gave no number.
const NO_ERRNO: i32 = -1;

/// Writes, one after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    helper: Option<Helper>,
    stuck: bool,
}

impl Writer {
    /// A writer that has this command write, if there is one.
    pub(crate) fn new(helper: Option<&[OsString]>) -> Result<Self> {
        let helper = helper.and_then(<[OsString]>::split_first);
        let start = |(program, arguments): (&OsString, &[_])| Helper::start(program, arguments);
        Ok(Self {
            helper: helper.map(start).transpose()?,
            stuck: false,
        })
    }

    /// Whether the kernel was not through with a write in time. Nothing more can be written then.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Writes, and waits until the kernel is through with it, or the deadline has passed.
    pub(crate) fn write(&mut self, step: &SysfsWrite, timeout: Duration) -> Result<()> {
        log::debug!("{step}");
        let done = match &mut self.helper {
            None => {
                let (sender, done) = channel();
                let step = step.clone();
                thread::spawn(move || sender.send(write(&step)));
                done.recv_timeout(timeout)
            }
            Some(helper) => {
                helper.ask(step)?;
                helper.answers.recv_timeout(timeout)
            }
        };
        match done {
            Ok(written) => written.map_err(|e| host::cannot_write(&step.path, &step.value, e)),
            Err(RecvTimeoutError::Timeout) => {
                self.stuck = true;
                let message = format!("the kernel is not through with `{step}` after {timeout:?}");
                Err(Error::new(ErrorKind::TimedOut, message))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the helper that writes to /sys has ended";
                Err(Error::new(ErrorKind::Other, message))
            }
        }
    }
}

/// A process that writes. It ends when this is dropped, unless the kernel holds it.
#[derive(Debug)]
pub(crate) struct Helper {
    requests: ChildStdin,
    answers: Receiver<io::Result<()>>,
    _child: Child,
}

impl Helper {
    fn start(program: &OsString, arguments: &[OsString]) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let cannot = |e| Error::from_os(format!("cannot start {}", program.to_string_lossy()), e);
        let mut child = command.spawn().map_err(cannot)?;
        let (requests, answers) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .expect("two pipes");
        let (sender, receiver) = channel();
        // It ends with the helper; or with this process, however the helper fares.
        thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(io::Result::ok) {
                let answer = match line.parse() {
                    Ok(0) => Ok(()),
                    Ok(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
                    _ => Err(io::ErrorKind::Other.into()),
                };
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            requests,
            answers: receiver,
            _child: child,
        })
    }

    fn ask(&mut self, step: &SysfsWrite) -> Result<()> {
        let request = Value::from(vec![
            step.path.to_string_lossy().into_owned(),
            step.value.clone(),
        ]);
        writeln!(self.requests, "{request}")
            .map_err(|e| Error::from_os("cannot reach the helper that writes to /sys", e))
    }
}

/// The work of a helper (see [`Execution::helper`](crate::Execution::helper)): writes to `/sys` what `requests` say, until
/// they end, and answers each.
///
/// # Errors
///
/// A request or an answer cannot be passed on.
pub fn serve_writes(requests: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    for request in requests.lines() {
        let (path, value): (String, String) = serde_json::from_str(&request?)?;
        let step = SysfsWrite {
            path: path.into(),
            value,
        };
        let answer = match write(&step) {
            Ok(()) => 0,
            Err(e) => e.raw_os_error().unwrap_or(NO_ERRNO),
        };
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn write(step: &SysfsWrite) -> io::Result<()> {
    host::write(&step.path, &step.value)
}
