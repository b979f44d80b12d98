//! From what is typed to the device that is meant.

use crate::{
    cli::{DeviceArgs, DevicesArgs},
    failure::{Exit, Failure},
};
use pci_host::{DevicePath, Host, Ids, PciFunction, Selector};

impl DeviceArgs {
    /// The device, if it is the one that was expected.
    pub fn find(&self, host: &Host) -> Result<PciFunction, Failure> {
        let function = host.select(&self.device)?;
        check(&function, self.expect)?;
        Ok(function)
    }

    /// Where the device is; and the device, unless it is gone and was named by its place.
    pub fn place(&self, host: &Host) -> Result<(DevicePath, Option<PciFunction>), Failure> {
        match (self.find(host), &self.device) {
            (Ok(function), _) => Ok((host.device_path(function.address), Some(function))),
            (Err(_), Selector::Path(path)) => Ok((path.clone(), None)),
            (Err(failure), _) => Err(failure),
        }
    }
}

impl DevicesArgs {
    /// The devices, each once, if all are as expected.
    pub fn find(&self, host: &Host) -> Result<Vec<PciFunction>, Failure> {
        let found = if self.all {
            several(host, &self.devices)?
        } else {
            let mut one_each = Vec::new();
            for selector in &self.devices {
                let function = host.select(selector)?;
                if !one_each.contains(&function) {
                    one_each.push(function);
                }
            }
            one_each
        };
        found.iter().try_for_each(|f| check(f, self.expect))?;
        Ok(found)
    }
}

fn check(function: &PciFunction, expected: Option<Ids>) -> Result<(), Failure> {
    match expected {
        Some(expected) if !expected.are_of(function) => {
            let (address, vendor, device) = (function.address, function.vendor, function.device);
            let message =
                format!("{address} is {vendor:04x}:{device:04x}, and {expected} was expected");
            let hint = format!("has a card been moved? `outboard list {expected}` finds it");
            Err(Failure::new(Exit::Refused, message).with_hint(hint))
        }
        _ => Ok(()),
    }
}

/// All devices that are named, each once, ordered by address.
pub fn several(host: &Host, selectors: &[Selector]) -> Result<Vec<PciFunction>, Failure> {
    let mut all = Vec::new();
    for selector in selectors {
        all.extend(host.select_all(selector)?);
    }
    all.sort_by_key(|function| function.address);
    all.dedup_by_key(|function| function.address);
    Ok(all)
}
