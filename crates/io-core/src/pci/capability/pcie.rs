//! The parts of the PCI Express capability: function, link, slot and root.

mod device;
mod link;
mod slot;

pub use device::{
    Device, Device2, DeviceCapabilities, DeviceCapabilities2, DeviceControl, DeviceControl2,
    DeviceStatus,
};
pub use link::{
    Aspm, Link, Link2, LinkCapabilities, LinkCapabilities2, LinkControl, LinkControl2, LinkSpeed,
    LinkStatus, LinkStatus2,
};
pub use slot::{
    Root, RootCapabilities, RootControl, RootStatus, Slot, SlotCapabilities, SlotControl,
    SlotStatus,
};

use super::{BodyError, fields::Fields};
use crate::pci::bits::bits8;
use std::fmt;

/// PCI Express (PCI Express Base 6.0 section 7.5.3).
///
/// Which of its registers mean something depends on the version and on the type of the port; the others
/// are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciExpress {
    /// The version of the layout: 1, or 2 since PCI Express 2.0.
    pub version: u8,
    /// What kind of port it is.
    pub port_type: PortType,
    /// Whether the port leads to a slot.
    pub slot_implemented: bool,
    /// The number of the interrupt message that it uses.
    pub interrupt_message: u8,
    /// The function as a sender and receiver of TLPs.
    pub device: Device,
    /// The link. `None` in what is part of a root complex.
    pub link: Option<Link>,
    /// The slot, of a port that leads to one.
    pub slot: Option<Slot>,
    /// What a root port or an event collector has besides.
    pub root: Option<Root>,
    /// More of the function, since version 2.
    pub device2: Option<Device2>,
    /// More of the link, since version 2.
    pub link2: Option<Link2>,
}

/// What kind of port a function of PCI Express is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortType(u8);

impl PortType {
    /// An endpoint.
    pub const ENDPOINT: Self = Self(0x0);
    /// An endpoint that needs I/O space or locked transactions.
    pub const LEGACY_ENDPOINT: Self = Self(0x1);
    /// A root port.
    pub const ROOT_PORT: Self = Self(0x4);
    /// The upstream port of a switch.
    pub const UPSTREAM_PORT: Self = Self(0x5);
    /// A downstream port of a switch.
    pub const DOWNSTREAM_PORT: Self = Self(0x6);
    /// A bridge from PCI Express to PCI.
    pub const BRIDGE_TO_PCI: Self = Self(0x7);
    /// A bridge from PCI to PCI Express.
    pub const BRIDGE_FROM_PCI: Self = Self(0x8);
    /// An endpoint that is part of the root complex.
    pub const INTEGRATED_ENDPOINT: Self = Self(0x9);
    /// An event collector of the root complex.
    pub const EVENT_COLLECTOR: Self = Self(0xa);

    /// The number of the type: 4 bits.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The name of the type, as lspci writes it. `None` if the specification reserves the number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ENDPOINT => "Endpoint",
            Self::LEGACY_ENDPOINT => "Legacy Endpoint",
            Self::ROOT_PORT => "Root Port",
            Self::UPSTREAM_PORT => "Upstream Port",
            Self::DOWNSTREAM_PORT => "Downstream Port",
            Self::BRIDGE_TO_PCI => "PCI-Express to PCI/PCI-X Bridge",
            Self::BRIDGE_FROM_PCI => "PCI/PCI-X to PCI-Express Bridge",
            Self::INTEGRATED_ENDPOINT => "Root Complex Integrated Endpoint",
            Self::EVENT_COLLECTOR => "Root Complex Event Collector",
            _ => return None,
        })
    }

    fn has_link(self) -> bool {
        !matches!(self, Self::INTEGRATED_ENDPOINT | Self::EVENT_COLLECTOR)
    }

    fn can_have_slot(self) -> bool {
        matches!(
            self,
            Self::ROOT_PORT | Self::DOWNSTREAM_PORT | Self::BRIDGE_FROM_PCI
        )
    }

    fn has_root(self) -> bool {
        matches!(self, Self::ROOT_PORT | Self::EVENT_COLLECTOR)
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Unknown type {:x}", self.0),
        }
    }
}

impl PciExpress {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let flags = fields.read16(0x02)?;
        let version = bits8(flags, 0, 4);
        let port_type = PortType(bits8(flags, 4, 4));
        let slot_implemented = flags & 1 << 8 != 0;
        let slot = slot_implemented && port_type.can_have_slot();
        // Some functions that say version 2 leave out what they have no use for, and start another
        // capability there.
        let second = |end| version >= 2 && fields.has(end);
        let link2 = port_type.has_link() && second(0x34);
        Ok(Self {
            version,
            port_type,
            slot_implemented,
            interrupt_message: bits8(flags, 9, 5),
            device: device::decode(fields)?,
            link: port_type
                .has_link()
                .then(|| link::decode(fields))
                .transpose()?,
            slot: slot.then(|| slot::decode(fields)).transpose()?,
            root: port_type
                .has_root()
                .then(|| slot::decode_root(fields))
                .transpose()?,
            device2: second(0x2c)
                .then(|| device::decode_second(fields))
                .transpose()?,
            link2: link2.then(|| link::decode_second(fields)).transpose()?,
        })
    }
}
