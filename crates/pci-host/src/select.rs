//! Finding the device that a selector names.

use crate::{DevicePath, Host, Ids, PciFunction, Selector, host::names, path::addresses};
use io_core::{
    Error, ErrorKind, Result,
    pci::{
        Config, PciAddress,
        capability::{Body, CapabilityId, SerialNumber},
    },
};
use std::{fs, path::Path};

impl Host {
    /// The one function that `selector` names.
    ///
    /// # Errors
    ///
    /// It names none, or several: the error names those. What else it says depends on the kind.
    pub fn select(&self, selector: &Selector) -> Result<PciFunction> {
        let found = self.select_all(selector)?;
        match <[PciFunction; 1]>::try_from(found) {
            Ok([function]) => Ok(function),
            Err(several) => {
                let message = format!("{selector} is {} devices", several.len());
                let several: Vec<_> = several.iter().map(|f| f.address.to_string()).collect();
                let hint = format!("name one of them: {}", several.join(", "));
                Err(Error::new(ErrorKind::InvalidInput, message).with_hint(hint))
            }
        }
    }

    /// All functions that `selector` names, ordered by address: one at least.
    ///
    /// Ids and serial numbers may name several: the two ports of a card, say.
    ///
    /// # Errors
    ///
    /// It names none. What else it says depends on the kind.
    pub fn select_all(&self, selector: &Selector) -> Result<Vec<PciFunction>> {
        let one = |address| Ok(vec![self.function(address)?]);
        match selector {
            Selector::Address(address) => one(*address),
            Selector::ShortAddress(address) => one(self.in_any_domain(*address)?),
            Selector::Ids(ids) => self.by_ids(*ids),
            Selector::Path(path) => one(self.by_path(path)?),
            Selector::Serial(serial) => self.by_serial(*serial),
            Selector::Net(name) => one(self.by_interface(name)?),
            Selector::Block(name) => one(self.by_disk(name)?),
            Selector::Alias(name) => {
                let selector = self.alias(name)?;
                log::debug!("@{name} is {selector}");
                self.select_all(&selector)
            }
        }
    }

    /// The serial number of a function, if it has one that can be read: that takes root.
    #[must_use]
    pub fn serial_number(&self, address: PciAddress) -> Option<SerialNumber> {
        let config = fs::read(self.function_file(address, "config")).ok()?;
        let capabilities = Config::new(&config).extended_capabilities();
        let serial = capabilities.find(CapabilityId::SERIAL_NUMBER)?;
        match serial.body() {
            Ok(Body::SerialNumber(serial)) => Some(serial),
            _ => None,
        }
    }

    /// The addresses of all functions, in order.
    fn addresses(&self) -> Result<Vec<PciAddress>> {
        let names = names(&self.sys().join("bus/pci/devices"))?;
        let mut all: Vec<PciAddress> = names.iter().filter_map(|name| name.parse().ok()).collect();
        all.sort_unstable();
        Ok(all)
    }

    fn in_any_domain(&self, address: PciAddress) -> Result<PciAddress> {
        let place = |a: &PciAddress| (a.bus(), a.device(), a.function());
        let mut all = self.addresses().unwrap_or_default();
        all.retain(|other| place(other) == place(&address));
        match all.as_slice() {
            [] | [_] if all.iter().all(|other| *other == address) => Ok(address),
            others => {
                let hint: Vec<_> = others.iter().map(PciAddress::to_string).collect();
                let short = Selector::ShortAddress(address);
                let (kind, message) = match others {
                    [_] => (
                        ErrorKind::NotFound,
                        format!("there is no PCI device {address}, but one in another domain"),
                    ),
                    _ => (
                        ErrorKind::InvalidInput,
                        format!("{short} is in {} domains", others.len()),
                    ),
                };
                let hint = format!("name it with its domain: {}", hint.join(", "));
                Err(Error::new(kind, message).with_hint(hint))
            }
        }
    }

    fn by_ids(&self, ids: Ids) -> Result<Vec<PciFunction>> {
        let mut all = self.functions()?;
        all.retain(|function| ids.are_of(function));
        if all.is_empty() {
            return Err(none(format!("there is no PCI device with the ids {ids}")));
        }
        Ok(all)
    }

    fn by_path(&self, path: &DevicePath) -> Result<PciAddress> {
        let mut all = self.addresses()?.into_iter();
        all.find(|address| self.device_path(*address) == *path)
            .ok_or_else(|| none(format!("there is no PCI device at path:{path}")))
    }

    fn by_serial(&self, serial: SerialNumber) -> Result<Vec<PciFunction>> {
        let all = self.addresses()?;
        let its = |address: &PciAddress| self.serial_number(*address) == Some(serial);
        let found: Vec<PciAddress> = all.iter().copied().filter(its).collect();
        if found.is_empty() {
            let message = format!("no PCI device shows the serial number {serial}");
            // An ordinary user sees the first 64 bytes of configuration space.
            let cut = |address: &PciAddress| {
                let config = fs::read(self.function_file(*address, "config"));
                config.is_ok_and(|config| config.len() <= 64)
            };
            return Err(if all.iter().any(cut) {
                Error::new(ErrorKind::PermissionDenied, message)
                    .with_hint("only root can read serial numbers: run it with sudo")
            } else {
                none(message)
            });
        }
        found
            .into_iter()
            .map(|address| self.function(address))
            .collect()
    }

    fn by_interface(&self, name: &str) -> Result<PciAddress> {
        let dir = self.sys().join("class/net").join(name);
        if !dir.exists() {
            let message = format!("there is no network interface {name}");
            return Err(Error::new(ErrorKind::NotFound, message).with_hint(
                "interfaces of other network namespaces cannot be seen: ip link shows yours",
            ));
        }
        if let Some(address) = device_of(&dir) {
            return Ok(address);
        }
        let mut below: Vec<_> = names(&dir)?
            .into_iter()
            .filter_map(|link| {
                link.strip_prefix("lower_")
                    .map(|lower| format!("net:{lower}"))
            })
            .collect();
        below.sort_unstable();
        let message = format!("the network interface {name} is that of no PCI device");
        let error = Error::new(ErrorKind::NotFound, message);
        Err(match below.as_slice() {
            [] => error,
            below => error.with_hint(format!("it is made of {}", below.join(", "))),
        })
    }

    fn by_disk(&self, name: &str) -> Result<PciAddress> {
        let dir = self.sys().join("class/block").join(name);
        if !dir.exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no block device {name}"),
            )
            .with_hint("lsblk shows those that there are"));
        }
        match self.disk_devices(&dir).as_slice() {
            [address] => Ok(*address),
            [] => {
                let mut below = names(&dir.join("slaves")).unwrap_or_default();
                below.sort_unstable();
                let message = format!("the block device {name} is that of no PCI device");
                let error = Error::new(ErrorKind::NotFound, message);
                Err(match below.as_slice() {
                    [] => error,
                    below => {
                        error.with_hint(format!("it is made of block:{}", below.join(", block:")))
                    }
                })
            }
            several => {
                let several: Vec<_> = several.iter().map(PciAddress::to_string).collect();
                let message = format!("{name} is reached by {} devices", several.len());
                let hint = format!("name one of them: {}", several.join(", "));
                Err(Error::new(ErrorKind::InvalidInput, message).with_hint(hint))
            }
        }
    }

    /// The functions that a block device is reached by: several, if it is an NVMe drive with several paths.
    pub(crate) fn disk_devices(&self, dir: &Path) -> Vec<PciAddress> {
        if let Some(address) = device_of(dir) {
            return vec![address];
        }
        // devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1, beside the controllers nvme0 and nvme1.
        let in_subsystem = |dir: &&Path| {
            let name = dir.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("nvme-subsys"))
        };
        let real = dir.canonicalize().unwrap_or_default();
        let Some(subsystem) = real.ancestors().find(in_subsystem) else {
            return Vec::new();
        };
        let controllers = names(subsystem).unwrap_or_default();
        let controllers = controllers.iter().map(|name| subsystem.join(name));
        let mut devices: Vec<_> = controllers
            .filter(|path| path.is_symlink())
            .filter_map(|controller| addresses(&controller.canonicalize().ok()?).next_back())
            .collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }
}

/// The function that has a device of `/sys/class`, by the link to it: the last one on the way.
pub(crate) fn device_of(link: &Path) -> Option<PciAddress> {
    addresses(&fs::read_link(link).ok()?).next_back()
}

fn none(message: String) -> Error {
    Error::new(ErrorKind::NotFound, message).with_hint("`outboard list` shows those that there are")
}
