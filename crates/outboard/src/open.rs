//! Opening a device, by the backend that fits.

use crate::Backend;
use io_core::{Error, ErrorKind, PciDevice, Result};
use pci_host::{Host, PciFunction, Selector};
use std::env;
use uio_backend::UioDevice;
use vfio_backend::{IommuMode, VfioContext};

/// The variable of the environment that names a backend.
const VARIABLE: &str = "OUTBOARD_BACKEND";

/// A device that is open.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is taken apart")]
pub struct Opened {
    /// The device.
    pub device: Box<dyn PciDevice>,
    /// What carries it.
    pub backend: Backend,
    /// Why that, as a clause: "it is bound to vfio-pci, and the kernel has iommufd".
    pub reason: String,
}

/// Opens the device that a [`Selector`] names, such as `0000:01:00.0`, `8086:10d3` or `@nic`, by the backend that the
/// variable `OUTBOARD_BACKEND` names, or else by the one that fits what the device is bound to.
///
/// # Errors
///
/// It is no selector; or as for [`open_on`].
pub fn open(selector: &str) -> Result<Opened> {
    let parsed = selector.parse::<Selector>();
    let selector = parsed.map_err(|e| Error::new(ErrorKind::InvalidInput, e.to_string()))?;
    open_on(&Host::system(), &selector, None)
}

/// The backend that a variable of the environment asks for. An empty one asks for none.
fn asked(variable: Option<String>) -> Result<Option<Backend>> {
    let word = variable.filter(|word| !word.is_empty());
    let backend = word.map(|word| word.parse::<Backend>()).transpose();
    backend.map_err(|error| {
        let message = format!("cannot do what {VARIABLE} asks for");
        Error::new(ErrorKind::InvalidInput, message).with_source(error)
    })
}

/// Opens the device of this machine that a [`Selector`] names, by this backend, or else as [`open`] does.
///
/// # Errors
///
/// There is no such device, or more than one; it is bound to what the backend cannot use, or to a driver of the kernel's; `OUTBOARD_BACKEND`
/// names no backend; or the backend cannot open it. Each says what to do.
pub fn open_on(host: &Host, selector: &Selector, backend: Option<Backend>) -> Result<Opened> {
    let function = host.select(selector)?;
    let address = function.address;
    let asked = match backend {
        Some(backend) => Some((backend, "it was asked for")),
        None => {
            asked(env::var(VARIABLE).ok())?.map(|backend| (backend, "OUTBOARD_BACKEND asks for it"))
        }
    };
    let (backend, reason) = match asked {
        None => fitting(host, &function)?,
        Some((backend, why)) => {
            check(host, &function, backend)?;
            (backend, why.to_owned())
        }
    };
    let device: Box<dyn PciDevice> = match backend {
        Backend::Iommufd => Box::new(VfioContext::new(host, IommuMode::Iommufd)?.open(address)?),
        Backend::Type1 => Box::new(VfioContext::new(host, IommuMode::Type1)?.open(address)?),
        Backend::Uio | Backend::Sysfs => Box::new(UioDevice::open(host, address)?),
    };
    log::info!("opened {address} by {backend}: {reason}");
    Ok(Opened {
        device,
        backend,
        reason,
    })
}

/// The backend that fits what the function is bound to, and why.
fn fitting(host: &Host, function: &PciFunction) -> Result<(Backend, String)> {
    let address = function.address;
    let Some(driver) = &function.driver else {
        return Ok((Backend::Sysfs, "no driver has it".to_owned()));
    };
    if function.has_vfio_driver() {
        let nodes = host.iommufd().exists() && host.vfio_cdev(address).is_some();
        return Ok(if nodes {
            let reason = format!("it is bound to {driver}, and the kernel has iommufd");
            (Backend::Iommufd, reason)
        } else {
            let reason = format!("it is bound to {driver}, and the kernel has no iommufd for it");
            (Backend::Type1, reason)
        });
    }
    if host.uio_of(address)?.is_some() {
        return Ok((Backend::Uio, format!("it is bound to {driver}")));
    }
    let message = format!("{address} is bound to {driver}, which drives it");
    let hint = format!("bind it to vfio-pci first: sudo outboard bind {address}");
    Err(Error::new(ErrorKind::NotBound, message).with_hint(hint))
}

/// Refuses a backend that does not go with what the function is bound to.
fn check(host: &Host, function: &PciFunction, asked: Backend) -> Result<()> {
    let address = function.address;
    let (fits, driver) = match asked {
        Backend::Iommufd | Backend::Type1 => (function.has_vfio_driver(), "vfio-pci"),
        Backend::Uio => (host.uio_of(address)?.is_some(), "uio_pci_generic"),
        Backend::Sysfs => (function.driver.is_none(), ""),
    };
    if fits {
        return Ok(());
    }
    let now = match &function.driver {
        Some(driver) => format!("it is bound to {driver}"),
        None => "no driver has it".to_owned(),
    };
    let message = format!("{address} cannot be opened by {asked}: {now}");
    Err(Error::new(ErrorKind::NotBound, message).with_hint(match driver {
        "" => format!("sysfs is for devices without a driver: sudo outboard bind {address}, and the backend that fits then"),
        driver => format!("bind it first: sudo outboard bind {address} --driver {driver}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn the_variable_asks_for_a_backend_or_for_none_or_is_refused() {
        assert_eq!(asked(None).unwrap(), None);
        assert_eq!(asked(Some(String::new())).unwrap(), None);
        assert_eq!(asked(Some("uio".to_owned())).unwrap(), Some(Backend::Uio));
        let error = asked(Some("vfio".to_owned())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot do what OUTBOARD_BACKEND asks for"
        );
        let why = error.source().unwrap().to_string();
        assert_eq!(why, "vfio is no backend: iommufd, type1, uio and sysfs are");
    }

    #[test]
    fn what_names_no_device_or_is_not_there_is_said_to() {
        let error = open("eth0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("'eth0' names no device"));
        let root = tempfile::tempdir().unwrap();
        let host = Host::at(root.path());
        for selector in ["0000:01:00.0", "net:eth0", "@nic"] {
            let selector: Selector = selector.parse().unwrap();
            let error = open_on(&host, &selector, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
    }
}
