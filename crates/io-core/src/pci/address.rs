//! The address of a PCI function.

use std::{fmt, str::FromStr};

/// The address of a PCI function: domain, bus, device and function.
///
/// It is written as the kernel and lspci write it, `0000:01:00.0`, all digits hexadecimal. On
/// reading, the domain may be left out and is 0 then. A domain has up to 32 bits in Linux (those
/// that a VMD controller opens start at 0x10000).
///
/// ```
/// use io_core::pci::PciAddress;
///
/// let address: PciAddress = "3b:00.1".parse()?;
/// assert_eq!(address.to_string(), "0000:3b:00.1");
/// assert!("3b:00.8".parse::<PciAddress>().is_err()); // a device has 8 functions
/// # Ok::<(), io_core::pci::ParsePciAddressError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl PciAddress {
    /// The function at this address, if a device number fits in 5 bits and a function number in 3.
    #[must_use]
    pub const fn new(domain: u32, bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < 32 && function < 8 {
            Some(Self {
                domain,
                bus,
                device,
                function,
            })
        } else {
            None
        }
    }

    /// The domain (segment).
    #[must_use]
    pub const fn domain(self) -> u32 {
        self.domain
    }

    /// The bus number.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device number, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function number, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            device,
            function,
        } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

impl FromStr for PciAddress {
    type Err = ParsePciAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParsePciAddressError {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<PciAddress> {
    let (rest, function) = text.rsplit_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.split_once(':').unwrap_or(("0", rest));
    PciAddress::new(
        hex(domain, 8)?,
        u8::try_from(hex(bus, 2)?).ok()?,
        u8::try_from(hex(device, 2)?).ok()?,
        u8::try_from(hex(function, 1)?).ok()?,
    )
}

/// A number of one to `digits` hexadecimal digits, and nothing else (a sign, say).
fn hex(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() <= digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    if plain {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// A text that is no PCI address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsePciAddressError {
    text: String,
}

impl fmt::Display for ParsePciAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is not a PCI address; one looks like 0000:01:00.0 or 01:00.0 (hexadecimal)",
            self.text
        )
    }
}

impl std::error::Error for ParsePciAddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let address = PciAddress::new(0x10000, 0xfe, 0x1f, 7).unwrap();
        assert_eq!("10000:fe:1f.7".parse(), Ok(address));
        assert_eq!(address.to_string(), "10000:fe:1f.7");
        assert_eq!(
            "0000:01:00.0".parse(),
            Ok(PciAddress::new(0, 1, 0, 0).unwrap())
        );
        assert_eq!("1:2.3".parse(), Ok(PciAddress::new(0, 1, 2, 3).unwrap()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ".",
            ":.",
            "01:00",
            "0000:01:00",
            "01:20.0",
            "01:00.8",
            "01:00.",
            "+1:00.0",
            "1:0.+0",
            "100:00.0",
            "0:0:0:0.0",
            "8086:10d3",
            "0000:01:00.0 ",
            "000000000:01:00.0",
            "é:0.0",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text:?}");
        }
    }
}
