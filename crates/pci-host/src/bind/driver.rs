//! Drivers: which hand functions to user space, which are loaded, and why one may not take a function.

use crate::{Host, PciFunction, function::is_vfio_driver, host::read};
use io_core::{Error, ErrorKind, Result};
use std::process::Command;

/// Drivers that are there to hand a function to user space, beside the variants of the first.
const USERSPACE_DRIVERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "pci-stub"];

/// What vfio-pci refuses to take, unless it is loaded with `disable_denylist=1`: devices of Intel's (8086) that are not safe
/// in the hands of a program. QuickAssist C3xxx, C62x, DH895xCC and their virtual functions, DSA and IAX.
const DENIED: [u16; 8] = [
    0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443, 0x0b25, 0x0cfe,
];

/// Whether a driver is there so that a program in user space can drive the function.
pub(crate) fn hands_to_userspace(driver: &str) -> bool {
    USERSPACE_DRIVERS.contains(&driver) || is_vfio_driver(driver)
}

/// A driver for people, or that there is none.
pub(crate) fn driver_name(driver: Option<&str>) -> String {
    driver.map_or("no driver".to_owned(), |driver| {
        format!("the driver {driver}")
    })
}

impl Host {
    /// The module that has to be loaded before a function can be bound to `driver`.
    ///
    /// Refuses a driver that does not exist, and one that would take any function for its own: an
    /// override makes the kernel skip the driver's list of ids, and e1000e given an NVMe controller
    /// brings the kernel down.
    pub(crate) fn module_for(&self, driver: &str) -> Result<Option<String>> {
        let loaded = self.check_loaded(driver);
        let variant = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            name.ends_with("_vfio_pci") && name.chars().all(plain)
        };
        match loaded {
            Ok(()) if hands_to_userspace(driver) => Ok(None),
            Ok(()) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{driver} is a driver of the kernel's own, and does not hand devices over"),
            )
            .with_hint(format!(
                "bind to one that does ({}); to go back to the kernel's own driver, release the \
                 device",
                USERSPACE_DRIVERS.join(", ")
            ))),
            Err(_) if USERSPACE_DRIVERS.contains(&driver) || variant(driver) => {
                Ok(Some(driver.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses a driver that is not loaded.
    pub(crate) fn check_loaded(&self, driver: &str) -> Result<()> {
        let drivers = self.drivers()?;
        if drivers.iter().any(|name| name == driver) {
            return Ok(());
        }
        let dashed = driver.replace('_', "-");
        let hint = if dashed != driver && hands_to_userspace(&dashed) {
            format!("did you mean {dashed}?")
        } else {
            format!("load it: sudo modprobe {driver}")
        };
        let message = format!("there is no PCI driver {driver:?} loaded");
        Err(Error::new(ErrorKind::NotFound, message).with_hint(hint))
    }

    /// Loads a driver.
    pub(crate) fn load(&self, module: &str) -> Result<()> {
        log::debug!("modprobe {module}");
        let unsupported = |why: String| {
            let message = format!("the driver {module} is not there, and could not be loaded{why}");
            let hint = format!("is it built for this kernel? sudo modprobe {module}");
            Error::new(ErrorKind::Unsupported, message).with_hint(hint)
        };
        let output = Command::new("modprobe").arg(module).output();
        let output = output.map_err(|e| unsupported(String::new()).with_source(e))?;
        match self.check_loaded(module) {
            Err(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().next().map(|line| format!(": {line}"));
                Err(unsupported(said.unwrap_or_default()))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Why `driver` did not take the function, as far as it can be known.
    pub(crate) fn why_not_taken(&self, function: &PciFunction, driver: &str) -> String {
        let address = function.address;
        if driver == "vfio-pci"
            && function.vendor == 0x8086
            && DENIED.contains(&function.device)
            && self
                .module_parameter("vfio_pci", "disable_denylist")
                .as_deref()
                != Some("Y")
        {
            return "vfio-pci has it on its list of devices that are not safe in the hands of a program; if all that reach \
                    it are to be trusted: sudo modprobe -r vfio-pci && sudo modprobe vfio-pci disable_denylist=1"
                .to_owned();
        }
        match self.variant_driver(function) {
            Some(variant) if variant != driver => {
                format!("{variant} is made for it: outboard bind {address} --driver {variant}")
            }
            _ => format!("the kernel's log may say why: sudo dmesg | grep {address}"),
        }
    }

    /// The variant of vfio-pci that is made for the function, such as mlx5_vfio_pci: among the aliases of the kernel's
    /// modules, those of drivers that take a function only when its override names them begin with `vfio_pci:`.
    #[must_use]
    pub fn variant_driver(&self, function: &PciFunction) -> Option<String> {
        let alias = read(&self.function_file(function.address, "modalias")).ok()?;
        let alias = alias.strip_prefix("pci:")?.to_owned();
        let aliases = self.module_aliases().ok()?;
        let mut lines = aliases.lines().filter_map(|line| {
            let (pattern, module) = line.strip_prefix("alias vfio_pci:")?.split_once(' ')?;
            matches(pattern, &alias).then(|| module.to_owned())
        });
        // Those that match by a class, or everything, are vfio-pci itself.
        lines.find(|module| module != "vfio_pci")
    }
}

/// Whether `text` is as `pattern` says, where a `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
        last = part;
    }
    rest.is_empty() || (last.is_empty() && pattern.ends_with('*'))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn an_alias_matches_as_the_kernel_writes_it() {
        // From modules.alias of Linux 6.12, and the modalias of such a function.
        let pattern = "v000015B3d0000101Esv*sd*bc*sc*i*";
        let function = "v000015B3d0000101Esv000015B3sd00000058bc02sc00i00";
        assert!(matches(pattern, function));
        assert!(!matches(pattern, &function.replace("101E", "101F")));
        assert!(matches("v*d*sv*sd*bc*sc*i*", function));
        assert!(!matches("v*d*sv*sd*bc01sc*i*", function));
        assert!(matches("v*i00", function));
        assert!(!matches("v*i01", function));
    }
}
