//! A simulated region of plain memory.

use super::{Model, Wires};
use crate::{Fault, Offset, RegionOps, Width};
use std::sync::{Mutex, PoisonError};

/// A region of plain memory, all zeros at first, in which accesses can be made to fail.
///
/// ```
/// use io_core::{AccessWidth, Fault, IndirectIo, Io, Region, Width, sim::Ram};
///
/// // A device that takes 32 bits at a time, and goes away after two accesses.
/// let ram = Ram::new("BAR 2 of a simulated device", 0x40)
///     .with_widest(Width::U32)
///     .with_fault(2, Fault::Lost);
/// let bar = IndirectIo::<Region>::new(&ram)?;
/// let lost = bar.copy_from_slice(0, b"some firmware", AccessWidth::Auto).unwrap_err();
/// assert_eq!((lost.is_lost(), lost.offset()), (true, 8));
/// # Ok::<(), io_core::RegionError>(())
/// ```
#[derive(Debug)]
pub struct Ram {
    name: String,
    widest: Width,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes: Vec<u8>,
    /// How many accesses get through still, and what comes then.
    fault: Option<(usize, Fault)>,
}

impl Ram {
    /// `size` bytes of memory with this name.
    #[must_use]
    pub fn new(name: impl Into<String>, size: usize) -> Self {
        Self::with_bytes(name, vec![0; size])
    }

    /// Memory that holds these bytes.
    #[must_use]
    pub fn with_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.into(),
            widest: Width::U64,
            state: Mutex::new(State { bytes, fault: None }),
        }
    }

    /// The same memory, which takes no accesses wider than this.
    #[must_use]
    pub fn with_widest(self, widest: Width) -> Self {
        Self { widest, ..self }
    }

    /// The same memory, in which `count` accesses get through, and none after them.
    #[must_use]
    pub fn with_fault(self, count: usize, fault: Fault) -> Self {
        self.lock().fault = Some((count, fault));
        self
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    fn lock(&self) -> impl std::ops::DerefMut<Target = State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The bytes of an access, if it gets through.
    fn access(&mut self, at: Offset, len: usize) -> Result<&mut [u8], Fault> {
        match &mut self.fault {
            Some((0, fault)) => return Err(*fault),
            Some((count, _)) => *count -= 1,
            None => {}
        }
        let range = at.bytes()..at.bytes().saturating_add(len);
        self.bytes.get_mut(range).ok_or(Fault::Short { done: 0 })
    }
}

impl RegionOps for Ram {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> usize {
        self.lock().bytes.len()
    }

    fn widest(&self) -> Width {
        self.widest
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        bytes.copy_from_slice(self.lock().access(at, bytes.len())?);
        Ok(())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.lock().access(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}

/// A device whose BAR 0 is this memory.
///
/// ```
/// use io_core::{Io, PciDevice, sim::{Ram, SimulatedDevice}};
///
/// let ram = Ram::new("memory", 0x1000);
/// let device = SimulatedDevice::new("0000:02:00.0".parse()?, ram);
/// let bar = device.bar(0)?;
/// bar.io::<8>()?.try_write64(0, 7)?;
/// assert_eq!(bar.io::<8>()?.try_read8(0)?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Model for Ram {
    fn config(&self) -> Vec<u8> {
        // 1234:10ab, memory of other kind (class 058000h), with memory decoding on.
        let mut bytes = vec![0; 256];
        let header = [
            0x34, 0x12, 0xab, 0x10, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, 0x80, 0x05,
        ];
        for (to, from) in bytes.iter_mut().zip(header) {
            *to = from;
        }
        bytes
    }

    fn bars(&self) -> [usize; 6] {
        [self.size(), 0, 0, 0, 0, 0]
    }

    fn read(&mut self, _: &Wires<'_>, _: u8, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        RegionOps::read(self, at, bytes)
    }

    fn write(&mut self, _: &Wires<'_>, _: u8, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        RegionOps::write(self, at, bytes)
    }

    fn reset(&mut self) {
        self.lock().bytes.fill(0);
    }
}
