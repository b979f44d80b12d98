//! What is wrong with an access, or went wrong with it.

use crate::{Error, ErrorKind, Width};
use std::{error, fmt, io};

/// An access that was not made, because it does not fit its region or because whatever carries it
/// failed.
///
/// It carries everything needed to find the mistake: the offset and length that were asked for, the
/// address and size of the region, and its name, where it has one.
///
/// ```
/// use io_core::{Io, Region, SysMem};
///
/// let mut memory = [0u64; 2];
/// let region = Region::<0>::try_from_raw_parts(memory.as_mut_ptr().cast(), 16)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `map` is used.
/// let map = unsafe { SysMem::from_raw(region) };
///
/// let error = map.try_read32(0x0e).unwrap_err();
/// assert_eq!((error.offset(), error.len(), error.size()), (0x0e, 4, 16));
/// assert!(error.to_string().starts_with("4 bytes at offset 0xe do not fit"));
/// # Ok::<(), io_core::RegionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
// A box, so that what an accessor returns fits in registers.
pub struct AccessError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: AccessErrorKind,
    offset: usize,
    len: usize,
    extent: Extent,
}

/// Where a region is, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The address of its first byte.
    pub base: usize,
    /// Its size in bytes.
    pub size: usize,
    /// What it is a part of.
    pub name: Option<RegionName>,
}

/// What a region is called, or what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionName {
    /// The name, such as "BAR 0 of 0000:01:00.0".
    pub name: String,
    /// How far the region is from the start of what has the name, in bytes.
    pub offset: usize,
}

/// What is wrong with an access, or went wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessErrorKind {
    /// It ends after the region does.
    OutOfBounds,
    /// Its address is not a multiple of this many bytes.
    Misaligned {
        /// The alignment that the access needs, in bytes.
        align: usize,
    },
    /// It is shorter than its type promises.
    TooShort {
        /// The length that the type promises, in bytes.
        need: usize,
    },
    /// Its length is not a multiple of the width that was asked for.
    PartialWidth {
        /// That width.
        width: Width,
    },
    /// It was in order, and did not get through.
    Fault(Fault),
}

/// Why an access that is in order did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The device does not answer any more.
    Lost,
    /// The region takes no accesses of this width.
    Width,
    /// The region cannot be written.
    ReadOnly,
    /// Only so many bytes were transferred.
    Short {
        /// How many.
        done: usize,
    },
    /// The operating system refused, with this error number.
    Os(
        /// The `errno`.
        i32,
    ),
    /// The device is a [replay](crate::record::Replay), and its recording has something else at this place:
    /// [`Replay::deviation`](crate::record::Replay::deviation) says what.
    Deviation,
}

impl AccessError {
    #[cold]
    pub(crate) fn new(
        kind: AccessErrorKind,
        (offset, len): (usize, usize),
        extent: Extent,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            offset,
            len,
            extent,
        }))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> AccessErrorKind {
        self.0.kind
    }

    /// The offset from the start of the region, in bytes. Of a copy that did not get through, it is that
    /// of the access that failed: all before it were made.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The length of the access, in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of an access, not of a container"
    )]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// The address of the region in this process, or its offset in the region that it is a part of where
    /// there are no addresses.
    #[must_use]
    pub fn base(&self) -> usize {
        self.0.extent.base
    }

    /// The size of the region, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.extent.size
    }

    /// What the region is called, or what it is a part of, if it is known.
    #[must_use]
    pub fn region(&self) -> Option<&RegionName> {
        self.0.extent.name.as_ref()
    }

    /// Whether the device does not answer any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.kind == AccessErrorKind::Fault(Fault::Lost)
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            offset,
            len,
            ref extent,
        } = *self.0;
        let unit = if len == 1 { "byte" } else { "bytes" };
        let access = format!("{len} {unit} at offset {offset:#x}");
        match kind {
            AccessErrorKind::OutOfBounds => write!(f, "{access} do not fit in {extent}"),
            AccessErrorKind::Misaligned { align } => {
                write!(
                    f,
                    "{access} of {extent} do not start at a multiple of {align}"
                )
            }
            AccessErrorKind::TooShort { need } => {
                write!(
                    f,
                    "{access} of {extent} are less than the {need} that are needed"
                )
            }
            AccessErrorKind::PartialWidth { width } => write!(
                f,
                "{access} of {extent} are no whole number of {}-byte accesses",
                width.bytes()
            ),
            // The operating system's reason is the source.
            AccessErrorKind::Fault(Fault::Os(_)) => {
                write!(f, "the access to {access} of {extent} failed")
            }
            AccessErrorKind::Fault(fault) => {
                write!(f, "the access to {access} of {extent} failed: {fault}")
            }
        }
    }
}

impl error::Error for AccessError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.kind {
            AccessErrorKind::Fault(fault @ Fault::Os(_)) => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, size, name } = self;
        match name {
            None => write!(f, "the region of {size:#x} bytes at {base:#x}"),
            Some(RegionName { name, offset: 0 }) => write!(f, "{name} ({size:#x} bytes)"),
            Some(RegionName { name, offset }) => {
                write!(f, "the {size:#x} bytes at {offset:#x} of {name}")
            }
        }
    }
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        let kind = match error.kind() {
            AccessErrorKind::Fault(Fault::Lost) => ErrorKind::Lost,
            AccessErrorKind::Fault(Fault::Os(_) | Fault::Short { .. } | Fault::Deviation) => {
                ErrorKind::Other
            }
            AccessErrorKind::Fault(Fault::Width | Fault::ReadOnly) => ErrorKind::Unsupported,
            _ => ErrorKind::InvalidInput,
        };
        let message = error.to_string();
        match error.kind() {
            AccessErrorKind::Fault(Fault::Os(errno)) => {
                Self::new(kind, message).with_source(io::Error::from_raw_os_error(errno))
            }
            _ => Self::new(kind, message),
        }
    }
}

impl Fault {
    /// What the operating system's error number means: ENODEV that the device has gone, any other
    /// nothing but itself.
    #[must_use]
    pub const fn from_errno(errno: i32) -> Self {
        const ENODEV: i32 = 19;
        match errno {
            ENODEV => Self::Lost,
            errno => Self::Os(errno),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("the device does not answer any more"),
            Self::Width => f.write_str("it takes no accesses of this width"),
            Self::ReadOnly => f.write_str("it cannot be written"),
            Self::Short { done } => write!(f, "only {done} bytes were transferred"),
            Self::Os(errno) => io::Error::from_raw_os_error(*errno).fmt(f),
            Self::Deviation => f.write_str("the recording has something else at this place"),
        }
    }
}

impl error::Error for Fault {}
