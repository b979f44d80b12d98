//! What names a device: an address, ids, a path, a serial number, what the kernel calls its interface or disk, an alias.

use crate::{DevicePath, PciFunction};
use io_core::pci::{PciAddress, capability::SerialNumber};
use std::{fmt, str::FromStr};

/// What names a device. [`Host::select`](crate::Host::select) finds the one that it names.
///
/// | written | names |
/// |---|---|
/// | `0000:01:00.0` | the function at this address |
/// | `01:00.0` | the same, in domain 0; refused where another domain has one there too |
/// | `8086:10d3`, `8086:10d3:1af4:1100` | the function with these ids, and with those of its board |
/// | `path:0000:00:1c.4/00.0` | the one behind these bridges: [`DevicePath`] |
/// | `serial:00-1b-21-ff-ff-3a-5c-9e` | the one with this serial number (PCI Express) |
/// | `net:eth1` | the one that has this network interface |
/// | `block:nvme0n1` | the one that has this disk or partition |
/// | `@nic` | what the configuration says of `nic`: [`Host::alias`](crate::Host::alias) |
///
/// ```
/// use pci_host::Selector;
///
/// let selector: Selector = "8086:10D3".parse()?;
/// assert_eq!(selector.to_string(), "8086:10d3");
/// let error = "eth1".parse::<Selector>().unwrap_err();
/// assert_eq!(error.to_string(), "'eth1' names no device: a network interface is named by net:eth1, a disk by block:eth1");
/// # Ok::<(), pci_host::ParseSelectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// An address, with its domain.
    Address(PciAddress),
    /// An address whose domain was left out.
    ShortAddress(PciAddress),
    /// Ids.
    Ids(Ids),
    /// A path through bridges.
    Path(DevicePath),
    /// A serial number.
    Serial(SerialNumber),
    /// A network interface.
    Net(String),
    /// A block device.
    Block(String),
    /// A name that the configuration explains.
    Alias(String),
}

impl From<PciAddress> for Selector {
    fn from(address: PciAddress) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::ShortAddress(address) => {
                let (bus, device, function) = (address.bus(), address.device(), address.function());
                write!(f, "{bus:02x}:{device:02x}.{function}")
            }
            Self::Ids(ids) => write!(f, "{ids}"),
            Self::Path(path) => write!(f, "path:{path}"),
            Self::Serial(serial) => write!(f, "serial:{serial}"),
            Self::Net(name) => write!(f, "net:{name}"),
            Self::Block(name) => write!(f, "block:{name}"),
            Self::Alias(name) => write!(f, "@{name}"),
        }
    }
}

impl FromStr for Selector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, ParseSelectorError> {
        let wrong = |why: String| ParseSelectorError(format!("'{text}' names no device: {why}"));
        if let Some(name) = text.strip_prefix('@') {
            return named(name).map(Self::Alias).ok_or_else(|| {
                wrong(
                    "an alias is an @ and letters, digits, dots, dashes or underscores".to_owned(),
                )
            });
        }
        if let Some((kind, rest)) = text.split_once(':') {
            match kind {
                "path" => return rest.parse().map(Self::Path).map_err(wrong),
                "serial" => return serial(rest).map(Self::Serial).map_err(wrong),
                "net" => {
                    return named(rest)
                        .map(Self::Net)
                        .ok_or_else(|| wrong(no_name(kind)));
                }
                "block" => {
                    return named(rest)
                        .map(Self::Block)
                        .ok_or_else(|| wrong(no_name(kind)));
                }
                _ => {}
            }
        }
        if text.contains('.') {
            let address = text.parse().map_err(|e| wrong(format!("{e}")))?;
            return Ok(match text.matches(':').count() {
                1 => Self::ShortAddress(address),
                _ => Self::Address(address),
            });
        }
        if !text.contains(':') {
            return Err(wrong(match named(text) {
                Some(name) => {
                    format!("a network interface is named by net:{name}, a disk by block:{name}")
                }
                None => KINDS.to_owned(),
            }));
        }
        let numbers = text
            .split(':')
            .all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()));
        ids(text).map(Self::Ids).ok_or_else(|| {
            wrong(match numbers {
                true => format!("{FOUR_DIGITS}, and an address has its function, such as 01:00.0"),
                false => KINDS.to_owned(),
            })
        })
    }
}

/// All forms, for what looks like none of them.
const KINDS: &str = "one looks like 0000:01:00.0, 01:00.0, 8086:10d3, path:0000:00:1c.4/00.0, \
                     serial:00-1b-21-ff-ff-3a-5c-9e, net:eth1, block:nvme0n1 or @alias";

fn no_name(kind: &str) -> String {
    format!("after {kind}: comes what the kernel calls it")
}

/// A name as the kernel and the configuration give them, which never leads out of a folder.
fn named(name: &str) -> Option<String> {
    let dots = name.chars().all(|c| c == '.');
    let plain =
        !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    (!dots && plain).then(|| name.to_owned())
}

/// Eight bytes with dashes (or nothing) between.
fn serial(text: &str) -> Result<SerialNumber, String> {
    let digits = text.replace(['-', ':'], "");
    let number = (digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| u64::from_str_radix(&digits, 16).ok())
        .flatten();
    number
        .map(SerialNumber)
        .ok_or_else(|| "a serial number is eight bytes, such as 00-1b-21-ff-ff-3a-5c-9e".to_owned())
}

/// The ids of a function, and perhaps those of its board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ids {
    /// The vendor and the device.
    pub device: (u16, u16),
    /// The same of the board (subsystem), if they count.
    pub subsystem: Option<(u16, u16)>,
}

impl Ids {
    /// Whether the function has these ids.
    #[must_use]
    pub fn are_of(self, function: &PciFunction) -> bool {
        let board = (function.subsystem_vendor, function.subsystem_device);
        self.device == (function.vendor, function.device)
            && self.subsystem.is_none_or(|subsystem| subsystem == board)
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.device.0, self.device.1)?;
        match self.subsystem {
            Some((vendor, device)) => write!(f, ":{vendor:04x}:{device:04x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Ids {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, ParseSelectorError> {
        ids(text).ok_or_else(|| {
            ParseSelectorError(format!("'{text}' is no vendor and device: {FOUR_DIGITS}"))
        })
    }
}

const FOUR_DIGITS: &str =
    "ids are two or four numbers of four hexadecimal digits, such as 8086:10d3";

fn ids(text: &str) -> Option<Ids> {
    let number = |part: &str| {
        let plain = part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u16::from_str_radix(part, 16).ok()).flatten()
    };
    let numbers: Option<Vec<u16>> = text.split(':').map(number).collect();
    let (device, subsystem) = match *numbers?.as_slice() {
        [vendor, device] => ((vendor, device), None),
        [vendor, device, of_board, board] => ((vendor, device), Some((of_board, board))),
        _ => return None,
    };
    Some(Ids { device, subsystem })
}

/// A text that names no device, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseSelectorError(String);

impl fmt::Display for ParseSelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseSelectorError {}
