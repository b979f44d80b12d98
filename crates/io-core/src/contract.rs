//! What every backend of [`PciDevice`] keeps to, as a check that runs on any of them.
//!
//! A driver is written against [`PciDevice`], and not against what carries it. So all that carries devices has to do the
//! same: refuse the same accesses with the same errors, leave the same things as they were, and say of what it cannot do
//! that it is absent. [`check`] finds out, on a device that is open.
//!
//! ```
//! use io_core::{contract, sim::{Edu, SimulatedDevice}};
//!
//! let device = SimulatedDevice::new("0000:00:03.0".parse()?, Edu::new());
//! let findings = contract::check(&device);
//! assert_eq!(contract::broken(&findings).count(), 0);
//! for finding in &findings {
//!     println!("{finding}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    AccessErrorKind, ErrorKind, Io, PciDevice, Result,
    dma::{DmaBox, DmaOptions, DmaSpace, IovaRange},
    irq::{InterruptKind, Interrupts},
    pci::Command,
};
use std::{fmt, time::Duration};

/// What was found of one thing that backends do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is read")]
pub struct Finding {
    /// The thing, such as "MSI".
    pub what: &'static str,
    /// What was found.
    pub verdict: Verdict,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no others")]
pub enum Verdict {
    /// It is there, and as it has to be.
    Kept,
    /// The backend or the device has no such thing, and says so.
    Absent,
    /// It is not as it has to be: how.
    Broken(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:20} ", self.what)?;
        match &self.verdict {
            Verdict::Kept => f.write_str("yes"),
            Verdict::Absent => f.write_str("-"),
            Verdict::Broken(how) => write!(f, "BROKEN: {how}"),
        }
    }
}

/// The findings of what is not as it has to be.
pub fn broken(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    let is_broken = |finding: &&Finding| matches!(finding.verdict, Verdict::Broken(_));
    findings.iter().filter(is_broken)
}

/// Whether it is there, or how it is broken.
type Checked = std::result::Result<bool, String>;

/// Checks what a backend does with this device, which is idle and which nobody else uses. No register behind its BARs is
/// read or written, but the device is reset if that is possible, and it is not bus master afterwards.
#[must_use]
pub fn check(device: &dyn PciDevice) -> Vec<Finding> {
    let kinds = [
        ("INTx", InterruptKind::Intx),
        ("MSI", InterruptKind::Msi),
        ("MSI-X", InterruptKind::MsiX),
    ];
    let mut findings = vec![
        finding("configuration space", config(device)),
        finding("bus mastering", bus_mastering(device)),
        finding("BARs", bars(device)),
        finding("BARs, mapped", mapped(device)),
    ];
    for (what, kind) in kinds {
        findings.push(finding(what, interrupts(device, kind)));
    }
    findings.push(finding("DMA", device.dma().map_or(Ok(false), dma)));
    findings.push(finding("events", events(device)));
    findings.push(finding("reset", reset(device)));
    findings
}

fn finding(what: &'static str, checked: Checked) -> Finding {
    let verdict = match checked {
        Ok(true) => Verdict::Kept,
        Ok(false) => Verdict::Absent,
        Err(how) => Verdict::Broken(how),
    };
    Finding { what, verdict }
}

/// What is true, or what is not as it has to be.
fn require(condition: bool, otherwise: impl FnOnce() -> String) -> std::result::Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}

/// What has to work.
fn works<T, E: fmt::Display>(
    what: &str,
    result: std::result::Result<T, E>,
) -> std::result::Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

/// What has to be refused, as this.
fn refused<T>(what: &str, result: Result<T>, kind: ErrorKind) -> std::result::Result<(), String> {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(format!(
            "{what} is refused as {:?} and not {kind:?}: {error}",
            error.kind()
        )),
        Ok(_) => Err(format!("{what} is not refused")),
    }
}

fn config(device: &dyn PciDevice) -> Checked {
    let config = device.config();
    let ids = works("reading 32 bits", config.try_read32(0))?;
    let vendor = works("reading 16 bits", config.try_read16(0))?;
    let high = works("reading 8 bits", config.try_read8(3))?;
    let [low0, low1, _, top] = ids.to_le_bytes();
    require([low0, low1] == vendor.to_le_bytes() && top == high, || {
        format!("ids read as {ids:#x} at once, and otherwise in parts")
    })?;
    require(config.size() >= 256, || {
        format!("it has {} bytes", config.size())
    })?;
    let past = config
        .try_read8(config.size())
        .map_err(|error| error.kind());
    require(past == Err(AccessErrorKind::OutOfBounds), || {
        format!("a read past its end gives {past:?}")
    })?;
    let crooked = config.try_read16(1).map_err(|error| error.kind());
    require(
        crooked == Err(AccessErrorKind::Misaligned { align: 2 }),
        || format!("a read that is not aligned gives {crooked:?}"),
    )?;
    require(device.is_present(), || {
        "it is said not to be present".to_owned()
    })?;
    Ok(true)
}

fn command(device: &dyn PciDevice) -> std::result::Result<Command, String> {
    let command = device.config().try_read16(usize::from(Command::OFFSET));
    Ok(Command::from_bits(works("reading Command", command)?))
}

fn bus_mastering(device: &dyn PciDevice) -> Checked {
    let before = command(device)?;
    for on in [true, false] {
        works("switching it", device.set_bus_master(on))?;
        let now = command(device)?;
        require(now.contains(Command::BUS_MASTER) == on, || {
            format!("Command is {now:?}")
        })?;
        let others = |command: Command| command.without(Command::BUS_MASTER);
        require(others(now) == others(before), || {
            format!("other bits of Command changed from {before:?} to {now:?}")
        })?;
    }
    Ok(true)
}

fn bars(device: &dyn PciDevice) -> Checked {
    let mut any = false;
    for index in 0..6 {
        let bar = match device.bar(index) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            bar => works(&format!("BAR {index}"), bar)?,
        };
        any = true;
        let size = bar.size();
        // PCI Local Bus 3.0 section 6.2.5.1: ports from 4 bytes on, memory from 16 bytes on.
        require(size.is_power_of_two() && size >= 4, || {
            format!("BAR {index} has {size:#x} bytes")
        })?;
        let io = works("its view", bar.io::<4>())?;
        let past = io.try_read8(size);
        let error = past.as_ref().err();
        let kind = error.map(crate::AccessError::kind);
        require(kind == Some(AccessErrorKind::OutOfBounds), || {
            format!("a read past the end of BAR {index} gives {past:?}")
        })?;
        let address = device.address().to_string();
        let names = error.is_some_and(|error| error.to_string().contains(&address));
        require(names, || {
            format!("an error of BAR {index} does not name {address}")
        })?;
        let crooked = io.try_read32(1).map_err(|error| error.kind());
        require(
            crooked == Err(AccessErrorKind::Misaligned { align: 4 }),
            || format!("a read of BAR {index} that is not aligned gives {crooked:?}"),
        )?;
        works(&format!("BAR {index} once more"), device.bar(index))?;
    }
    refused("BAR 6", device.bar(6), ErrorKind::NotFound)?;
    Ok(any)
}

fn mapped(device: &dyn PciDevice) -> Checked {
    let bars = (0..6).filter_map(|index| device.bar(index).ok());
    let mut any = false;
    for bar in bars {
        match bar.mmio::<4>() {
            Ok(view) => {
                any = true;
                require(view.size() == bar.size(), || {
                    format!("{:#x} bytes of {:#x} are mapped", view.size(), bar.size())
                })?;
            }
            error => refused("what is not mapped", error, ErrorKind::Unsupported)?,
        }
    }
    Ok(any)
}

fn interrupts(device: &dyn PciDevice, kind: InterruptKind) -> Checked {
    let Some(interrupts) = device.interrupts() else {
        return Ok(false);
    };
    let info = works("asking what there is", interrupts.info(kind))?;
    let beyond = interrupts.enable(kind, info.count..info.count.saturating_add(1));
    refused(
        "a vector that it has not",
        beyond.map(drop),
        ErrorKind::InvalidInput,
    )?;
    refused(
        "no vector",
        interrupts.enable(kind, 0..0).map(drop),
        ErrorKind::InvalidInput,
    )?;
    if info.count == 0 {
        return Ok(false);
    }
    // What is disabled by being dropped can be enabled again.
    for _ in 0..2 {
        vector(interrupts, kind)?;
    }
    Ok(true)
}

fn vector(interrupts: &dyn Interrupts, kind: InterruptKind) -> std::result::Result<(), String> {
    let enabled = works("enabling a vector", interrupts.enable(kind, 0..1))?;
    let [vector] = enabled.as_slice() else {
        return Err(format!("{} vectors were enabled for one", enabled.len()));
    };
    require((vector.kind(), vector.vector()) == (kind, 0), || {
        format!("{vector:?} was enabled")
    })?;
    let twice = interrupts.enable(kind, 0..1);
    refused("a vector that is enabled", twice.map(drop), ErrorKind::Busy)?;
    let now = works("looking for events", vector.wait(Duration::ZERO))?;
    require(now.is_none(), || format!("{now:?} events came of nothing"))?;
    match vector.trigger() {
        Ok(()) => {
            let came = works("waiting", vector.wait(Duration::from_secs(5)))?;
            require(came == Some(1), || format!("of one signal came {came:?}"))
        }
        error => refused("a signal", error, ErrorKind::Unsupported),
    }
}

fn dma(space: &DmaSpace) -> Checked {
    let share = |len, options| space.allocate(len, options).and_then(DmaBox::share);
    let options = DmaOptions::default();
    refused(
        "no memory",
        share(0, options).map(drop),
        ErrorKind::InvalidInput,
    )?;
    let mut memory = works("allocating", space.allocate(1, options))?;
    require(memory.iter().all(|byte| *byte == 0), || {
        "memory is not all zeros".to_owned()
    })?;
    let pattern = |at: usize| u8::try_from(at % 251).unwrap_or(0);
    for (at, byte) in memory.iter_mut().enumerate() {
        *byte = pattern(at);
    }
    let first = works("sharing", memory.share())?;
    let second = works("sharing more", share(1, options))?;
    let range = |iova: u64, len: usize| {
        let last = u64::try_from(len)
            .ok()
            .and_then(|len| iova.checked_add(len.checked_sub(1)?));
        last.and_then(|last| IovaRange::new(iova, last))
    };
    let ranges = [&first, &second].map(|buffer| range(buffer.iova().raw(), buffer.len()));
    let [Some(one), Some(two)] = ranges else {
        return Err("a buffer is past all addresses".to_owned());
    };
    require(!one.overlaps(two), || format!("{one} and {two} overlap"))?;
    let limits = &space.limits().ranges;
    let inside = |part| limits.is_empty() || limits.iter().any(|range| range.contains(part));
    require(inside(one) && inside(two), || {
        format!("{one} and {two} are not in {limits:?}")
    })?;
    let back = works("taking it back", first.unshare())?;
    let same = back
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte == pattern(at));
    require(same, || {
        "memory that was shared is not what it was".to_owned()
    })?;
    Ok(true)
}

fn events(device: &dyn PciDevice) -> Checked {
    let Some(events) = device.events() else {
        return Ok(false);
    };
    let watch = works("watching", events.watch())?;
    let now = works("looking for events", watch.wait(Duration::ZERO))?;
    require(now.is_none(), || format!("{now:?} came of nothing"))?;
    Ok(true)
}

fn reset(device: &dyn PciDevice) -> Checked {
    let header = || -> std::result::Result<Vec<u32>, String> {
        let words = (8..0x40)
            .step_by(4)
            .map(|at| device.config().try_read32(at));
        let words = words.collect::<std::result::Result<_, _>>();
        works("reading configuration space", words)
    };
    let before = header()?;
    works("switching bus mastering on", device.set_bus_master(true))?;
    match device.reset() {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            works("switching bus mastering off", device.set_bus_master(false))?;
            return Ok(false);
        }
        reset => works("resetting", reset)?,
    }
    let after = header()?;
    require(before == after, || {
        format!("configuration space was {before:x?} and is {after:x?}")
    })?;
    let now = command(device)?;
    require(!now.contains(Command::BUS_MASTER), || {
        format!("Command is {now:?} afterwards")
    })?;
    Ok(true)
}
