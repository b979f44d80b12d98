//! A device that is given its firmware before it works.

use super::{Model, Wires};
use crate::{Fault, Offset, Width};

/// The model of a device with a processor of its own, which waits for firmware.
///
/// BAR 0 has its registers, of 32 bits each:
///
/// | offset | name | |
/// |--:|---|---|
/// | 00h | CONTROL | written: 1 holds the processor, 2 lets it start |
/// | 04h | STATUS | 0 not held: it runs what it had; 1 held; 2 ready; 3 failed |
/// | 08h | LENGTH | how many bytes were uploaded |
/// | 0ch | CHECKSUM | of them: the sum of their 32-bit words, little-endian, modulo 2^32 |
///
/// BAR 2 is its memory, which takes accesses of one width only, and only while the processor is held: a read at any
/// other time is all ones, and a write goes nowhere.
///
/// A driver holds the processor, uploads, writes LENGTH and CHECKSUM, lets it start, and reads STATUS until it is ready or
/// failed: if LENGTH is no multiple of 4 or more than there is, or the sum is another.
///
/// ```
/// use io_core::{AccessWidth, Io, PciDevice, Width, sim::{Loader, SimulatedDevice}};
///
/// let device = SimulatedDevice::new("0000:01:00.0".parse()?, Loader::new(0x1000, Width::U32));
/// let (registers, memory) = (device.bar(0)?, device.bar(2)?);
/// let (registers, memory) = (registers.io::<0x10>()?, memory.io::<0x1000>()?);
/// registers.try_write32(0x00, 1)?;
/// assert_eq!(registers.try_read32(0x04)?, 1, "held");
/// memory.copy_from_slice(0, b"firmware", AccessWidth::Exact(Width::U32))?;
/// registers.try_write32(0x08, 8)?;
/// let sum = u32::from_le_bytes(*b"firm").wrapping_add(u32::from_le_bytes(*b"ware"));
/// registers.try_write32(0x0c, sum)?;
/// registers.try_write32(0x00, 2)?;
/// assert_eq!(registers.try_read32(0x04)?, 2, "ready");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Loader {
    status: Status,
    length: u32,
    checksum: u32,
    width: Width,
    memory: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running,
    Held,
    Ready,
    Failed,
}

impl Loader {
    /// One with so many bytes of memory, a multiple of 4, which takes accesses of this width.
    #[must_use]
    pub fn new(memory: usize, width: Width) -> Self {
        Self {
            status: Status::Running,
            length: 0,
            checksum: 0,
            width,
            memory: vec![0; memory.next_multiple_of(4)],
        }
    }

    /// Lets the processor start: it looks at what it was given.
    fn start(&mut self) {
        let length = usize::try_from(self.length).ok();
        let firmware = length.and_then(|length| self.memory.get(..length));
        let words = firmware.filter(|firmware| firmware.len() % 4 == 0);
        let sum = words.map(|words| {
            let words = words.chunks_exact(4).map(|word| {
                let word = word.try_into().unwrap_or([0; 4]);
                u32::from_le_bytes(word)
            });
            words.fold(0, u32::wrapping_add)
        });
        self.status = if sum == Some(self.checksum) {
            Status::Ready
        } else {
            Status::Failed
        };
    }

    /// The bytes of its memory that an access is to, if there is one now.
    fn memory(&mut self, at: Offset, len: usize) -> Result<Option<&mut [u8]>, Fault> {
        if len != self.width.bytes() {
            return Err(Fault::Width);
        }
        if self.status != Status::Held {
            return Ok(None);
        }
        let range = at.bytes()..at.bytes().saturating_add(len);
        Ok(self.memory.get_mut(range))
    }
}

impl Model for Loader {
    fn config(&self) -> Vec<u8> {
        // 1234:10ad, a processing accelerator (class 120000h), with memory decoding on.
        let mut bytes = vec![0; 256];
        let header = [
            0x34, 0x12, 0xad, 0x10, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x12,
        ];
        for (to, from) in bytes.iter_mut().zip(header) {
            *to = from;
        }
        bytes
    }

    fn bars(&self) -> [usize; 6] {
        [0x1000, 0, self.memory.len(), 0, 0, 0]
    }

    fn read(&mut self, _: &Wires<'_>, bar: u8, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        if bar == 2 {
            match self.memory(at, bytes.len())? {
                Some(memory) => bytes.copy_from_slice(memory),
                None => bytes.fill(u8::MAX),
            }
            return Ok(());
        }
        let status = match self.status {
            Status::Running => 0,
            Status::Held => 1,
            Status::Ready => 2,
            Status::Failed => 3,
        };
        let value: u32 = match (at.bytes(), bytes.len()) {
            (0x04, 4) => status,
            (0x08, 4) => self.length,
            (0x0c, 4) => self.checksum,
            (_, 4) => 0,
            _ => return Err(Fault::Width),
        };
        bytes.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn write(&mut self, _: &Wires<'_>, bar: u8, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        if bar == 2 {
            if let Some(memory) = self.memory(at, bytes.len())? {
                memory.copy_from_slice(bytes);
            }
            return Ok(());
        }
        let value = bytes.try_into().map_err(|_| Fault::Width)?;
        let value = u32::from_le_bytes(value);
        match (at.bytes(), value) {
            (0x00, 1) => self.status = Status::Held,
            (0x00, 2) if self.status == Status::Held => self.start(),
            (0x08, length) => self.length = length,
            (0x0c, checksum) => self.checksum = checksum,
            _ => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        *self = Self::new(self.memory.len(), self.width);
    }
}
