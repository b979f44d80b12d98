//! A header of type 1: a bridge between PCI buses.

use crate::pci::{Bar, BarError, BridgeControl, Config, Rom, Status, bars};
use std::ops::RangeInclusive;

/// A header of type 1: a bridge between PCI buses, or a port of PCI Express (PCI-to-PCI Bridge 1.2
/// section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The two base address registers as they are. [`Bridge::bars`] decodes them.
    pub bar_registers: [u32; 2],
    /// The number of the bus on its upper side.
    pub primary_bus: u8,
    /// The number of the bus right behind it.
    pub secondary_bus: u8,
    /// The highest number of a bus behind it.
    pub subordinate_bus: u8,
    /// The latency timer of its secondary side, in bus clocks.
    pub secondary_latency_timer: u8,
    /// Which I/O ports it forwards.
    pub io: Window,
    /// Which errors it has seen on its secondary side.
    pub secondary_status: Status,
    /// Which memory it forwards.
    pub memory: Window,
    /// Which memory it forwards that is prefetchable.
    pub prefetchable: Window,
    /// The expansion ROM, if there is one that has an address.
    pub rom: Option<Rom>,
    /// How it forwards.
    pub control: BridgeControl,
}

impl Bridge {
    /// The bridge's own BARs that have an address.
    #[must_use]
    pub fn bars(&self) -> Vec<Result<Bar, BarError>> {
        bars(&self.bar_registers)
    }
}

/// The addresses that a bridge forwards: from `base` to `limit`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The lowest address, in bytes.
    pub base: u64,
    /// The highest address, in bytes.
    pub limit: u64,
    /// How many bits an address has: 16 or 32 for I/O, 32 or 64 for memory.
    pub bits: u8,
}

impl Window {
    /// The addresses, if there are any: a window whose limit is below its base is shut.
    #[must_use]
    pub fn range(self) -> Option<RangeInclusive<u64>> {
        (self.base <= self.limit).then_some(self.base..=self.limit)
    }
}

pub(super) fn decode(config: Config<'_>) -> Option<Bridge> {
    Some(Bridge {
        bar_registers: [config.read32(0x10)?, config.read32(0x14)?],
        primary_bus: config.read8(0x18)?,
        secondary_bus: config.read8(0x19)?,
        subordinate_bus: config.read8(0x1a)?,
        secondary_latency_timer: config.read8(0x1b)?,
        io: io(config)?,
        secondary_status: Status::from_bits(config.read16(0x1e)?),
        memory: Window {
            base: u64::from(config.read16(0x20)? & 0xfff0) << 16,
            limit: u64::from(config.read16(0x22)? & 0xfff0) << 16 | 0xf_ffff,
            bits: 32,
        },
        prefetchable: prefetchable(config)?,
        rom: Rom::from_register(config.read32(0x38)?),
        control: BridgeControl::from_bits(config.read16(0x3e)?),
    })
}

/// A window of multiples of 4 KiB; the low digit of both registers says how many bits it has.
fn io(config: Config<'_>) -> Option<Window> {
    let (base, limit) = (config.read8(0x1c)?, config.read8(0x1d)?);
    let wide = base & 0xf == 1;
    let upper = |offset| match wide {
        true => config.read16(offset),
        false => Some(0),
    };
    Some(Window {
        base: u64::from(upper(0x30)?) << 16 | u64::from(base & 0xf0) << 8,
        limit: u64::from(upper(0x32)?) << 16 | u64::from(limit & 0xf0) << 8 | 0xfff,
        bits: if wide { 32 } else { 16 },
    })
}

/// A window of multiples of 1 MiB; the low digit of both registers says how many bits it has.
fn prefetchable(config: Config<'_>) -> Option<Window> {
    let (base, limit) = (config.read16(0x24)?, config.read16(0x26)?);
    let wide = base & 0xf == 1;
    let upper = |offset| match wide {
        true => config.read32(offset),
        false => Some(0),
    };
    Some(Window {
        base: u64::from(upper(0x28)?) << 32 | u64::from(base & 0xfff0) << 16,
        limit: u64::from(upper(0x2c)?) << 32 | u64::from(limit & 0xfff0) << 16 | 0xf_ffff,
        bits: if wide { 64 } else { 32 },
    })
}
