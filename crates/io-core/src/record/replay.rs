//! A recording as a device.

use super::{
    Answer, Call, Deviation, Ending, Space,
    replayed_interrupt::{ReplayedInterrupt, ReplayedWatch},
    replayed_memory,
    script::Script,
    wire::number,
};
use crate::{
    Bar, ConfigSpace, Fault, Offset, PciDevice, Region, RegionOps, Result, Width,
    dma::DmaSpace,
    event::{DeviceEvents, DeviceWatch},
    irq::{Interrupt, InterruptInfo, InterruptKind, Interrupts},
    pci::PciAddress,
};
use std::{ops::Range, sync::Arc};

/// A recording as a device: a driver that does what the recorded one did gets what that one got.
///
/// It needs no device, and no root. Where the driver does something else, that and all that follows fails, and
/// [`deviation`](Self::deviation) says what was expected.
#[derive(Debug)]
pub struct Replay {
    script: Arc<Script>,
    address: PciAddress,
    config: Config,
    has_interrupts: bool,
    has_events: bool,
    space: Option<DmaSpace>,
}

impl Replay {
    /// The device that is recorded in these bytes, as far as they can be read: see [`ending`](Self::ending).
    ///
    /// # Errors
    ///
    /// They are no recording, or one of a newer version, or not even its beginning.
    pub fn new(recording: impl Into<Vec<u8>>) -> Result<Self> {
        let (head, script) = Script::new(recording.into())?;
        let script = Arc::new(script);
        let space = head
            .dma
            .map(|limits| replayed_memory::space(limits, &script))
            .transpose()?;
        Ok(Self {
            address: head.address,
            config: Config {
                script: Arc::clone(&script),
                address: head.address,
                size: head.config.len(),
            },
            has_interrupts: head.interrupts,
            has_events: head.events,
            space,
            script,
        })
    }

    /// Where the driver parted from the recording, if it has.
    #[must_use]
    pub fn deviation(&self) -> Option<Deviation> {
        self.script.deviation()
    }

    /// How the recording ends.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.script.ending()
    }

    /// How many entries of the recording have not come yet. Those that need not come may be left at the end.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.script.left()
    }
}

/// Configuration space. What is read need not be read in the recorded order.
#[derive(Debug)]
struct Config {
    script: Arc<Script>,
    address: PciAddress,
    size: usize,
}

impl RegionOps for Config {
    fn name(&self) -> String {
        format!("the configuration space of {}", self.address)
    }

    fn size(&self) -> usize {
        self.size
    }

    fn widest(&self) -> Width {
        Width::U32
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let call = access(Space::Config, at, bytes, false)?;
        match self.script.glance(&call) {
            Some(Answer::Value(value)) => put(bytes, value),
            Some(Answer::Fault(fault)) => return Err(fault),
            _ => self.script.config(at.bytes(), bytes),
        }
        Ok(())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        write(&self.script, Space::Config, at, bytes)
    }
}

/// The call that an access is.
fn access(space: Space, at: Offset, bytes: &[u8], write: bool) -> Result<Call, Fault> {
    let width = Width::from_bytes(bytes.len()).ok_or(Fault::Width)?;
    let at = number(at.bytes());
    Ok(if write {
        let value = super::value(bytes);
        Call::Write {
            space,
            at,
            width,
            value,
        }
    } else {
        Call::Read { space, at, width }
    })
}

fn write(script: &Script, space: Space, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
    let call = access(space, at, bytes, true)?;
    match script.perform(&call) {
        Ok(Answer::Done) => Ok(()),
        Ok(Answer::Fault(fault)) => Err(fault),
        Ok(_) | Err(_) => Err(Fault::Deviation),
    }
}

/// Fills `bytes` with the value.
fn put(bytes: &mut [u8], value: u64) {
    for (to, from) in bytes.iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}

/// A BAR.
#[derive(Debug)]
struct ReplayedBar {
    script: Arc<Script>,
    address: PciAddress,
    index: u8,
    size: usize,
    widest: Width,
}

impl RegionOps for ReplayedBar {
    fn name(&self) -> String {
        format!("BAR {} of {}", self.index, self.address)
    }

    fn size(&self) -> usize {
        self.size
    }

    fn widest(&self) -> Width {
        self.widest
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let call = access(Space::Bar(self.index), at, bytes, false)?;
        match self.script.perform(&call) {
            Ok(Answer::Value(value)) => {
                put(bytes, value);
                Ok(())
            }
            Ok(Answer::Fault(fault)) => Err(fault),
            Ok(_) | Err(_) => Err(Fault::Deviation),
        }
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        write(&self.script, Space::Bar(self.index), at, bytes)
    }

    fn is_lost(&self) -> bool {
        let answer = self.script.glance(&Call::IsLost(self.index));
        answer == Some(Answer::Flag(true))
    }

    fn set_lost(&self, lost: bool) {
        self.script.glance(&Call::SetLost(self.index, lost));
    }

    fn revive(&self) -> Result<()> {
        self.script.done(&Call::Revive(self.index))
    }
}

impl PciDevice for Replay {
    fn address(&self) -> PciAddress {
        self.address
    }

    fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::<Region<256>>::new(&self.config)
            .expect("a recording has 256 bytes of it at least")
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        let call = Call::Bar(index);
        let answer = self.script.glance(&call);
        let answer = answer.or_else(|| self.script.bar(index).cloned());
        let (size, widest) = match answer {
            Some(Answer::Bar(size, widest)) => (size, widest),
            Some(Answer::Failed(failure)) => return Err(failure.into()),
            Some(_) => return Err(self.script.wrong(&call)),
            None => return Err(self.script.refuse(&format!("{call}, the first one"))),
        };
        Ok(Bar::called(ReplayedBar {
            script: Arc::clone(&self.script),
            address: self.address,
            index,
            size: usize::try_from(size).map_err(|_| self.script.wrong(&call))?,
            widest,
        }))
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        self.has_interrupts.then_some(self)
    }

    fn events(&self) -> Option<&dyn DeviceEvents> {
        self.has_events.then_some(self)
    }

    fn dma(&self) -> Option<&DmaSpace> {
        self.space.as_ref()
    }

    fn set_bus_master(&self, on: bool) -> Result<()> {
        self.script.done(&Call::BusMaster(on))
    }

    fn set_memory_decode(&self, on: bool) -> Result<()> {
        self.script.done(&Call::MemoryDecode(on))
    }

    fn reset(&self) -> Result<()> {
        self.script.done(&Call::Reset)
    }
}

impl Interrupts for Replay {
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        let call = Call::InterruptInfo(kind);
        let answer = self.script.glance(&call);
        match answer.or_else(|| self.script.interrupts(kind).cloned()) {
            Some(Answer::Info(info)) => Ok(info),
            Some(Answer::Failed(failure)) => Err(failure.into()),
            Some(_) => Err(self.script.wrong(&call)),
            None => Err(self.script.refuse(&format!("{call}, the first one"))),
        }
    }

    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>> {
        let count = vectors.end.saturating_sub(vectors.start);
        self.script
            .done(&Call::Enable(kind, vectors.start, count))?;
        let enabled = vectors.map(|vector| {
            let line = self.script.line(Call::Wait(kind, vector))?;
            let script = Arc::clone(&self.script);
            let interrupt: Box<dyn Interrupt> = Box::new(ReplayedInterrupt {
                script,
                line,
                kind,
                vector,
            });
            Ok(interrupt)
        });
        enabled.collect()
    }
}

impl DeviceEvents for Replay {
    fn watch(&self) -> Result<Box<dyn DeviceWatch>> {
        self.script.done(&Call::Watch)?;
        Ok(Box::new(ReplayedWatch {
            line: self.script.line(Call::WaitForEvent)?,
            script: Arc::clone(&self.script),
        }))
    }
}
