//! QEMU's edu device, as its docs/specs/edu.rst describes it.

use io_core::{
    Bar, Io,
    dma::Iova,
    poll::{Poll, Verdict},
};
use std::time::Duration;

/// The address of the device's own memory of 4 KiB, as its DMA engine takes it.
pub const MEMORY: u64 = 0x4_0000;
/// The number of address bits of its DMA engine.
pub const ADDRESS_BITS: u32 = 28;

/// The registers of an edu.
pub struct Edu<'b>(pub &'b Bar);

impl Edu<'_> {
    pub fn raise(&self, causes: u32) {
        self.0.mmio::<0x100>().unwrap().write32::<0x60>(causes);
    }

    /// Takes back all causes, those of a former test too, and returns what they were.
    pub fn acknowledge(&self) -> u32 {
        let registers = self.0.mmio::<0x100>().unwrap();
        let causes = registers.read32::<0x24>();
        registers.write32::<0x64>(u32::MAX);
        causes
    }

    /// Lets it read `count` bytes at `iova` into its memory.
    pub fn read(&self, iova: Iova, count: u64) {
        self.transfer(iova.raw(), MEMORY, count, 1);
    }

    /// Lets it write `count` bytes of its memory to `iova`.
    pub fn write(&self, iova: Iova, count: u64) {
        self.transfer(MEMORY, iova.raw(), count, 3);
    }

    fn transfer(&self, from: u64, to: u64, count: u64, command: u64) {
        let registers = self.0.mmio::<0x100>().unwrap();
        registers.write64::<0x80>(from);
        registers.write64::<0x88>(to);
        registers.write64::<0x90>(count);
        registers.write64::<0x98>(command);
        let done = |command| {
            if command & 1 == 0 {
                Verdict::Ready
            } else {
                Verdict::Pending
            }
        };
        Poll::within(Duration::from_secs(5))
            .until(|| registers.read64::<0x98>(), done)
            .unwrap();
    }
}
