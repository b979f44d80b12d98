//! The header of a configuration space.

mod bridge;
mod cardbus;

pub use bridge::{Bridge, Window};
pub use cardbus::{CardBus, CardBusControl};

use super::{Bar, BarError, ClassCode, Command, Config, Rom, Status, bars};
use std::{error, fmt};

/// The header: the first 64 bytes of configuration space (PCI Local Bus 3.0 section 6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Who made it. In the configuration space of a virtual function this is `0xffff`.
    pub vendor_id: u16,
    /// Which of the vendor's devices it is. In that of a virtual function this is `0xffff`.
    pub device_id: u16,
    /// What it may do.
    pub command: Command,
    /// What it can do, and which errors it has seen.
    pub status: Status,
    /// The revision of the device.
    pub revision: u8,
    /// What it is.
    pub class: ClassCode,
    /// The size of a cache line, in units of 4 bytes.
    pub cache_line_size: u8,
    /// The latency timer, in bus clocks. Always 0 in PCI Express.
    pub latency_timer: u8,
    /// Whether the device has more than one function.
    pub multi_function: bool,
    /// The register for its built-in self test.
    pub bist: u8,
    /// Where the list of capabilities starts; 0 if there is none.
    pub capabilities_pointer: u8,
    /// The interrupt line that firmware has routed it to; `0xff` for none.
    pub interrupt_line: u8,
    /// The interrupt pin that it uses: 0 for none, 1 to 4 for INTA to INTD.
    pub interrupt_pin: u8,
    /// The rest, which depends on the header's type.
    pub kind: HeaderKind,
}

/// What depends on the header's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderKind {
    /// Type 0.
    Endpoint(Endpoint),
    /// Type 1.
    Bridge(Bridge),
    /// Type 2.
    CardBus(CardBus),
    /// A type that no specification knows.
    Unknown(u8),
}

/// A header of type 0: any function that is no bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The six base address registers as they are. [`Endpoint::bars`] decodes them.
    pub bar_registers: [u32; 6],
    /// The CardBus CIS pointer.
    pub cardbus_cis: u32,
    /// Who made the card.
    pub subsystem_vendor_id: u16,
    /// Which of that vendor's cards it is.
    pub subsystem_id: u16,
    /// The expansion ROM, if there is one that has an address.
    pub rom: Option<Rom>,
    /// How long a burst it needs, in units of 0.25 µs. Always 0 in PCI Express.
    pub min_gnt: u8,
    /// How often it needs the bus, in units of 0.25 µs. Always 0 in PCI Express.
    pub max_lat: u8,
}

impl Endpoint {
    /// The BARs that have an address.
    #[must_use]
    pub fn bars(&self) -> Vec<Result<Bar, BarError>> {
        bars(&self.bar_registers)
    }
}

impl Header {
    /// How many bytes it has.
    pub const LEN: usize = 64;

    pub(super) fn decode(config: Config<'_>) -> Result<Self, HeaderError> {
        if config.is_absent() {
            return Err(HeaderError::Absent);
        }
        let have = config.bytes().len();
        let found = (have >= Self::LEN).then(|| decode(config)).flatten();
        found.ok_or(HeaderError::Truncated { have })
    }
}

/// The type of the header, without the bit for more functions.
pub(super) fn kind(config: Config<'_>) -> Option<u8> {
    config.read8(0x0e).map(|byte| byte & 0x7f)
}

fn decode(config: Config<'_>) -> Option<Header> {
    let kind = match kind(config)? {
        0 => HeaderKind::Endpoint(endpoint(config)?),
        1 => HeaderKind::Bridge(bridge::decode(config)?),
        2 => HeaderKind::CardBus(cardbus::decode(config)?),
        other => HeaderKind::Unknown(other),
    };
    Some(Header {
        vendor_id: config.read16(0x00)?,
        device_id: config.read16(0x02)?,
        command: config.command()?,
        status: config.status()?,
        revision: config.read8(0x08)?,
        class: ClassCode::new(
            config.read8(0x0b)?,
            config.read8(0x0a)?,
            config.read8(0x09)?,
        ),
        cache_line_size: config.read8(0x0c)?,
        latency_timer: config.read8(0x0d)?,
        multi_function: config.read8(0x0e)? & 0x80 != 0,
        bist: config.read8(0x0f)?,
        capabilities_pointer: capabilities_pointer(config)?,
        interrupt_line: config.read8(0x3c)?,
        interrupt_pin: config.read8(0x3d)?,
        kind,
    })
}

/// Where the list of capabilities starts; 0 if Status says that there is none, or if the type of
/// the header does not say where to look.
pub(super) fn capabilities_pointer(config: Config<'_>) -> Option<u8> {
    if !config.status()?.contains(Status::CAPABILITIES) {
        return Some(0);
    }
    match kind(config)? {
        0 | 1 => config.read8(0x34),
        2 => config.read8(0x14),
        _ => Some(0),
    }
}

fn endpoint(config: Config<'_>) -> Option<Endpoint> {
    let mut bar_registers = [0; 6];
    for (register, offset) in bar_registers.iter_mut().zip((0x10..).step_by(4)) {
        *register = config.read32(offset)?;
    }
    Some(Endpoint {
        bar_registers,
        cardbus_cis: config.read32(0x28)?,
        subsystem_vendor_id: config.read16(0x2c)?,
        subsystem_id: config.read16(0x2e)?,
        rom: Rom::from_register(config.read32(0x30)?),
        min_gnt: config.read8(0x3e)?,
        max_lat: config.read8(0x3f)?,
    })
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// Everything reads as all ones: there is no such function, or it has gone.
    Absent,
    /// There are not 64 bytes.
    Truncated {
        /// How many there are.
        have: usize,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str(
                "configuration space reads as all ones: the function does not exist, or has gone",
            ),
            Self::Truncated { have } => write!(
                f,
                "a configuration space starts with a header of {} bytes, and {have} are here",
                Header::LEN
            ),
        }
    }
}

impl error::Error for HeaderError {}
