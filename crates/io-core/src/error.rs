//! The one error of the libraries: what was attempted, what went wrong, and what to do about it.

use crate::RegionError;
use std::{error, fmt, io, result};

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = result::Result<T, E>;

/// What went wrong when something was attempted on a device or on the machine it sits in.
///
/// [`Display`](fmt::Display) says what was attempted and, where the libraries know it, why it
/// failed; an operating system's reason is the [`source`](error::Error::source). The
/// [`hint`](Error::hint) says what to do next.
///
/// ```
/// use io_core::{Error, ErrorKind};
///
/// let denied = std::io::Error::from_raw_os_error(13);
/// let error = Error::new(ErrorKind::PermissionDenied, "cannot open /dev/vfio/7")
///     .with_source(denied)
///     .with_hint("give your user that node: sudo chown $USER /dev/vfio/7");
/// assert_eq!(error.to_string(), "cannot open /dev/vfio/7");
/// assert_eq!(error.errno(), Some(13));
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// The kinds of [`Error`] that a program may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such device, BAR, driver or file.
    NotFound,
    /// The operating system refused for want of a permission.
    PermissionDenied,
    /// Something else uses it now.
    Busy,
    /// The device is not bound to the driver that this needs.
    NotBound,
    /// What was asked for does not fit the device or contradicts itself.
    InvalidInput,
    /// The device does not answer any more: it has been removed, or reset under its driver.
    Lost,
    /// A deadline passed.
    TimedOut,
    /// The machine, its kernel or the device cannot do this.
    Unsupported,
    /// Anything else.
    Other,
}

impl Error {
    /// An error of this kind with a message that says what was attempted.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// An error that the operating system reported, its kind derived from the error number.
    pub fn from_os(message: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::ResourceBusy => ErrorKind::Busy,
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Other,
        };
        Self::new(kind, message).with_source(source)
    }

    /// The same error with the reason behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with a sentence that says what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do next, where the libraries know it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The error number of the operating system, where it was the one that refused.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        let mut source = error::Error::source(self);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return error.raw_os_error();
            }
            source = error.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl From<RegionError> for Error {
    fn from(error: RegionError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}
