//! What the kernel has made of devices: network interfaces, disks, nodes.

use crate::{Host, PciFunction, Selector, host::names, host::read, select::device_of};
use io_core::{Error, Result, pci::PciAddress};
use std::{collections::BTreeMap, fs, path::PathBuf};

impl Host {
    /// The network interfaces and disks of all functions, by selectors that name these.
    ///
    /// Interfaces of other network namespaces cannot be seen.
    #[must_use]
    pub fn attached(&self) -> BTreeMap<PciAddress, Vec<Selector>> {
        let mut all: BTreeMap<PciAddress, Vec<Selector>> = BTreeMap::new();
        for name in self.class("net") {
            if let Some(address) = device_of(&self.sys().join("class/net").join(&name)) {
                all.entry(address).or_default().push(Selector::Net(name));
            }
        }
        for name in self.class("block") {
            let dir = self.sys().join("class/block").join(&name);
            if dir.join("partition").exists() {
                continue;
            }
            for address in self.disk_devices(&dir) {
                let disk = Selector::Block(name.clone());
                all.entry(address).or_default().push(disk);
            }
        }
        all
    }

    /// The names of a class of devices, in order.
    pub(crate) fn class(&self, class: &str) -> Vec<String> {
        let mut names = names(&self.sys().join("class").join(class)).unwrap_or_default();
        names.sort_unstable();
        names
    }

    /// The node by which a program opens the function, if its driver has one: its group's with VFIO.
    #[must_use]
    pub fn node(&self, function: &PciFunction) -> Option<PathBuf> {
        match function.iommu_group {
            Some(group) if function.has_vfio_driver() => Some(self.vfio_group(group)),
            _ if function.driver.is_none() => None,
            _ => self.uio_node(function.address),
        }
    }

    /// What a file that `/sys` has for the function says, if it has such a file: `numa_node`, `power_state`.
    #[must_use]
    pub fn attribute(&self, address: PciAddress, name: &str) -> Option<String> {
        let text = read(&self.function_file(address, name)).ok()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// The function's configuration space, as far as this user may read it: all of it for root, else 64 bytes.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn config_space(&self, address: PciAddress) -> Result<Vec<u8>> {
        let path = self.function_file(address, "config");
        fs::read(&path).map_err(|e| Error::from_os(format!("cannot read {}", path.display()), e))
    }
}
