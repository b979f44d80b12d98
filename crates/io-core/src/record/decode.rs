//! A recording's bytes, as its head and its entries.

use super::{
    Answer, Call, Entry, Failure, Space,
    encode::{CONFIG, FAULTED, KINDS, MAGIC, OTHER, VERSION, WRITE},
    head::Head,
    wire::{Stop, Take},
};
use crate::{
    Error, ErrorKind, Fault, Result, Width,
    dma::{DmaDirection, DmaLimits, Iova, IovaRange},
    event::DeviceEvent,
    irq::{InterruptInfo, InterruptKind},
    pci::PciAddress,
};
use std::time::Duration;

/// The most vectors that a function has (PCI Local Bus 3.0 section 6.8.2).
const VECTORS: u32 = 2048;

/// How a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no other ends")]
pub enum Ending {
    /// It was finished.
    Finished,
    /// It was cut off: its program was killed, or the file was not copied whole. What is there is good.
    Cut,
    /// What follows at this offset, in bytes, is damaged.
    Damaged(usize),
}

/// Reads a recording, entry by entry, as far as it can be read.
///
/// ```
/// use io_core::{Io, PciDevice, record::{Ending, Reader, Recording}, sim::{Edu, SimulatedDevice}};
///
/// let device = SimulatedDevice::new("0000:00:03.0".parse()?, Edu::new());
/// let recording = Recording::new(&device, Vec::new())?;
/// recording.bar(0)?.io::<4>()?.try_read32(0)?;
/// let bytes = recording.finish()?;
///
/// let mut reader = Reader::new(&bytes)?;
/// let lines: Vec<_> = reader.by_ref().map(|entry| entry.to_string()).collect();
/// assert!(lines[1].ends_with("a read of 32 bits at 0x0 of BAR 0: 0x10000ed"), "{lines:?}");
/// assert_eq!(reader.ending(), Some(Ending::Finished));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    len: usize,
    take: Take<'a>,
    number: u64,
    time: u64,
    ending: Option<Ending>,
}

impl<'a> Reader<'a> {
    /// Begins to read a recording.
    ///
    /// # Errors
    ///
    /// It is none, or of a newer version, or it is cut off or damaged before its first entry.
    pub fn new(recording: &'a [u8]) -> Result<Self> {
        Ok(Self::with_head(recording)?.1)
    }

    pub(super) fn with_head(recording: &'a [u8]) -> Result<(Head, Self)> {
        let refuse = |why: &str| Error::new(ErrorKind::InvalidInput, format!("{why} a recording"));
        let mut take = Take { rest: recording };
        if !take.exactly(MAGIC.len()).is_ok_and(|magic| magic == MAGIC) {
            return Err(refuse("this is not"));
        }
        let stopped = |stop| match stop {
            Stop::Cut => refuse("this is only the beginning of"),
            Stop::Damaged => refuse("this is the damaged beginning of"),
        };
        let version = take.number().map_err(stopped)?;
        if version != VERSION {
            let message = format!(
                "the recording is of version {version}, and this program reads version {VERSION}"
            );
            let error = Error::new(ErrorKind::Unsupported, message);
            return Err(error.with_hint("read it with the version of Outboard that wrote it"));
        }
        let head = head(&mut take).map_err(stopped)?;
        Ok((head, Self::at(recording.len(), take, 0, 0)))
    }

    /// A reader that goes on with `take`, the last part of so many bytes.
    pub(super) fn at(len: usize, take: Take<'a>, number: u64, time: u64) -> Self {
        let ending = None;
        Self {
            len,
            take,
            number,
            time,
            ending,
        }
    }

    /// How it ends, once there are no more entries.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// How many bytes were read.
    pub(super) fn bytes_read(&self) -> usize {
        self.len - self.take.rest.len()
    }

    fn entry(&mut self) -> Result<Option<Entry>, Stop> {
        if self.take.rest.is_empty() {
            return Err(Stop::Cut);
        }
        let mut take = self.take;
        let (delta, call, answer) = entry(&mut take)?;
        self.take = take;
        if call == Call::End {
            return Ok(None);
        }
        self.number += 1;
        self.time = self.time.saturating_add(delta);
        Ok(Some(Entry {
            number: self.number,
            time: Duration::from_micros(self.time),
            call,
            answer,
        }))
    }
}

impl Iterator for Reader<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.ending.is_some() {
            return None;
        }
        let ending = match self.entry() {
            Ok(Some(entry)) => return Some(entry),
            Ok(None) => Ending::Finished,
            Err(Stop::Cut) => Ending::Cut,
            Err(Stop::Damaged) => Ending::Damaged(self.bytes_read()),
        };
        self.ending = Some(ending);
        None
    }
}

fn head(take: &mut Take<'_>) -> Result<Head, Stop> {
    let domain = take.small()?;
    let (bus, device, flags) = (take.byte()?, take.byte()?, take.byte()?);
    let address = PciAddress::new(domain, bus, device >> 3, device & 7).ok_or(Stop::Damaged)?;
    if flags > 7 {
        return Err(Stop::Damaged);
    }
    let size: usize = take.small()?;
    let used = take.bytes()?;
    if !(256..=4096).contains(&size) || size % 4 != 0 || used.len() > size {
        return Err(Stop::Damaged);
    }
    let mut config = used.to_vec();
    config.resize(size, 0);
    let dma = if flags & 4 == 0 {
        None
    } else {
        Some(limits(take)?)
    };
    Ok(Head {
        address,
        interrupts: flags & 1 != 0,
        events: flags & 2 != 0,
        config,
        dma,
    })
}

fn limits(take: &mut Take<'_>) -> Result<DmaLimits, Stop> {
    let count = take.number()?;
    let mut ranges: Vec<IovaRange> = Vec::new();
    for _ in 0..count {
        let (first, last) = (take.number()?, take.number()?);
        let range = IovaRange::new(first, last).ok_or(Stop::Damaged)?;
        if ranges.last().is_some_and(|before| before.last() >= first) {
            return Err(Stop::Damaged);
        }
        ranges.push(range);
    }
    let page_sizes: u64 = take.number()?;
    // The smallest is one that memory can be allocated in.
    if page_sizes != 0 && page_sizes.trailing_zeros() > 30 {
        return Err(Stop::Damaged);
    }
    let mappings = take.optional()?.map(u32::try_from);
    Ok(DmaLimits {
        ranges,
        page_sizes,
        mappings: mappings.transpose().map_err(|_| Stop::Damaged)?,
    })
}

fn entry(take: &mut Take<'_>) -> Result<(u64, Call, Answer), Stop> {
    let first = take.byte()?;
    let delta = take.number()?;
    if first & OTHER != 0 {
        let call = rare(first & !OTHER, take)?;
        return Ok((delta, call, answer(take)?));
    }
    let width = width(first & 3)?;
    let space = match first >> 2 & 7 {
        CONFIG => Space::Config,
        6 => return Err(Stop::Damaged),
        index => Space::Bar(index),
    };
    let at = take.number()?;
    let call = if first & WRITE == 0 {
        Call::Read { space, at, width }
    } else {
        let value = value(take, width)?;
        Call::Write {
            space,
            at,
            width,
            value,
        }
    };
    let answer = if first & FAULTED != 0 {
        Answer::Fault(fault(take)?)
    } else if first & WRITE == 0 {
        Answer::Value(value(take, width)?)
    } else {
        Answer::Done
    };
    Ok((delta, call, answer))
}

/// A number that an access of this width has.
fn value(take: &mut Take<'_>, width: Width) -> Result<u64, Stop> {
    let value = take.number()?;
    let bits = u64::BITS - value.leading_zeros();
    if usize::try_from(bits).is_ok_and(|bits| bits <= 8 * width.bytes()) {
        Ok(value)
    } else {
        Err(Stop::Damaged)
    }
}

fn rare(code: u8, take: &mut Take<'_>) -> Result<Call, Stop> {
    Ok(match code {
        0 => Call::End,
        1 => Call::Bar(take.small()?),
        2 => Call::IsLost(take.small()?),
        3 => Call::SetLost(take.small()?, take.flag()?),
        4 => Call::Revive(take.small()?),
        5 => Call::InterruptInfo(kind(take)?),
        6 => {
            let (kind, first, count) = (kind(take)?, take.small()?, take.small()?);
            Call::Enable(kind, first, count)
        }
        7 => Call::Disable(kind(take)?, take.small()?),
        8 => Call::Wait(kind(take)?, take.small()?),
        9 => Call::Mask(kind(take)?, take.small()?),
        10 => Call::Unmask(kind(take)?, take.small()?),
        11 => Call::Trigger(kind(take)?, take.small()?),
        12 => Call::Watch,
        13 => Call::Unwatch,
        14 => Call::WaitForEvent,
        15 => Call::TriggerEvent(event(take.number()?)?),
        16 => Call::Allocate(take.number()?),
        17 => Call::Map(take.number()?, direction(take)?),
        18 => Call::Unmap(Iova::new(take.number()?)),
        19 => Call::Look(Iova::new(take.number()?)),
        20 => Call::BusMaster(take.flag()?),
        21 => Call::MemoryDecode(take.flag()?),
        22 => Call::Reset,
        23 => Call::Thread(take.number()?),
        _ => return Err(Stop::Damaged),
    })
}

fn answer(take: &mut Take<'_>) -> Result<Answer, Stop> {
    Ok(match take.byte()? {
        0 => Answer::Done,
        1 => Answer::Value(take.number()?),
        2 => Answer::Fault(fault(take)?),
        3 => Answer::Failed(failure(take)?),
        4 => Answer::Flag(take.flag()?),
        5 => Answer::Came(take.optional()?),
        6 => Answer::Event(take.optional()?.map(event).transpose()?),
        7 => Answer::Bar(take.number()?, width(take.byte()?)?),
        8 => Answer::Info(info(take)?),
        9 => Answer::Iova(Iova::new(take.number()?)),
        10 => Answer::Memory(runs(take)?),
        _ => return Err(Stop::Damaged),
    })
}

fn info(take: &mut Take<'_>) -> Result<InterruptInfo, Stop> {
    let (count, flags) = (take.small()?, take.byte()?);
    if count > VECTORS || flags > 3 {
        return Err(Stop::Damaged);
    }
    Ok(InterruptInfo {
        count,
        maskable: flags & 1 != 0,
        growable: flags & 2 != 0,
    })
}

/// Each run takes three bytes at least, so that no more is allocated than a multiple of what is there.
fn runs(take: &mut Take<'_>) -> Result<Vec<(u64, Vec<u8>)>, Stop> {
    let count = take.number()?;
    let mut runs = Vec::new();
    for _ in 0..count {
        let (at, bytes) = (take.number()?, take.bytes()?);
        if bytes.is_empty() {
            return Err(Stop::Damaged);
        }
        runs.push((at, bytes.to_vec()));
    }
    Ok(runs)
}

fn fault(take: &mut Take<'_>) -> Result<Fault, Stop> {
    Ok(match take.byte()? {
        0 => Fault::Lost,
        1 => Fault::Width,
        2 => Fault::ReadOnly,
        3 => Fault::Short {
            done: take.small()?,
        },
        4 => Fault::Os(take.small()?),
        5 => Fault::Deviation,
        _ => return Err(Stop::Damaged),
    })
}

fn failure(take: &mut Take<'_>) -> Result<Failure, Stop> {
    let kind = KINDS.get(take.small::<usize>()?).ok_or(Stop::Damaged)?;
    let (message, hint) = (take.text()?, take.text()?);
    let errno = take.optional()?.map(i32::try_from).transpose();
    Ok(Failure {
        kind: *kind,
        message,
        hint: Some(hint).filter(|hint| !hint.is_empty()),
        errno: errno.map_err(|_| Stop::Damaged)?,
    })
}

fn width(code: u8) -> Result<Width, Stop> {
    Ok(match code {
        0 => Width::U8,
        1 => Width::U16,
        2 => Width::U32,
        3 => Width::U64,
        _ => return Err(Stop::Damaged),
    })
}

fn kind(take: &mut Take<'_>) -> Result<InterruptKind, Stop> {
    Ok(match take.byte()? {
        0 => InterruptKind::Intx,
        1 => InterruptKind::Msi,
        2 => InterruptKind::MsiX,
        _ => return Err(Stop::Damaged),
    })
}

fn direction(take: &mut Take<'_>) -> Result<DmaDirection, Stop> {
    Ok(match take.byte()? {
        0 => DmaDirection::Both,
        1 => DmaDirection::ToDevice,
        2 => DmaDirection::FromDevice,
        _ => return Err(Stop::Damaged),
    })
}

fn event(code: u64) -> Result<DeviceEvent, Stop> {
    Ok(match code {
        0 => DeviceEvent::RemovalRequested,
        1 => DeviceEvent::Failed,
        _ => return Err(Stop::Damaged),
    })
}
