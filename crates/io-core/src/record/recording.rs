//! A device of which all that is done with it is recorded.

use super::{
    Answer, Call, Space,
    head::Head,
    memory::Memories,
    tape::{Tape, Track},
};
use crate::{
    Bar, ConfigSpace, Error, ErrorKind, Fault, Offset, PciDevice, RegionOps, Result, Width,
    dma::DmaSpace,
    event::{DeviceEvent, DeviceEvents, DeviceWatch},
    irq::{Interrupt, InterruptInfo, InterruptKind, Interrupts},
    pci::PciAddress,
    sim::Overheard,
};
use std::{
    fmt, io,
    io::Write,
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A device of which all that a driver does with it goes to `W`: a [`PciDevice`] like the one behind it, whose BARs are
/// reached by calls.
///
/// Entries are gathered, and written every 100 ms at least as long as there are any: with a driver that is killed, the
/// last ones are lost. If the sink fails, the driver goes on, and [`finish`](Self::finish) says so.
pub struct Recording<'d, W> {
    device: &'d dyn PciDevice,
    tape: Arc<Tape>,
    sink: Sink<W>,
    config: Overheard<Config<'d>, Track>,
    space: Option<DmaSpace>,
}

impl<'d, W: Write + Send + 'static> Recording<'d, W> {
    /// Begins to record, with all of configuration space.
    ///
    /// # Errors
    ///
    /// The device does not answer.
    pub fn new(device: &'d dyn PciDevice, sink: W) -> Result<Self> {
        let head = Head::of(device)?;
        let sink = Sink(Arc::new(Mutex::new(Some(sink))));
        let tape = Arc::new(Tape::new(&head, Box::new(sink.clone())));
        let by = Track {
            tape: Arc::clone(&tape),
            space: Space::Config,
        };
        let space = device.dma().map(|space| {
            let memories = Memories::new(Arc::clone(&tape));
            space.tapped(Arc::new(memories))
        });
        Ok(Self {
            device,
            tape,
            sink,
            config: Overheard {
                inner: Config(device),
                by,
            },
            space,
        })
    }

    /// Ends the recording, and gives back where it is. A recording that is dropped is ended too, and what is wrong with
    /// it then, the log tells.
    ///
    /// What a driver still has of the device stays usable, and is not recorded any more.
    ///
    /// # Errors
    ///
    /// The sink failed: all that there is of the recording is what was written before.
    pub fn finish(self) -> Result<W> {
        self.tape.finish()?;
        let mut sink = self.sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sink = sink.take();
        sink.ok_or_else(|| Error::new(ErrorKind::Other, "the recording was ended before"))
    }
}

impl<W> Drop for Recording<'_, W> {
    fn drop(&mut self) {
        // What finish() has said was taken from the tape; what nobody was told was logged when it happened.
        _ = self.tape.finish();
    }
}

/// The sink, until the recording ends.
struct Sink<W>(Arc<Mutex<Option<W>>>);

impl<W> Clone for Sink<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sink.as_mut().map_or(Ok(0), |sink| sink.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sink.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W> fmt::Debug for Recording<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording").field(&self.device).finish()
    }
}

/// Configuration space of a device, as a region.
#[derive(Debug)]
struct Config<'d>(&'d dyn PciDevice);

impl RegionOps for Config<'_> {
    fn name(&self) -> String {
        self.0.config().ops().name()
    }

    fn size(&self) -> usize {
        self.0.config().ops().size()
    }

    fn widest(&self) -> Width {
        self.0.config().ops().widest()
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        self.0.config().ops().read(at, bytes)
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.0.config().ops().write(at, bytes)
    }
}

impl<W: Send> PciDevice for Recording<'_, W> {
    fn address(&self) -> PciAddress {
        self.device.address()
    }

    fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::new(&self.config).expect("the configuration space behind it has as many bytes")
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        let bar = self.device.bar(index);
        let answer = Answer::from_result(&bar, |bar| {
            Answer::Bar(super::wire::number(bar.size()), RegionOps::widest(bar))
        });
        self.tape.put(&Call::Bar(index), &answer);
        let by = Track {
            tape: Arc::clone(&self.tape),
            space: Space::Bar(index),
        };
        bar.map(|inner| Bar::called(Overheard { inner, by }))
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        self.device.interrupts().is_some().then_some(self)
    }

    fn events(&self) -> Option<&dyn DeviceEvents> {
        self.device.events().is_some().then_some(self)
    }

    fn dma(&self) -> Option<&DmaSpace> {
        self.space.as_ref()
    }

    fn set_bus_master(&self, on: bool) -> Result<()> {
        let result = self.device.set_bus_master(on);
        self.tape.put_done(&Call::BusMaster(on), &result);
        result
    }

    fn set_memory_decode(&self, on: bool) -> Result<()> {
        let result = self.device.set_memory_decode(on);
        self.tape.put_done(&Call::MemoryDecode(on), &result);
        result
    }

    fn reset(&self) -> Result<()> {
        let result = self.device.reset();
        self.tape.put_done(&Call::Reset, &result);
        result
    }
}

impl<W> Recording<'_, W> {
    /// What the device behind it has for interrupts.
    fn behind<T>(&self, ask: impl FnOnce(&dyn Interrupts) -> Result<T>) -> Result<T> {
        let none = || Error::new(ErrorKind::Unsupported, "the device has no interrupts here");
        self.device.interrupts().ok_or_else(none).and_then(ask)
    }
}

impl<W: Send> Interrupts for Recording<'_, W> {
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        let info = self.behind(|interrupts| interrupts.info(kind));
        let answer = Answer::from_result(&info, |info| Answer::Info(*info));
        self.tape.put(&Call::InterruptInfo(kind), &answer);
        info
    }

    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>> {
        let count = vectors.end.saturating_sub(vectors.start);
        let call = Call::Enable(kind, vectors.start, count);
        let enabled = self.behind(|interrupts| interrupts.enable(kind, vectors));
        let answer = Answer::from_result(&enabled, |_| Answer::Done);
        self.tape.put(&call, &answer);
        let recorded = |inner| -> Box<dyn Interrupt> {
            let tape = Arc::clone(&self.tape);
            Box::new(RecordedInterrupt { inner, tape })
        };
        Ok(enabled?.into_iter().map(recorded).collect())
    }
}

/// A vector, and what is recorded of it.
#[derive(Debug)]
struct RecordedInterrupt {
    inner: Box<dyn Interrupt>,
    tape: Arc<Tape>,
}

impl RecordedInterrupt {
    /// Writes down what was done with it.
    fn put(&self, call: impl FnOnce(InterruptKind, u32) -> Call, answer: &Answer) {
        let call = call(self.inner.kind(), self.inner.vector());
        self.tape.put(&call, answer);
    }
}

impl Interrupt for RecordedInterrupt {
    fn kind(&self) -> InterruptKind {
        self.inner.kind()
    }

    fn vector(&self) -> u32 {
        self.inner.vector()
    }

    fn wait(&self, timeout: Duration) -> Result<Option<u64>> {
        let came = self.inner.wait(timeout);
        let answer = Answer::from_result(&came, |came| Answer::Came(*came));
        self.put(Call::Wait, &answer);
        came
    }

    fn mask(&self) -> Result<()> {
        let result = self.inner.mask();
        self.put(Call::Mask, &Answer::of(&result));
        result
    }

    fn unmask(&self) -> Result<()> {
        let result = self.inner.unmask();
        self.put(Call::Unmask, &Answer::of(&result));
        result
    }

    fn trigger(&self) -> Result<()> {
        let result = self.inner.trigger();
        self.put(Call::Trigger, &Answer::of(&result));
        result
    }
}

impl Drop for RecordedInterrupt {
    fn drop(&mut self) {
        self.put(Call::Disable, &Answer::Done);
    }
}

impl AsFd for RecordedInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for RecordedInterrupt {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<W: Send> DeviceEvents for Recording<'_, W> {
    fn watch(&self) -> Result<Box<dyn DeviceWatch>> {
        let none = || Error::new(ErrorKind::Unsupported, "the device has no events here");
        let events = self.device.events().ok_or_else(none);
        let watch = events.and_then(DeviceEvents::watch);
        let answer = Answer::from_result(&watch, |_| Answer::Done);
        self.tape.put(&Call::Watch, &answer);
        let tape = Arc::clone(&self.tape);
        Ok(Box::new(RecordedWatch {
            inner: watch?,
            tape,
        }))
    }
}

/// A watch, and what is recorded of it.
#[derive(Debug)]
struct RecordedWatch {
    inner: Box<dyn DeviceWatch>,
    tape: Arc<Tape>,
}

impl DeviceWatch for RecordedWatch {
    fn wait(&self, timeout: Duration) -> Result<Option<DeviceEvent>> {
        let event = self.inner.wait(timeout);
        let answer = Answer::from_result(&event, |event| Answer::Event(*event));
        self.tape.put(&Call::WaitForEvent, &answer);
        event
    }

    fn trigger(&self, event: DeviceEvent) -> Result<()> {
        let result = self.inner.trigger(event);
        self.tape.put_done(&Call::TriggerEvent(event), &result);
        result
    }
}

impl Drop for RecordedWatch {
    fn drop(&mut self) {
        self.tape.put(&Call::Unwatch, &Answer::Done);
    }
}

impl AsFd for RecordedWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for RecordedWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}
