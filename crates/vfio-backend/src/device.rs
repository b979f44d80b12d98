//! An open device.

use crate::{ConfigSpace, RegionInfo, container::Container, group::Group, sys};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use pci_host::{Host, PciFunction};
use std::{fs::File, io, os::fd::AsFd, sync::Arc};
use vfio_bindings::bindings::vfio::VFIO_DEVICE_FLAGS_PCI;

/// A PCI device, opened through VFIO for this program alone.
///
/// Cloning it gives another handle to the same open device, which closes with the last of them and
/// of the BARs mapped from it.
#[derive(Debug, Clone)]
pub struct VfioDevice {
    open: Arc<Open>,
}

/// What is open. Fields are dropped in this order, which is the one that the kernel needs.
#[derive(Debug)]
struct Open {
    device: File,
    config: RegionInfo,
    function: PciFunction,
    _group: Group,
    _container: Container,
}

impl VfioDevice {
    /// Opens the device at `address`, which must be bound to vfio-pci.
    ///
    /// The kernel resets the device, if it knows how, and switches memory decoding on and bus
    /// mastering off.
    ///
    /// # Errors
    ///
    /// There is no such device; it is not bound to vfio-pci; its group has other members that the
    /// kernel drives, or is open in another program, or may not be opened by this user; or the machine
    /// has no IOMMU that VFIO could use. Each says so, with what to do about it.
    #[doc(alias = "VFIO_GROUP_GET_DEVICE_FD")]
    pub fn open(host: &Host, address: PciAddress) -> Result<Self> {
        let function = host.function(address)?;
        check_driver(&function)?;
        let container = Container::open(host)?;
        let group = Group::open(host, &function, &container)?;
        container.set_iommu(address)?;
        let device = File::from(group.device(address)?);

        let os_error = |what: &str, errno| {
            Error::from_os(
                format!("cannot ask VFIO for {what} of {address}"),
                io::Error::from(errno),
            )
        };
        let info = sys::device_get_info(device.as_fd()).map_err(|e| os_error("the kind", e))?;
        if info.flags & VFIO_DEVICE_FLAGS_PCI == 0 {
            let message = format!("VFIO says that {address} is no PCI device");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let config = RegionInfo::read(device.as_fd(), ConfigSpace::REGION)
            .map_err(|e| os_error("the configuration space", e))?;
        log::debug!("opened {address}: {} regions", info.num_regions);
        let open = Open {
            device,
            config,
            function,
            _group: group,
            _container: container,
        };
        Ok(Self {
            open: Arc::new(open),
        })
    }

    /// What the machine showed of the function when it was opened.
    #[must_use]
    pub fn function(&self) -> &PciFunction {
        &self.open.function
    }

    /// Where the device is.
    #[must_use]
    pub fn address(&self) -> PciAddress {
        self.open.function.address
    }

    /// Its configuration space.
    #[must_use]
    pub fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::new(self, &self.open.config)
    }

    /// What the kernel says of a region: a BAR (0 to 5), the ROM (6) or configuration space (7).
    ///
    /// # Errors
    ///
    /// The kernel knows no region of this index.
    #[doc(alias = "VFIO_DEVICE_GET_REGION_INFO")]
    pub fn region_info(&self, index: u32) -> Result<RegionInfo> {
        RegionInfo::read(self.file().as_fd(), index).map_err(|errno| {
            let message = format!("cannot ask VFIO for region {index} of {}", self.address());
            Error::from_os(message, io::Error::from(errno))
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.open.device
    }
}

/// Refuses a function that is not with VFIO, before anything is opened.
fn check_driver(function: &PciFunction) -> Result<()> {
    let address = function.address;
    if function.has_vfio_driver() {
        return Ok(());
    }
    let now = match &function.driver {
        Some(driver) => format!("it is bound to {driver}"),
        None => "it is bound to no driver".to_owned(),
    };
    Err(Error::new(
        ErrorKind::NotBound,
        format!("{address} is not bound to vfio-pci: {now}"),
    )
    .with_hint(format!("bind it first: sudo outboard bind {address}")))
}
