//! A header of type 2: a bridge to CardBus.

use super::Window;
use crate::pci::{Bar, BarError, Config, Status, bars, bits::flags};

/// A header of type 2: a bridge to CardBus (PC Card Standard 8, volume 2, section 4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardBus {
    /// The base address register of its sockets' registers, as it is. [`CardBus::bars`] decodes it.
    pub bar_register: u32,
    /// Which errors it has seen on its CardBus side.
    pub secondary_status: Status,
    /// The number of the bus on its upper side.
    pub primary_bus: u8,
    /// The number of the CardBus behind it.
    pub card_bus: u8,
    /// The highest number of a bus behind it.
    pub subordinate_bus: u8,
    /// The latency timer of its CardBus side, in bus clocks.
    pub card_latency_timer: u8,
    /// Which memory it forwards.
    pub memory: [Window; 2],
    /// Which I/O ports it forwards.
    pub io: [Window; 2],
    /// How it forwards.
    pub control: CardBusControl,
    /// Who made the card, and which of that vendor's cards it is; they lie behind the header, at
    /// 0x40 and 0x42. `None` if those bytes are not here.
    pub subsystem: Option<(u16, u16)>,
}

flags! {
    /// The Bridge Control register of a CardBus bridge (offset 0x3e, 16 bits).
    pub struct CardBusControl(u16) {
        PARITY = 1 << 0, "Parity", "It acts on parity errors on its CardBus side.";
        SERR = 1 << 1, "SERR", "It forwards SERR# from its CardBus side.";
        ISA = 1 << 2, "ISA", "It does not forward the upper 768 bytes of each KiB of I/O space.";
        VGA = 1 << 3, "VGA", "It forwards VGA's addresses.";
        MASTER_ABORT = 1 << 5, "MAbort", "It reports master aborts.";
        CARD_RESET = 1 << 6, ">Reset", "It holds the card in reset.";
        INTERRUPT_16_BIT = 1 << 7, "16bInt", "Interrupts of 16-bit cards are routed by the legacy registers.";
        PREFETCH_MEMORY_0 = 1 << 8, "PrefMem0", "Memory window 0 is prefetchable.";
        PREFETCH_MEMORY_1 = 1 << 9, "PrefMem1", "Memory window 1 is prefetchable.";
        POST_WRITES = 1 << 10, "PostWrite", "Writes are posted.";
    }
}

impl CardBus {
    /// The bridge's own BAR, if it has an address.
    #[must_use]
    pub fn bars(&self) -> Vec<Result<Bar, BarError>> {
        bars(&[self.bar_register])
    }
}

pub(super) fn decode(config: Config<'_>) -> Option<CardBus> {
    Some(CardBus {
        bar_register: config.read32(0x10)?,
        secondary_status: Status::from_bits(config.read16(0x16)?),
        primary_bus: config.read8(0x18)?,
        card_bus: config.read8(0x19)?,
        subordinate_bus: config.read8(0x1a)?,
        card_latency_timer: config.read8(0x1b)?,
        memory: [memory(config, 0x1c)?, memory(config, 0x24)?],
        io: [io(config, 0x2c)?, io(config, 0x34)?],
        control: CardBusControl::from_bits(config.read16(0x3e)?),
        subsystem: config.read16(0x40).zip(config.read16(0x42)),
    })
}

/// A window of multiples of 4 KiB.
fn memory(config: Config<'_>, offset: u16) -> Option<Window> {
    Some(Window {
        base: u64::from(config.read32(offset)? & !0xfff),
        limit: u64::from(config.read32(offset + 4)? | 0xfff),
        bits: 32,
    })
}

/// A window of multiples of 4 ports; bit 0 of the base says how many bits it has.
fn io(config: Config<'_>, offset: u16) -> Option<Window> {
    let (base, limit) = (config.read32(offset)?, config.read32(offset + 4)?);
    let wide = base & 0x3 == 1;
    let mask = if wide { 0xffff_ffff } else { 0xffff };
    Some(Window {
        base: u64::from(base & mask & !0x3),
        limit: u64::from(limit & mask | 0x3),
        bits: if wide { 32 } else { 16 },
    })
}
