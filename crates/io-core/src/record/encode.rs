//! Entries and the head of a recording, as bytes: docs/recording.md.

use super::{
    Answer, Call, Failure, Space,
    head::Head,
    wire::{Put, number},
};
use crate::{
    ErrorKind, Fault, Width,
    dma::DmaDirection,
    event::DeviceEvent,
    irq::{InterruptInfo, InterruptKind},
};

/// What every recording begins with.
pub(super) const MAGIC: [u8; 8] = *b"\x93outbrec";
/// The version that is written, and the newest that is read.
pub(super) const VERSION: u64 = 1;

/// Bit 7 of the first byte of an entry: it is no access to a register.
pub(super) const OTHER: u8 = 0x80;
/// Bits of the first byte of an access.
pub(super) const WRITE: u8 = 0x20;
pub(super) const FAULTED: u8 = 0x40;
/// Configuration space, in bits 4:2 of that byte.
pub(super) const CONFIG: u8 = 7;

pub(super) fn head(to: &mut Vec<u8>, head: &Head) {
    to.extend_from_slice(&MAGIC);
    to.put_number(VERSION);
    let address = head.address;
    to.put_number(address.domain().into());
    to.extend([
        address.bus(),
        address.device() << 3 | address.function(),
        u8::from(head.interrupts) | u8::from(head.events) << 1 | u8::from(head.dma.is_some()) << 2,
    ]);
    to.put_number(number(head.config.len()));
    // Most of it is zeros, at its end.
    let used = head.config.iter().rposition(|byte| *byte != 0);
    let used = used.map_or(0, |last| last + 1);
    to.put_bytes(head.config.get(..used).unwrap_or_default());
    let Some(limits) = &head.dma else { return };
    to.put_number(number(limits.ranges.len()));
    for range in &limits.ranges {
        to.put_number(range.first());
        to.put_number(range.last());
    }
    to.put_number(limits.page_sizes);
    to.put_optional(limits.mappings.map(u64::from));
}

/// An entry, so many microseconds after the one before.
pub(super) fn entry(to: &mut Vec<u8>, delta: u64, call: &Call, answer: &Answer) {
    let (space, at, width, write) = match call {
        Call::Read { space, at, width } => (space, at, width, None),
        Call::Write {
            space,
            at,
            width,
            value,
        } => (space, at, width, Some(value)),
        other => return rare(to, delta, other, answer),
    };
    let space = match space {
        Space::Bar(index) => *index,
        Space::Config => CONFIG,
    };
    let fault = match answer {
        Answer::Fault(fault) => Some(fault),
        _ => None,
    };
    let is_write = if write.is_some() { WRITE } else { 0 };
    let faulted = if fault.is_some() { FAULTED } else { 0 };
    to.push(width_code(*width) | space << 2 | is_write | faulted);
    to.put_number(delta);
    to.put_number(*at);
    if let Some(value) = write {
        to.put_number(*value);
    }
    match answer {
        Answer::Value(value) => to.put_number(*value),
        Answer::Fault(fault) => put_fault(to, *fault),
        _ => {}
    }
}

/// An entry that is no access to a register.
fn rare(to: &mut Vec<u8>, delta: u64, call: &Call, answer: &Answer) {
    let (code, numbers) = call_numbers(call);
    to.push(OTHER | code);
    to.put_number(delta);
    for number in numbers.into_iter().flatten() {
        to.put_number(number);
    }
    put_answer(to, answer);
}

/// The code of a call, and up to three numbers.
fn call_numbers(call: &Call) -> (u8, [Option<u64>; 3]) {
    let none = [None; 3];
    let one = |number: u64| [Some(number), None, None];
    let two = |first: u64, second: u64| [Some(first), Some(second), None];
    let vector = |kind: InterruptKind, vector: u32| two(kind_code(kind), vector.into());
    match *call {
        // These two have an encoding of their own.
        Call::Read { .. } | Call::Write { .. } | Call::End => (0, none),
        Call::Bar(index) => (1, one(index.into())),
        Call::IsLost(index) => (2, one(index.into())),
        Call::SetLost(index, lost) => (3, two(index.into(), lost.into())),
        Call::Revive(index) => (4, one(index.into())),
        Call::InterruptInfo(kind) => (5, one(kind_code(kind))),
        Call::Enable(kind, first, count) => (
            6,
            [
                Some(kind_code(kind)),
                Some(first.into()),
                Some(count.into()),
            ],
        ),
        Call::Disable(kind, number) => (7, vector(kind, number)),
        Call::Wait(kind, number) => (8, vector(kind, number)),
        Call::Mask(kind, number) => (9, vector(kind, number)),
        Call::Unmask(kind, number) => (10, vector(kind, number)),
        Call::Trigger(kind, number) => (11, vector(kind, number)),
        Call::Watch => (12, none),
        Call::Unwatch => (13, none),
        Call::WaitForEvent => (14, none),
        Call::TriggerEvent(event) => (15, one(event_code(event))),
        Call::Allocate(len) => (16, one(len)),
        Call::Map(len, direction) => (17, two(len, direction_code(direction))),
        Call::Unmap(iova) => (18, one(iova.raw())),
        Call::Look(iova) => (19, one(iova.raw())),
        Call::BusMaster(on) => (20, one(on.into())),
        Call::MemoryDecode(on) => (21, one(on.into())),
        Call::Reset => (22, none),
        Call::Thread(number) => (23, one(number)),
    }
}

fn put_answer(to: &mut Vec<u8>, answer: &Answer) {
    match answer {
        Answer::Done => to.push(0),
        Answer::Value(value) => {
            to.push(1);
            to.put_number(*value);
        }
        Answer::Fault(fault) => {
            to.push(2);
            put_fault(to, *fault);
        }
        Answer::Failed(failure) => {
            to.push(3);
            put_failure(to, failure);
        }
        Answer::Flag(flag) => to.extend([4, u8::from(*flag)]),
        Answer::Came(count) => {
            to.push(5);
            to.put_optional(*count);
        }
        Answer::Event(event) => {
            to.push(6);
            to.put_optional(event.map(event_code));
        }
        Answer::Bar(size, widest) => {
            to.push(7);
            to.put_number(*size);
            to.push(width_code(*widest));
        }
        Answer::Info(info) => put_info(to, info),
        Answer::Iova(iova) => {
            to.push(9);
            to.put_number(iova.raw());
        }
        Answer::Memory(runs) => {
            to.push(10);
            to.put_number(number(runs.len()));
            for (at, bytes) in runs {
                to.put_number(*at);
                to.put_bytes(bytes);
            }
        }
    }
}

fn put_info(to: &mut Vec<u8>, info: &InterruptInfo) {
    to.push(8);
    to.put_number(info.count.into());
    to.push(u8::from(info.maskable) | u8::from(info.growable) << 1);
}

fn put_fault(to: &mut Vec<u8>, fault: Fault) {
    match fault {
        Fault::Lost => to.push(0),
        Fault::Width => to.push(1),
        Fault::ReadOnly => to.push(2),
        Fault::Short { done } => {
            to.push(3);
            to.put_number(number(done));
        }
        Fault::Os(errno) => {
            to.push(4);
            to.put_number(u32::try_from(errno).unwrap_or(0).into());
        }
        Fault::Deviation => to.push(5),
    }
}

fn put_failure(to: &mut Vec<u8>, failure: &Failure) {
    let kind = KINDS.iter().position(|kind| *kind == failure.kind);
    to.put_number(number(kind.unwrap_or(OTHER_KIND)));
    to.put_bytes(failure.message.as_bytes());
    to.put_bytes(failure.hint.as_deref().unwrap_or_default().as_bytes());
    let errno = failure.errno.and_then(|errno| u32::try_from(errno).ok());
    to.put_optional(errno.map(u64::from));
}

/// The kinds of errors, by their codes.
pub(super) const KINDS: [ErrorKind; 9] = [
    ErrorKind::Other,
    ErrorKind::NotFound,
    ErrorKind::PermissionDenied,
    ErrorKind::Busy,
    ErrorKind::NotBound,
    ErrorKind::InvalidInput,
    ErrorKind::Lost,
    ErrorKind::TimedOut,
    ErrorKind::Unsupported,
];
const OTHER_KIND: usize = 0;

fn width_code(width: Width) -> u8 {
    match width {
        Width::U8 => 0,
        Width::U16 => 1,
        Width::U32 => 2,
        Width::U64 => 3,
    }
}

fn kind_code(kind: InterruptKind) -> u64 {
    match kind {
        InterruptKind::Intx => 0,
        InterruptKind::Msi => 1,
        InterruptKind::MsiX => 2,
    }
}

fn direction_code(direction: DmaDirection) -> u64 {
    match direction {
        DmaDirection::Both => 0,
        DmaDirection::ToDevice => 1,
        DmaDirection::FromDevice => 2,
    }
}

fn event_code(event: DeviceEvent) -> u64 {
    match event {
        DeviceEvent::RemovalRequested => 0,
        DeviceEvent::Failed => 1,
    }
}
