//! What a driver does with a device, and what comes of it, as values.

use crate::{
    Error, ErrorKind, Fault, Width,
    dma::{DmaDirection, Iova},
    event::DeviceEvent,
    irq::{InterruptInfo, InterruptKind},
};
use std::{fmt, io, time::Duration};

/// A region of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a function has no others")]
pub enum Space {
    /// The BAR of this index.
    Bar(u8),
    /// Configuration space.
    Config,
}

/// What is done with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// A register is read.
    Read {
        /// In which region.
        space: Space,
        /// At which offset, in bytes.
        at: u64,
        /// By an access of this width.
        width: Width,
    },
    /// A register is written.
    Write {
        /// In which region.
        space: Space,
        /// At which offset, in bytes.
        at: u64,
        /// By an access of this width.
        width: Width,
        /// What is written.
        value: u64,
    },
    /// The BAR of this index is asked for.
    Bar(u8),
    /// It is asked whether a BAR is lost.
    IsLost(u8),
    /// A BAR is said to be lost, or not to be any more.
    SetLost(u8, bool),
    /// A BAR is revived.
    Revive(u8),
    /// It is asked what there is of a kind of interrupt.
    InterruptInfo(InterruptKind),
    /// So many vectors are enabled, from the first on.
    Enable(InterruptKind, u32, u32),
    /// A vector is dropped.
    Disable(InterruptKind, u32),
    /// A vector is waited for; the call is over when something came, or the time was over.
    Wait(InterruptKind, u32),
    /// A vector is masked.
    Mask(InterruptKind, u32),
    /// A vector is unmasked.
    Unmask(InterruptKind, u32),
    /// A vector is signalled by the driver.
    Trigger(InterruptKind, u32),
    /// The device is watched for events.
    Watch,
    /// The watch is dropped.
    Unwatch,
    /// An event is waited for.
    WaitForEvent,
    /// An event is signalled by the driver.
    TriggerEvent(DeviceEvent),
    /// Memory of so many bytes is asked for.
    Allocate(u64),
    /// So many bytes of memory are mapped for the device.
    Map(u64, DmaDirection),
    /// What was mapped there is unmapped.
    Unmap(Iova),
    /// The driver looks at the memory that is mapped there.
    Look(Iova),
    /// Bus mastering is switched.
    BusMaster(bool),
    /// Memory decoding is switched.
    MemoryDecode(bool),
    /// The device is reset.
    Reset,
    /// What follows is done by the thread of this number.
    Thread(u64),
    /// The recording ends.
    End,
}

/// What comes of a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done,
    /// What was read.
    Value(u64),
    /// The access did not get through.
    Fault(Fault),
    /// It failed.
    Failed(Failure),
    /// Whether it is so.
    Flag(bool),
    /// So many events came, or none.
    Came(Option<u64>),
    /// This happened to the device, or nothing.
    Event(Option<DeviceEvent>),
    /// A BAR of so many bytes, which takes accesses up to this width.
    Bar(u64, Width),
    /// What there is of a kind of interrupt.
    Info(InterruptInfo),
    /// The address of what was mapped.
    Iova(Iova),
    /// What is other than it was when the driver looked last: runs of bytes, each with its offset.
    Memory(Vec<(u64, Vec<u8>)>),
}

/// An [`Error`], as far as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is read")]
pub struct Failure {
    /// Its kind.
    pub kind: ErrorKind,
    /// Its sentence.
    pub message: String,
    /// What to do next, where that was known.
    pub hint: Option<String>,
    /// The number of the operating system's error behind it, if there was one.
    pub errno: Option<i32>,
}

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is read")]
pub struct Entry {
    /// Which it is, from 1 on.
    pub number: u64,
    /// When it was over, since the recording began.
    pub time: Duration,
    /// What was done.
    pub call: Call,
    /// What came of it.
    pub answer: Answer,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            errno: error.errno(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure.kind, failure.message);
        if let Some(hint) = failure.hint {
            error = error.with_hint(hint);
        }
        match failure.errno {
            Some(errno) => error.with_source(io::Error::from_raw_os_error(errno)),
            None => error,
        }
    }
}

impl Answer {
    /// What came of a call that gives nothing.
    pub(super) fn of(result: &crate::Result<()>) -> Self {
        Self::from_result(result, |()| Self::Done)
    }

    pub(super) fn from_result<T>(
        result: &crate::Result<T>,
        answer: impl FnOnce(&T) -> Self,
    ) -> Self {
        match result {
            Ok(value) => answer(value),
            Err(error) => Self::Failed(error.into()),
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bar(index) => write!(f, "BAR {index}"),
            Self::Config => f.write_str("configuration space"),
        }
    }
}

/// As in "there was ...".
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { space, at, width } => {
                let bits = 8 * width.bytes();
                write!(f, "a read of {bits} bits at {at:#x} of {space}")
            }
            Self::Write {
                space,
                at,
                width,
                value,
            } => {
                let bits = 8 * width.bytes();
                write!(
                    f,
                    "a write of {value:#x} ({bits} bits) at {at:#x} of {space}"
                )
            }
            Self::Bar(index) => write!(f, "a request for BAR {index}"),
            Self::IsLost(index) => write!(f, "the question whether BAR {index} is lost"),
            Self::SetLost(index, lost) => write!(f, "the news that BAR {index} is lost: {lost}"),
            Self::Revive(index) => write!(f, "a revival of BAR {index}"),
            Self::InterruptInfo(kind) => write!(f, "the question for {kind}"),
            Self::Enable(kind, first, count) => {
                write!(f, "the enabling of {count} vectors of {kind} from {first}")
            }
            Self::Disable(kind, vector) => write!(f, "the end of vector {vector} of {kind}"),
            Self::Wait(kind, vector) => write!(f, "a wait for vector {vector} of {kind}"),
            Self::Mask(kind, vector) => write!(f, "the masking of vector {vector} of {kind}"),
            Self::Unmask(kind, vector) => write!(f, "the unmasking of vector {vector} of {kind}"),
            Self::Trigger(kind, vector) => write!(f, "a signal on vector {vector} of {kind}"),
            Self::Watch => f.write_str("the beginning of a watch for events"),
            Self::Unwatch => f.write_str("the end of a watch for events"),
            Self::WaitForEvent => f.write_str("a wait for an event"),
            Self::TriggerEvent(event) => write!(f, "a signal that {event}"),
            Self::Allocate(len) => write!(f, "a request for {len:#x} bytes of memory"),
            Self::Map(len, direction) => {
                write!(f, "the mapping of {len:#x} bytes, {direction:?}")
            }
            Self::Unmap(iova) => write!(f, "the unmapping of what is at {iova}"),
            Self::Look(iova) => write!(f, "a look at the memory at {iova}"),
            Self::BusMaster(on) => write!(f, "bus mastering switched {}", on_or_off(*on)),
            Self::MemoryDecode(on) => write!(f, "memory decoding switched {}", on_or_off(*on)),
            Self::Reset => f.write_str("a reset"),
            Self::Thread(number) => write!(f, "a turn of thread {number}"),
            Self::End => f.write_str("the end of the recording"),
        }
    }
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Value(value) => write!(f, "{value:#x}"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Failed(failure) => f.write_str(&failure.message),
            Self::Flag(flag) => flag.fmt(f),
            Self::Came(None) | Self::Event(None) => f.write_str("nothing came"),
            Self::Came(Some(count)) => write!(f, "{count} came"),
            Self::Event(Some(event)) => event.fmt(f),
            Self::Bar(size, widest) => {
                let bits = 8 * widest.bytes();
                write!(f, "{size:#x} bytes, by up to {bits} bits")
            }
            Self::Info(info) => write!(f, "{} vectors", info.count),
            Self::Iova(iova) => iova.fmt(f),
            Self::Memory(runs) => {
                let len: usize = runs.iter().map(|(_, bytes)| bytes.len()).sum();
                write!(f, "{len} bytes are other")
            }
        }
    }
}

/// A line for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            time,
            call,
            answer,
        } = self;
        write!(
            f,
            "{number:6} {:10.6} s  {call}: {answer}",
            time.as_secs_f64()
        )
    }
}
