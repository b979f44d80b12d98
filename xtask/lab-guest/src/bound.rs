//! Functions that are bound to a driver for user space for a test.

use std::time::Duration;

use io_core::{
    Bar, ConfigSpace, PciDevice, Result, dma::DmaSpace, event::DeviceEvents, irq::Interrupts,
    pci::PciAddress,
};
use pci_host::Host;
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

/// A function that is bound to a driver for user space until this is dropped.
pub struct Bound {
    /// The guest.
    pub host: Host,
    /// Where the function is.
    pub address: PciAddress,
}

impl Bound {
    /// Binds the function at `address`, such as `00:03.0`: docs/lab.md has them all.
    ///
    /// # Panics
    ///
    /// It cannot be bound, or this is not the lab.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self::to(address, "vfio-pci")
    }

    /// Binds the function to this driver.
    ///
    /// # Panics
    ///
    /// As for [`new`](Self::new).
    #[must_use]
    pub fn to(address: &str, driver: &str) -> Self {
        crate::fact("kernel");
        let host = Host::system();
        let address = address.parse().expect("an address");
        let function = host.function(address).expect("a function");
        let plan = host.plan_bind(&function, driver).expect("a plan");
        host.execute(&plan, Duration::from_secs(10)).expect("bound");
        Self { host, address }
    }

    /// Opens it, in the best mode that there is.
    ///
    /// # Errors
    ///
    /// As for [`VfioDevice::open`].
    pub fn open(&self) -> Result<VfioDevice> {
        VfioDevice::open(&self.host, self.address)
    }

    /// Opens it in a context of its own.
    ///
    /// # Panics
    ///
    /// It cannot be opened.
    #[must_use]
    pub fn open_in(&self, mode: IommuMode) -> VfioDevice {
        let context = VfioContext::new(&self.host, mode).expect("a context");
        context.open(self.address).expect("open")
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let function = self.host.function(self.address).expect("a function");
        let plan = self.host.plan_release(&function).expect("a plan");
        let released = self.host.execute(&plan, Duration::from_secs(10));
        released.expect("released");
    }
}

/// The modes with an IOMMU that this kernel has: the distribution's has no iommufd.
#[must_use]
pub fn modes() -> Vec<IommuMode> {
    match crate::fact("kernel").as_str() {
        "full" => vec![IommuMode::Type1, IommuMode::Iommufd],
        _ => vec![IommuMode::Type1],
    }
}

/// A device whose BARs are reached by calls, as those of many backends are.
#[derive(Debug)]
pub struct ByCalls(pub VfioDevice);

impl PciDevice for ByCalls {
    fn address(&self) -> PciAddress {
        self.0.address()
    }

    fn config(&self) -> ConfigSpace<'_> {
        self.0.config()
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        self.0.bar_by_calls(index)
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        PciDevice::interrupts(&self.0)
    }

    fn events(&self) -> Option<&dyn DeviceEvents> {
        self.0.events()
    }

    fn dma(&self) -> Option<&DmaSpace> {
        self.0.dma()
    }

    fn reset(&self) -> Result<()> {
        self.0.reset()
    }
}
