//! Names of devices and classes, from the list that the distribution installs.

use pci_host::PciFunction;
use pciid_parser::Database;
use std::{collections::BTreeSet, fs};

/// Where distributions install the list: Fedora and Arch, Debian, NixOS.
const FILES: [&str; 3] = [
    "/usr/share/hwdata/pci.ids",
    "/usr/share/misc/pci.ids",
    "/run/current-system/sw/share/pci.ids",
];

/// The names that the list of PCI ids (`pci.ids`) has, if this machine has one.
pub struct Names(Option<Database>);

impl Names {
    /// Reads the names of these functions and of all classes. The names of everything would take longer than all else
    /// that a short command does.
    pub fn of<'a>(functions: impl IntoIterator<Item = &'a PciFunction>) -> Self {
        let vendors = functions.into_iter().map(|function| function.vendor);
        let vendors: BTreeSet<String> = vendors.map(|vendor| format!("{vendor:04x}")).collect();
        let list = FILES.iter().find_map(|file| fs::read_to_string(file).ok());
        let names = list.map(|list| Database::parse_db(extract(&list, &vendors).as_bytes()));
        match names {
            Some(Ok(names)) => Self(Some(names)),
            Some(Err(error)) => {
                log::debug!("no names of PCI ids: {error}");
                Self(None)
            }
            None => {
                log::debug!("no names of PCI ids: there is no pci.ids");
                Self(None)
            }
        }
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

/// What the list says of these vendors and their devices, and of classes: lines that begin with neither `#` nor a tab begin
/// a vendor (`8086  Intel Corporation`) or a class (`C 02  Network controller`); below it are lines with a tab, and below
/// those lines with two, which name boards and programming interfaces.
fn extract(list: &str, vendors: &BTreeSet<String>) -> String {
    let mut wanted = false;
    let lines = list.split_inclusive('\n').filter(|line| {
        if line.starts_with(['#', '\n']) {
            return false;
        }
        if !line.starts_with('\t') {
            let id = line.split(' ').next().unwrap_or_default();
            wanted = id == "C" || vendors.contains(id);
        }
        wanted && !line.starts_with("\t\t")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::extract;

    #[test]
    fn of_the_list_only_those_vendors_and_the_classes_are_read() {
        let list = "# pci.ids\n\n0e11  Compaq\n\t0001  Bridge\n8086  Intel\n# a comment\n\t10d3  82574L\n\
                    \t\t8086 a01f  Adapter\n8087  Other\n\t0001  Thing\nC 02  Network\n\t00  Ethernet\n";
        let vendors = ["8086".to_owned()].into();
        assert_eq!(
            extract(list, &vendors),
            "8086  Intel\n\t10d3  82574L\nC 02  Network\n\t00  Ethernet\n"
        );
    }
}
