//! How a command fails: a sentence, what to do, and an exit status of its own.

use crate::report;
use io_core::ErrorKind;
use serde_json::{Map, Value, json};
use std::{error::Error, io, process::ExitCode};

/// The exit statuses, as the help shows them.
pub const EXIT_CODES: &str = "\
Exit status:
  0   done, or nothing had to be done
  1   failed in a way that has no status of its own
  2   the command line makes no sense
  3   there is no such device, BAR, driver or file
  4   a permission is missing
  5   refused: in use, not bound, or not a device to do this with
  6   what was read back differs from what was written; persist check: something is not as the rules want it
  7   not done in time
  8   the device has gone, or does not answer
  9   the machine, its kernel or the device cannot do this; doctor: something is missing
  10  done for some of the devices
  11  the file cannot be loaded as it is
  120 to 127 of `run`: what befell it, and not the program; see `outboard run --help`";

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    /// More for programs: the fields of this object.
    more: Map<String, Value>,
    /// What is printed all the same, for people.
    text: String,
}

/// The exit statuses of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Whoever read our output has gone away; that is nobody's failure.
    BrokenPipe,
    /// Anything that has no status of its own.
    Other,
    /// There is no such thing.
    NotFound,
    /// A permission is missing.
    Permission,
    /// In use, not bound, or not a device to do this with.
    Refused,
    /// What was read back is not what was written.
    Different,
    /// A deadline passed.
    TimedOut,
    /// The device has gone, or does not answer.
    Lost,
    /// The machine or the device cannot do this.
    Unsupported,
    /// Done for some of the devices.
    Partly,
    /// The file cannot be loaded as it is.
    InvalidFile,
    /// What `run` says of itself, and not of the program that it ran.
    Run(u8),
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Other => 1,
            Self::NotFound => 3,
            Self::Permission => 4,
            Self::Refused => 5,
            Self::Different => 6,
            Self::TimedOut => 7,
            Self::Lost => 8,
            Self::Unsupported => 9,
            Self::Partly => 10,
            Self::InvalidFile => 11,
            Self::Run(code) => code,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::BrokenPipe => "broken_pipe",
            Self::Other => "other",
            Self::NotFound => "not_found",
            Self::Permission => "permission_denied",
            Self::Refused => "refused",
            Self::Different => "different",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
            Self::Unsupported => "unsupported",
            Self::Partly => "partly_done",
            Self::InvalidFile => "invalid_file",
            Self::Run(_) => "run",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl Failure {
    /// A failure with a sentence that says what happened.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            more: Map::new(),
            text: String::new(),
        }
    }

    /// The same failure with a sentence that says what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with a field for programs.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The same failure with what is printed all the same, for people.
    pub fn with_text(mut self, text: String) -> Self {
        self.text = text;
        self
    }

    /// The same failure with another exit status.
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Its exit status.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells the user, and gives the status to exit with.
    pub fn print(self, json: bool) -> ExitCode {
        if self.exit != Exit::BrokenPipe {
            if !json {
                // Nothing is left to be done if it cannot be written.
                let _ = report::print_text(&self.text);
            }
            report::complain("error", &self.message);
            if let Some(hint) = &self.hint {
                report::complain(" hint", hint);
            }
            if json {
                let mut error = self.more;
                error.insert("kind".to_owned(), self.exit.name().into());
                error.insert("exit".to_owned(), self.exit.code().into());
                error.insert("message".to_owned(), self.message.into());
                error.insert("hint".to_owned(), self.hint.into());
                // Nothing is left to be done if this cannot be written either.
                let _ =
                    report::print_json(&json!({ "schema": "outboard.error/1", "error": error }));
            }
        }
        ExitCode::from(self.exit.code())
    }
}

impl From<io_core::Error> for Failure {
    fn from(error: io_core::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::PermissionDenied => Exit::Permission,
            ErrorKind::Busy | ErrorKind::NotBound | ErrorKind::InvalidInput => Exit::Refused,
            ErrorKind::TimedOut => Exit::TimedOut,
            ErrorKind::Lost => Exit::Lost,
            ErrorKind::Unsupported => Exit::Unsupported,
            _ => Exit::Other,
        };
        Self {
            exit,
            message: chain(&error),
            hint: error.hint().map(str::to_owned),
            more: Map::new(),
            text: String::new(),
        }
    }
}

/// A failure to print.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::BrokenPipe, ""),
            _ => Self::new(Exit::Other, format!("cannot print: {error}")),
        }
    }
}

/// An error and everything behind it, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
