//! Files of `/sys` that are read and written with a deadline: the kernel may take for ever.
//!
//! An unbind waits in the kernel until nobody has the device open, with the device's lock held, and whoever wants that lock
//! waits too. No signal ends that; neither does the end of the process, as long as one of its threads is in there. So a
//! program names a helper, another process that reads and writes for it and may be left behind. Without a helper a thread
//! does it.

use crate::{Host, SysfsWrite, host};
use io_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// What an answer of the helper says where the operating system gave no number.
const NO_ERRNO: i32 = -1;

/// The helpers of a program: the command that each is, and those that have nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Helpers {
    command: Vec<OsString>,
    idle: Mutex<Vec<Helper>>,
}

impl Helpers {
    pub(crate) fn new(command: Vec<OsString>) -> Self {
        Self {
            command,
            idle: Mutex::default(),
        }
    }

    fn take(&self) -> Result<Helper> {
        let idle = self.lock().pop();
        match (idle, self.command.split_first()) {
            (Some(helper), _) => Ok(helper),
            (None, Some((program, arguments))) => Helper::process(program, arguments),
            (None, None) => Ok(Helper::thread()),
        }
    }

    fn lock(&self) -> impl std::ops::DerefMut<Target = Vec<Helper>> + '_ {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and writes, one after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    helpers: Arc<Helpers>,
    helper: Option<Helper>,
    stuck: bool,
}

impl Writer {
    /// By a helper of this machine's.
    pub(crate) fn new(host: &Host) -> Self {
        Self {
            helpers: Arc::clone(host.helpers()),
            helper: None,
            stuck: false,
        }
    }

    /// Whether the kernel was not through with something in time. Nothing more can be done then.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Writes, and waits until the kernel is through with it, or the deadline has passed.
    pub(crate) fn write(&mut self, step: &SysfsWrite, timeout: Duration) -> Result<()> {
        log::debug!("{step}");
        match self.ask(Request::Write(step.clone()), timeout)? {
            Some(Answer::Done) => Ok(()),
            Some(answer) => Err(host::cannot_write(
                &step.path,
                &step.value,
                answer.into_error(),
            )),
            None => {
                let message = format!("the kernel is not through with `{step}` after {timeout:?}");
                Err(Error::new(ErrorKind::TimedOut, message))
            }
        }
    }

    /// Reads, and waits until the kernel has answered, or the deadline has passed: `None`.
    pub(crate) fn read(&mut self, path: &Path, timeout: Duration) -> Result<Option<String>> {
        match self.ask(Request::Read(path.to_owned()), timeout)? {
            Some(Answer::Text(text)) => Ok(Some(text)),
            Some(answer) => Err(Error::from_os(
                format!("cannot read {}", path.display()),
                answer.into_error(),
            )),
            None => Ok(None),
        }
    }

    fn ask(&mut self, request: Request, timeout: Duration) -> Result<Option<Answer>> {
        let helper = match self.helper.take() {
            Some(helper) => self.helper.insert(helper),
            None => self.helper.insert(self.helpers.take()?),
        };
        helper.ask(request)?;
        match helper.answers.recv_timeout(timeout) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => {
                self.stuck = true;
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.stuck = true;
                let message = "the helper that reads and writes /sys has ended";
                Err(Error::new(ErrorKind::Other, message))
            }
        }
    }
}

/// A process that has nothing to do any more is kept for the next one. One that is stuck is left behind.
impl Drop for Writer {
    fn drop(&mut self) {
        if let (Some(helper), false) = (self.helper.take(), self.stuck) {
            if matches!(helper.requests, Requests::Process(..)) {
                self.helpers.lock().push(helper);
            }
        }
    }
}

#[derive(Debug)]
enum Request {
    Read(PathBuf),
    Write(SysfsWrite),
}

#[derive(Debug)]
enum Answer {
    /// It is written.
    Done,
    /// This was read.
    Text(String),
    /// The system refused.
    Failed(io::Error),
}

impl Request {
    fn carry_out(&self) -> Answer {
        let done = match self {
            Self::Read(path) => host::read_text(path).map(Answer::Text),
            Self::Write(step) => host::write(&step.path, &step.value).map(|()| Answer::Done),
        };
        done.unwrap_or_else(Answer::Failed)
    }

    /// As a line for a helper: the file, and what is written to it.
    fn line(&self) -> Value {
        match self {
            Self::Read(path) => json!([path.to_string_lossy()]),
            Self::Write(step) => json!([step.path.to_string_lossy(), step.value]),
        }
    }

    fn parse(line: &str) -> io::Result<Self> {
        let mut words: Vec<String> = serde_json::from_str(line)?;
        let value = (words.len() > 1).then(|| words.pop()).flatten();
        let path = words.pop().ok_or(io::ErrorKind::InvalidData)?.into();
        Ok(match value {
            Some(value) => Self::Write(SysfsWrite { path, value }),
            None => Self::Read(path),
        })
    }
}

impl Answer {
    /// As a line of a helper: what was read, or a number, 0 if it is written.
    fn line(&self) -> Value {
        match self {
            Self::Done => 0.into(),
            Self::Text(text) => text.as_str().into(),
            Self::Failed(error) => error.raw_os_error().unwrap_or(NO_ERRNO).into(),
        }
    }

    fn parse(line: &str) -> Self {
        let number = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
        match serde_json::from_str(line) {
            Ok(Value::String(text)) => Self::Text(text),
            Ok(value) => match number(&value) {
                Some(0) => Self::Done,
                Some(errno) if errno > 0 => Self::Failed(io::Error::from_raw_os_error(errno)),
                _ => Self::Failed(io::ErrorKind::Other.into()),
            },
            Err(error) => Self::Failed(error.into()),
        }
    }

    fn into_error(self) -> io::Error {
        match self {
            Self::Failed(error) => error,
            Self::Done | Self::Text(_) => io::ErrorKind::InvalidData.into(),
        }
    }
}

/// A process that reads and writes, or a thread. It ends when this is dropped, unless the kernel holds it.
#[derive(Debug)]
struct Helper {
    requests: Requests,
    answers: Receiver<Answer>,
}

#[derive(Debug)]
enum Requests {
    Process(
        ChildStdin,
        #[expect(dead_code, reason = "it is kept as long as it may answer")] Child,
    ),
    Thread(Sender<Request>),
}

impl Helper {
    fn thread() -> Self {
        let (requests, received) = channel::<Request>();
        let (sender, answers) = channel();
        thread::spawn(move || {
            for request in received {
                if sender.send(request.carry_out()).is_err() {
                    return;
                }
            }
        });
        Self {
            requests: Requests::Thread(requests),
            answers,
        }
    }

    fn process(program: &OsString, arguments: &[OsString]) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let cannot = |e| Error::from_os(format!("cannot start {}", program.to_string_lossy()), e);
        let mut child = command.spawn().map_err(cannot)?;
        let (requests, said) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .expect("two pipes");
        let (sender, answers) = channel();
        // It ends with the helper; or with this process, however the helper fares.
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(io::Result::ok) {
                if sender.send(Answer::parse(&line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            requests: Requests::Process(requests, child),
            answers,
        })
    }

    fn ask(&mut self, request: Request) -> Result<()> {
        let asked = match &mut self.requests {
            // All at once: a pipe has no buffer of ours, and each piece would wake the helper.
            Requests::Process(pipe, _) => {
                pipe.write_all(format!("{}\n", request.line()).as_bytes())
            }
            Requests::Thread(sender) => sender
                .send(request)
                .map_err(|_| io::ErrorKind::BrokenPipe.into()),
        };
        asked.map_err(|e| Error::from_os("cannot reach the helper that reads and writes /sys", e))
    }
}

/// The work of a helper (see [`Host::with_helper`]): reads and writes in `/sys` what `requests` say, until they end, and
/// answers each.
///
/// # Errors
///
/// A request or an answer cannot be passed on.
pub fn serve_sysfs(requests: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    for request in requests.lines() {
        let answer = Request::parse(&request?)?.carry_out();
        writeln!(answers, "{}", answer.line())?;
        answers.flush()?;
    }
    Ok(())
}
