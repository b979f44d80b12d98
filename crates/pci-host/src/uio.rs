//! UIO devices: `/dev/uio0` and its like, with what `/sys` says of them.

use crate::{Host, host};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use std::path::{Path, PathBuf};

/// A UIO device (Documentation/driver-api/uio-howto.rst in the kernel's source).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UioInfo {
    /// What the kernel calls it, such as `uio0`.
    pub name: String,
    /// What its driver calls it, such as `uio_pci_generic`.
    pub title: String,
    /// Its node, such as `/dev/uio0`.
    pub node: PathBuf,
    /// What of it can be mapped.
    pub maps: Vec<UioMap>,
}

/// A part of a UIO device that can be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UioMap {
    /// Its number, by which it is mapped.
    pub index: u8,
    /// What its driver calls it, if it calls it something.
    pub name: Option<String>,
    /// The address of its first page on the machine's bus.
    pub address: u64,
    /// The size of its pages in bytes, rounded up.
    pub size: u64,
    /// How far it starts behind the start of its first page, in bytes.
    pub offset: u64,
}

impl Host {
    /// The UIO device called `name`, such as `uio0`.
    ///
    /// # Errors
    ///
    /// There is none, or the machine shows something of it that makes no sense.
    pub fn uio(&self, name: &str) -> Result<UioInfo> {
        let dir = self.uio_dir(name);
        // Of a name that is none, such as `../uio0`, nothing is looked for.
        if matches!(name, "" | "." | "..") || name.contains('/') || !dir.exists() {
            let message = format!("there is no UIO device {name} on this machine");
            let error = Error::new(ErrorKind::NotFound, message);
            return Err(error.with_hint(format!(
                "{} has those that there are",
                self.uio_dir("").display()
            )));
        }
        let mut maps = Vec::new();
        // Without any, there is no folder.
        for map in host::names(&dir.join("maps")).unwrap_or_default() {
            maps.extend(read_map(&dir.join("maps").join(&map), &map)?);
        }
        maps.sort_by_key(|map: &UioMap| map.index);
        Ok(UioInfo {
            name: name.to_owned(),
            title: host::read(&dir.join("name"))?,
            node: self.dev().join(name),
            maps,
        })
    }

    /// The UIO device of the function, once a UIO driver has it.
    ///
    /// # Errors
    ///
    /// The machine shows something of it that makes no sense.
    pub fn uio_of(&self, address: PciAddress) -> Result<Option<UioInfo>> {
        let names = host::names(&self.function_dir(address).join("uio")).unwrap_or_default();
        names.first().map(|name| self.uio(name)).transpose()
    }

    /// How many interrupts a UIO device has had, modulo 2^32.
    ///
    /// # Errors
    ///
    /// The machine does not say.
    pub fn uio_events(&self, name: &str) -> Result<u32> {
        let file = self.uio_dir(name).join("event");
        let text = host::read(&file)?;
        // The kernel prints a signed number.
        let events = text
            .parse::<i64>()
            .ok()
            .filter(|events| *events <= u32::MAX.into());
        let events = events.map(|events| events.rem_euclid(1 << 32));
        events
            .and_then(|events| u32::try_from(events).ok())
            .ok_or_else(|| nonsense(&file, &text))
    }

    pub(crate) fn uio_node(&self, address: PciAddress) -> Option<PathBuf> {
        Some(self.uio_of(address).ok()??.node)
    }
}

/// The map in this folder, unless its name is none of a map.
fn read_map(dir: &Path, name: &str) -> Result<Option<UioMap>> {
    let Some(index) = name.strip_prefix("map").and_then(|n| n.parse().ok()) else {
        return Ok(None);
    };
    let number = |name: &str| {
        let file = dir.join(name);
        let text = host::read(&file)?;
        let digits = text.strip_prefix("0x");
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.ok_or_else(|| nonsense(&file, &text))
    };
    let name = host::read(&dir.join("name")).ok();
    Ok(Some(UioMap {
        index,
        name: name.filter(|name| !name.is_empty()),
        address: number("addr")?,
        size: number("size")?,
        // Kernels before 2.6.31 have none.
        offset: match number("offset") {
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            offset => offset?,
        },
    }))
}

fn nonsense(file: &Path, text: &str) -> Error {
    let message = format!("cannot make sense of {text:?} in {}", file.display());
    Error::new(ErrorKind::Other, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A machine with a UIO device as Linux 6.12 shows that of uio_pci_generic for an e1000e, whose third BAR starts inside
    /// a page.
    fn machine() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let uio = root.path().join("sys/class/uio/uio3");
        let write = |name: &str, text: &str| {
            let file = uio.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("name", "uio_pci_generic\n");
        write("event", "-2\n");
        for (map, name, addr, size, offset) in [
            (
                "map1",
                "BAR3",
                "0x00000000fe880000",
                "0x0000000000001000",
                "0x200",
            ),
            (
                "map0",
                "BAR0",
                "0x00000000fe840000",
                "0x0000000000020000",
                "0x0",
            ),
            ("map10", "", "0x1000", "0x1000", "0x0"),
        ] {
            for (file, text) in [
                ("name", name),
                ("addr", addr),
                ("size", size),
                ("offset", offset),
            ] {
                write(&format!("maps/{map}/{file}"), &format!("{text}\n"));
            }
        }
        let host = Host::at(root.path());
        (root, host)
    }

    #[test]
    fn a_device_is_what_the_machine_shows() {
        let (root, host) = machine();
        let uio = host.uio("uio3").unwrap();
        assert_eq!(uio.title, "uio_pci_generic");
        assert_eq!(uio.node, root.path().join("dev/uio3"));
        let maps: Vec<_> = uio
            .maps
            .iter()
            .map(|map| (map.index, map.name.as_deref()))
            .collect();
        assert_eq!(maps, [(0, Some("BAR0")), (1, Some("BAR3")), (10, None)]);
        let second = &uio.maps[1];
        assert_eq!(
            (second.address, second.size, second.offset),
            (0xfe88_0000, 0x1000, 0x200)
        );
        assert_eq!(
            host.uio_events("uio3").unwrap(),
            u32::MAX - 1,
            "it counts on"
        );
    }

    #[test]
    fn what_is_not_there_or_makes_no_sense_is_said_to_be() {
        let (root, host) = machine();
        for name in ["uio0", "../uio/uio3", "", ".", ".."] {
            let error = host.uio(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let message = format!("there is no UIO device {name} on this machine");
            assert_eq!(error.to_string(), message);
        }
        let size = root.path().join("sys/class/uio/uio3/maps/map0/size");
        fs::write(&size, "large\n").unwrap();
        let error = host.uio("uio3").unwrap_err().to_string();
        assert_eq!(
            error,
            format!("cannot make sense of \"large\" in {}", size.display())
        );
        fs::write(root.path().join("sys/class/uio/uio3/event"), "99999999999").unwrap();
        assert!(host.uio_events("uio3").is_err());
    }
}
