//! Functions that are bound to vfio-pci for a test.

use io_core::pci::PciAddress;
use pci_host::Host;
use std::time::Duration;
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

// Where the lab has its devices: see docs/lab.md.
pub const EDU: &str = "00:03.0";
pub const EDU_BEHIND_PORT: &str = "01:00.0";
pub const IVSHMEM: &str = "00:10.0";
pub const DOORBELL: &str = "00:11.0";
pub const TESTDEV: &str = "00:13.0";
pub const NIC: &str = "03:00.0";
pub const EDU_BEHIND_BRIDGE: &str = "05:01.0";

/// A function, bound to vfio-pci until this is dropped.
pub struct Bound {
    pub host: Host,
    pub address: PciAddress,
}

impl Bound {
    pub fn new(address: &str) -> Self {
        lab_guest::fact("kernel");
        let (host, address) = (Host::system(), address.parse().unwrap());
        let plan = host
            .plan_bind(&host.function(address).unwrap(), "vfio-pci")
            .unwrap();
        host.execute(&plan, Duration::from_secs(10)).unwrap();
        Self { host, address }
    }

    pub fn open(&self) -> io_core::Result<VfioDevice> {
        VfioDevice::open(&self.host, self.address)
    }

    pub fn open_in(&self, mode: IommuMode) -> VfioDevice {
        let context = VfioContext::new(&self.host, mode).unwrap();
        context.open(self.address).unwrap()
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let function = self.host.function(self.address).unwrap();
        self.host
            .execute(&self.host.plan_release(&function), Duration::ZERO)
            .unwrap();
    }
}

/// The modes with an IOMMU that this kernel has: the distribution's has no iommufd.
pub fn modes() -> Vec<IommuMode> {
    match lab_guest::fact("kernel").as_str() {
        "full" => vec![IommuMode::Type1, IommuMode::Iommufd],
        _ => vec![IommuMode::Type1],
    }
}
