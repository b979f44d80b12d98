//! The lab's devices, as vfio-pci or the kernel's own driver has them.

use std::ptr;
use std::time::Duration;

use io_core::{Bar, pci::PciAddress};
use pci_host::{Host, PciFunction};
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

use crate::Result;

/// Binds the device at `address` to vfio-pci.
pub fn bind(address: &str) -> Result<PciFunction> {
    let (host, address) = (Host::system(), address.parse::<PciAddress>()?);
    let plan = host.plan_bind(&host.function(address)?, "vfio-pci")?;
    let (function, _) = host.execute(&plan, Duration::from_secs(10))?;
    Ok(function)
}

/// Binds it and opens it.
pub fn open(address: &str, mode: IommuMode) -> Result<VfioDevice> {
    let function = bind(address)?;
    Ok(VfioContext::new(&Host::system(), mode)?.open(function.address)?)
}

/// Where a BAR is mapped. It is no memory that Rust knows of, so that an address is as good as a pointer.
pub fn start(bar: &Bar) -> Result<*mut u8> {
    Ok(ptr::with_exposed_provenance_mut(bar.raw::<0>()?.addr()))
}
