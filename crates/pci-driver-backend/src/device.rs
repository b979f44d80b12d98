//! A device that pci-driver has open.

use crate::{bar, dma::Type1, irq::Irqs, region};
use io_core::{
    Bar, ConfigSpace, Error, ErrorKind, Fault, Offset, PciDevice, RegionOps, Result, Width,
    dma::DmaSpace, irq::Interrupts, pci::PciAddress,
};
use nix::errno::Errno;
use pci_driver::{backends::vfio::VfioPciDevice, device::PciDevice as _, regions::PciRegion as _};
use pci_host::Host;
use std::{io, sync::Arc};

/// A PCI device that pci-driver's VFIO backend has open.
#[derive(Debug)]
pub struct PciDriverDevice {
    device: Arc<VfioPciDevice>,
    address: PciAddress,
    config: Config,
    irqs: Arc<Irqs>,
    dma: DmaSpace,
}

impl PciDriverDevice {
    /// Opens the device at `address`, which must be bound to vfio-pci or one of its variants, with a container of its own.
    ///
    /// # Errors
    ///
    /// There is no such device, or it is not bound so; its group is open already, not viable, or not this user's.
    pub fn open(host: &Host, address: PciAddress) -> Result<Self> {
        let function = host.function(address)?;
        if !function.has_vfio_driver() {
            let message = format!("{address} is not bound to vfio-pci");
            let hint = format!("bind it first: sudo outboard bind {address}");
            return Err(Error::new(ErrorKind::NotBound, message).with_hint(hint));
        }
        let path = host.function_file(address, "");
        let device = VfioPciDevice::open(path).map_err(|e| {
            let error = Error::from_os(format!("pci-driver cannot open {address}"), e);
            let Some(group) = function.iommu_group else {
                return error.with_hint("it is in no IOMMU group, and pci-driver takes only devices that are");
            };
            let node = host.vfio_group(group);
            error.with_hint(format!(
                "it takes {0} and its container for itself: another program may have them (sudo fuser -v {0}), they may not \
                 be this user's, or another device of the group may be bound to its kernel driver",
                node.display()
            ))
        })?;
        Self::new(device, address)
    }

    /// The device that a program has open by pci-driver already, which is at `address`.
    ///
    /// Nobody else must map memory in its container, nor use its interrupts.
    ///
    /// # Errors
    ///
    /// What there is of DMA makes no sense.
    pub fn new(device: VfioPciDevice, address: PciAddress) -> Result<Self> {
        let device = Arc::new(device);
        let dma = DmaSpace::new(Box::new(Type1(Arc::clone(device.container()))))?;
        Ok(Self {
            config: Config::new(&device, address),
            irqs: Arc::new(Irqs::new(&device, address)),
            device,
            address,
            dma,
        })
    }

    pub(crate) fn irqs(&self) -> &Arc<Irqs> {
        &self.irqs
    }

    /// The device, for code that is written for pci-driver.
    #[must_use]
    pub fn device(&self) -> &VfioPciDevice {
        &self.device
    }
}

impl PciDevice for PciDriverDevice {
    fn address(&self) -> PciAddress {
        self.address
    }

    fn config(&self) -> ConfigSpace<'_> {
        self.config.space()
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        bar::bar(self.device(), self.address, index)
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        Some(self)
    }

    fn dma(&self) -> Option<&DmaSpace> {
        Some(&self.dma)
    }

    /// Resets it alone. Bus mastering is off afterwards, and interrupts that were enabled are enabled still.
    fn reset(&self) -> Result<()> {
        let address = self.address;
        if let Err(error) = self.set_bus_master(false) {
            log::warn!("resetting {address} although its bus mastering may be on: {error}");
        }
        let reset = self.device.reset();
        reset.map_err(|e| match e.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EINVAL | Errno::ENOTTY) => {
                let message = format!("the kernel knows no way to reset {address} alone");
                Error::new(ErrorKind::Unsupported, message)
            }
            _ => Error::from_os(format!("cannot reset {address}"), e),
        })?;
        self.irqs.rearm()
    }
}

/// Configuration space, by calls.
#[derive(Debug)]
pub(crate) struct Config {
    device: Arc<VfioPciDevice>,
    name: String,
    size: usize,
}

impl Config {
    pub(crate) fn new(device: &Arc<VfioPciDevice>, address: PciAddress) -> Self {
        Self {
            device: Arc::clone(device),
            name: format!("configuration space of {address}"),
            size: usize::try_from(device.config().len()).unwrap_or(0),
        }
    }

    pub(crate) fn space(&self) -> ConfigSpace<'_> {
        ConfigSpace::new(self).expect("the kernel shows 256 bytes at least")
    }
}

impl RegionOps for Config {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> usize {
        self.size
    }

    fn widest(&self) -> Width {
        Width::U32
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        region::read(&self.device.config(), at, bytes)
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        region::write(&self.device.config(), at, bytes)
    }
}

/// What came of an access that pci-driver made.
pub(crate) fn fault(error: &io::Error) -> Fault {
    error
        .raw_os_error()
        .map_or(Fault::Short { done: 0 }, Fault::from_errno)
}
