//! Names of devices and classes, from the list that the distribution installs.

use pci_host::PciFunction;
use pciid_parser::Database;

/// The list of PCI ids (`pci.ids`), if this machine has one.
pub struct Names(Option<Database>);

impl Names {
    /// Reads the list.
    pub fn read() -> Self {
        Self(
            Database::read()
                .inspect_err(|e| log::debug!("no names of PCI ids: {e}"))
                .ok(),
        )
    }

    /// The name of who made it.
    pub fn vendor(&self, function: &PciFunction) -> Option<&str> {
        Some(&self.0.as_ref()?.vendors.get(&function.vendor)?.name)
    }

    /// The name of the device.
    pub fn device(&self, function: &PciFunction) -> Option<&str> {
        let vendor = self.0.as_ref()?.vendors.get(&function.vendor)?;
        Some(&vendor.devices.get(&function.device)?.name)
    }

    /// The name of its class, or of its base class.
    pub fn class(&self, function: &PciFunction) -> Option<&str> {
        let [_, base, sub, _] = function.class.to_be_bytes();
        let class = self.0.as_ref()?.classes.get(&base)?;
        Some(
            class
                .subclasses
                .get(&sub)
                .map_or(&class.name, |subclass| &subclass.name),
        )
    }
}
