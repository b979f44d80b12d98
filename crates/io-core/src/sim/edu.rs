//! QEMU's device for teaching.

use super::{Model, Wires};
use crate::{Fault, Offset, dma::Iova, irq::InterruptKind};

/// Where its own memory is, as its DMA engine takes it.
const MEMORY: u64 = 0x4_0000;
const MEMORY_SIZE: usize = 4096;

/// Causes of interrupts.
const FACTORIAL_DONE: u32 = 0x1;
const DMA_DONE: u32 = 0x100;

/// The model of [edu](https://www.qemu.org/docs/master/specs/edu.html), as QEMU's docs/specs/edu.rst describes it: a complement,
/// factorials, interrupts by MSI or its pin, and DMA with 28 address bits.
///
/// It computes and copies at once, where QEMU's takes 100 ms for a transfer.
///
/// ```
/// use io_core::{Io, PciDevice, sim::{Edu, SimulatedDevice}};
///
/// let device = SimulatedDevice::new("0000:00:03.0".parse()?, Edu::new());
/// let bar = device.bar(0)?;
/// let io = bar.io::<0x100>()?;
/// assert_eq!(io.try_read32(0x00)?, 0x0100_00ed);
/// io.try_write32(0x08, 10)?;
/// assert_eq!(io.try_read32(0x20)? & 1, 0, "computed");
/// assert_eq!(io.try_read32(0x08)?, 3_628_800);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Edu {
    liveness: u32,
    factorial: u32,
    interrupts: bool,
    causes: u32,
    source: u64,
    destination: u64,
    count: u64,
    memory: Vec<u8>,
}

impl Default for Edu {
    fn default() -> Self {
        Self::new()
    }
}

impl Edu {
    /// One that was just switched on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            liveness: 0,
            factorial: 0,
            interrupts: false,
            causes: 0,
            source: 0,
            destination: 0,
            count: 0,
            memory: vec![0; MEMORY_SIZE],
        }
    }

    fn value(&self, at: usize) -> u64 {
        let low = match at {
            0x00 => 0x0100_00ed,
            0x04 => self.liveness,
            0x08 => self.factorial,
            0x20 => u32::from(self.interrupts) << 7,
            0x24 => self.causes,
            0x80 => return self.source,
            0x88 => return self.destination,
            0x90 => return self.count,
            // Nothing is under way any more.
            0x98 => 0,
            _ => u32::MAX,
        };
        low.into()
    }

    /// Sets causes, and interrupts.
    fn raise(&mut self, wires: &Wires<'_>, causes: u32) {
        self.causes |= causes;
        if self.causes != 0 && !wires.signal(0) {
            wires.set_pin(true);
        }
    }

    fn acknowledge(&mut self, wires: &Wires<'_>, causes: u32) {
        self.causes &= !causes;
        if self.causes == 0 {
            wires.set_pin(false);
        }
    }

    /// Copies, if what is its own memory fits there: what does not, it drops.
    fn transfer(&mut self, wires: &Wires<'_>, from_device: bool) {
        let (own, other) = if from_device {
            (self.source, self.destination)
        } else {
            (self.destination, self.source)
        };
        let start = own
            .checked_sub(MEMORY)
            .and_then(|at| usize::try_from(at).ok());
        let range = start.and_then(|start| {
            let end = start.checked_add(usize::try_from(self.count).ok()?)?;
            Some(start..end)
        });
        let Some(memory) = range.and_then(|range| self.memory.get_mut(range)) else {
            log::warn!("the transfer does not fit in the memory of the edu");
            return;
        };
        // Of an address it takes 28 bits.
        let iova = Iova::new(other & 0xfff_ffff);
        let done = if from_device {
            wires.write_memory(iova, memory)
        } else {
            wires.read_memory(iova, memory)
        };
        if let Err(error) = done {
            log::warn!("{error}");
        }
    }
}

impl Model for Edu {
    fn config(&self) -> Vec<u8> {
        // As lspci shows it of QEMU 7.2: 1234:11e8, class 00ff00, memory decoding on, pin A, MSI with one 64-bit vector.
        let mut bytes = vec![0; 256];
        let known: [(usize, &[u8]); 6] = [
            (0x00, &[0x34, 0x12, 0xe8, 0x11, 0x02, 0x00, 0x10, 0x00]),
            (0x08, &[0x10, 0x00, 0xff, 0x00]),
            (0x2c, &[0xf4, 0x1a, 0x00, 0x11]),
            (0x34, &[0x40]),
            (0x3c, &[0x0b, 0x01]),
            (0x40, &[0x05, 0x00, 0x80, 0x00]),
        ];
        for (at, value) in known {
            for (to, from) in bytes.iter_mut().skip(at).zip(value) {
                *to = *from;
            }
        }
        bytes
    }

    fn bars(&self) -> [usize; 6] {
        [1 << 20, 0, 0, 0, 0, 0]
    }

    fn vectors(&self, kind: InterruptKind) -> u32 {
        match kind {
            InterruptKind::Intx | InterruptKind::Msi => 1,
            InterruptKind::MsiX => 0,
        }
    }

    fn read(&mut self, _: &Wires<'_>, _: u8, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let at = at.bytes();
        check_width(at, bytes.len())?;
        // The upper half of a register of 64 bits can be read by itself.
        let skip = if at < 0x80 { 0 } else { at & 7 };
        let value = self.value(at - skip).to_le_bytes();
        for (to, from) in bytes.iter_mut().zip(value.iter().skip(skip)) {
            *to = *from;
        }
        Ok(())
    }

    fn write(&mut self, wires: &Wires<'_>, _: u8, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        let at = at.bytes();
        check_width(at, bytes.len())?;
        let mut value = [0; 8];
        for (to, from) in value.iter_mut().zip(bytes) {
            *to = *from;
        }
        let value = u64::from_le_bytes(value);
        let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
        match at {
            0x04 => self.liveness = !low,
            0x08 => {
                self.factorial = (1..=low.min(1 << 16)).fold(1, u32::wrapping_mul);
                if self.interrupts {
                    self.raise(wires, FACTORIAL_DONE);
                }
            }
            0x20 => self.interrupts = low & 0x80 != 0,
            0x60 => self.raise(wires, low),
            0x64 => self.acknowledge(wires, low),
            0x80 => self.source = value,
            0x88 => self.destination = value,
            0x90 => self.count = value,
            0x98 if value & 1 != 0 => {
                self.transfer(wires, value & 2 != 0);
                if value & 4 != 0 {
                    self.raise(wires, DMA_DONE);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

/// Below 80h it takes 4 bytes at once, and from there on 8 as well.
fn check_width(at: usize, len: usize) -> Result<(), Fault> {
    match len {
        4 => Ok(()),
        8 if at >= 0x80 => Ok(()),
        _ => Err(Fault::Width),
    }
}
