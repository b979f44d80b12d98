//! What driverctl does at each start: a file of `/etc/driverctl.d` a device, called after its bus and address, with the driver.

use crate::{Host, etc_file::read, host::names_if_any};
use io_core::{Result, pci::PciAddress};
use std::path::PathBuf;

/// A device that driverctl gives to a driver at each start, whatever is at that address then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverctlOverride {
    /// The file that says so.
    pub file: PathBuf,
    /// The address.
    pub address: PciAddress,
    /// The driver; `none` is one of driverctl's own words.
    pub driver: String,
}

impl Host {
    /// The devices that driverctl gives to drivers, ordered by address. Other buses are left out.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn driverctl_overrides(&self) -> Result<Vec<DriverctlOverride>> {
        let dir = self.etc().join("driverctl.d");
        let files = names_if_any(&dir)?;
        let mut found = Vec::new();
        for name in files {
            let address = name.strip_prefix("pci-").map(str::parse);
            let Some(Ok(address)) = address else {
                continue;
            };
            let file = dir.join(&name);
            let driver = read(&file)?.unwrap_or_default().trim().to_owned();
            found.push(DriverctlOverride {
                file,
                address,
                driver,
            });
        }
        found.sort_by_key(|one| one.address);
        Ok(found)
    }

    /// What driverctl has for the function at `address`.
    pub(super) fn driverctl_override(
        &self,
        address: PciAddress,
    ) -> Result<Option<DriverctlOverride>> {
        let all = self.driverctl_overrides()?;
        Ok(all.into_iter().find(|one| one.address == address))
    }
}
