//! Where a function is by the bridges in front of it, whatever numbers their buses have.

use crate::Host;
use io_core::pci::PciAddress;
use std::{
    fmt, fs,
    path::{Component, Path},
    str::FromStr,
};

/// Where a function is by the bridges in front of it: `0000:00:1c.4/00.0` is device 0, function 0 behind the bridge
/// `0000:00:1c.4`.
///
/// Bus numbers change when cards are added, and the addresses of functions with them; the path of a card stays the same as
/// long as it is in the same slot. A virtual function (SR-IOV) is named by its physical one and its number: `…/00.0/vf3`.
/// Behind a controller that opens a domain of its own (Intel's VMD) the number of that domain is left out too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevicePath {
    root: PciAddress,
    hops: Vec<Hop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Hop {
    /// A device and a function of it.
    Slot(u8, u8),
    /// A virtual function.
    Virtual(u16),
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        self.hops.iter().try_for_each(|hop| match hop {
            Hop::Slot(device, function) => write!(f, "/{device:02x}.{function}"),
            Hop::Virtual(number) => write!(f, "/vf{number}"),
        })
    }
}

impl FromStr for DevicePath {
    /// What is wrong with it.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a path is the address of the first bridge, and device and function of what comes behind: \
             0000:00:1c.4/00.0"
                .to_owned()
        };
        let mut parts = text.split('/');
        let root = parts.next().unwrap_or_default();
        if root.matches(':').count() != 2 {
            return Err(wrong());
        }
        let root = root.parse().map_err(|_| wrong())?;
        let hops: Option<Vec<Hop>> = parts.map(hop).collect();
        let hops = hops.ok_or_else(wrong)?;
        Ok(Self { root, hops })
    }
}

fn hop(text: &str) -> Option<Hop> {
    if let Some(number) = text.strip_prefix("vf") {
        return number.parse().ok().map(Hop::Virtual);
    }
    // A slot is an address without its bus.
    let address: PciAddress = format!("0:{text}").parse().ok()?;
    Some(slot(address))
}

fn slot(address: PciAddress) -> Hop {
    Hop::Slot(address.device(), address.function())
}

impl Host {
    /// Where the function is by the bridges in front of it.
    #[must_use]
    pub fn device_path(&self, address: PciAddress) -> DevicePath {
        if let Some((physical, number)) = self.virtual_function(address) {
            let mut path = self.device_path(physical);
            path.hops.push(Hop::Virtual(number));
            return path;
        }
        // ../../../devices/pci0000:00/0000:00:1c.4/0000:03:00.0
        let link = fs::read_link(self.function_dir(address)).unwrap_or_default();
        let mut on_the_way = addresses(&link);
        let root = on_the_way.next().unwrap_or(address);
        let hops = on_the_way.map(slot).collect();
        DevicePath { root, hops }
    }

    /// The physical function of a virtual one, and its number there.
    fn virtual_function(&self, address: PciAddress) -> Option<(PciAddress, u16)> {
        let physical = self.physical_function(address)?;
        let number = |name| -> Option<u32> {
            let text = crate::host::read(&self.function_file(physical, name)).ok()?;
            text.parse().ok()
        };
        // SR-IOV 1.1 section 2.1.2: the routing ids of virtual functions follow from that of the physical one.
        let from_first = routing_id(address)
            .checked_sub(routing_id(physical))?
            .checked_sub(number("sriov_offset")?)?;
        let number = from_first.checked_div(number("sriov_stride")?.max(1))?;
        Some((physical, u16::try_from(number).ok()?))
    }
}

fn routing_id(address: PciAddress) -> u32 {
    u32::from(address.bus()) << 8 | u32::from(address.device()) << 3 | u32::from(address.function())
}

/// The PCI functions on the way to a file of `/sys`, the first one first.
pub(crate) fn addresses(path: &Path) -> impl DoubleEndedIterator<Item = PciAddress> + '_ {
    path.components().filter_map(|component| match component {
        // `pci0000:00` is a bus, and is none by its letters.
        Component::Normal(name) => name.to_str()?.parse().ok(),
        _ => None,
    })
}
