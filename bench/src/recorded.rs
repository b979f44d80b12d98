//! Accesses to a BAR that is recorded, beside the same BAR without a recording.
#![expect(unsafe_code, reason = "stands in for a backend that maps a BAR")]

use std::hint::black_box;
use std::io;

use io_core::{
    Bar, ConfigSpace, Error, ErrorKind, Io, MmioRaw, PciDevice, Result, dma::DmaSpace,
    irq::Interrupts, pci::PciAddress, record::Recording, sim::Ram,
};
use outboard_bench::Target;

use crate::memory::{KNOWN, Memory, OFFSETS};
use crate::row::{Row, Run};

/// A device whose BAR 0 is a mapping.
#[derive(Debug)]
struct Device {
    config: Ram,
    bar: MmioRaw<io_core::Region>,
}

impl Device {
    /// One whose BAR must not be used after `memory` has gone.
    fn new(memory: &Memory) -> Self {
        let bar = MmioRaw::new_region(memory.base(), memory.size()).expect("a page is aligned");
        let config = Ram::new("configuration space", 256);
        Self { config, bar }
    }
}

impl PciDevice for Device {
    fn address(&self) -> PciAddress {
        PciAddress::new(0, 1, 0, 0).expect("there is a device 0")
    }

    fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::new(&self.config).expect("it has 256 bytes")
    }

    fn bar(&self, _: u8) -> Result<Bar> {
        // SAFETY: the mapping lives as long as the row is run, and there is no reference to it.
        Ok(unsafe { Bar::mapped(self.bar, "BAR 0", ()) })
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        None
    }

    fn dma(&self) -> Option<&DmaSpace> {
        None
    }

    fn reset(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "it has no reset"))
    }
}

/// Reads at each offset, or writes there.
fn accesses(write: bool, recorded: bool) -> Run {
    Box::new(move |memory, passes| {
        let device = Device::new(memory);
        let recording = Recording::new(&device, io::sink()).expect("it answers");
        let device: &dyn PciDevice = if recorded { &recording } else { &device };
        let bar = device.bar(0).expect("it has one");
        let io = bar.io::<KNOWN>().expect("it is that large");
        for _ in 0..passes {
            for offset in memory.offsets() {
                if write {
                    io.try_write32(*offset, black_box(7)).expect("in bounds");
                } else {
                    black_box(io.try_read32(*offset).expect("in bounds"));
                }
            }
        }
    })
}

pub fn rows() -> Vec<Row> {
    let row = |name, write| {
        let accesses_a_pass = u32::try_from(OFFSETS).expect("a small number");
        Row::new(
            name,
            Target::Nothing,
            accesses_a_pass,
            accesses(write, true),
        )
        .against("not recorded", accesses(write, false))
    };
    vec![
        row("recorded BAR, try_read32", false),
        row("recorded BAR, try_write32", true),
    ]
}
