//! A PCI device.

use crate::{UioNode, bar, irq::PciIrq, open::Open};
use dma_memory::physical_space;
use io_core::{
    Bar, ConfigSpace, Error, ErrorKind, PciDevice, Result,
    dma::DmaSpace,
    irq::Interrupts,
    pci::{Command, PciAddress},
};
use nix::errno::Errno;
use pci_host::{Host, PciFunction};
use std::{
    fs,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// A PCI device, opened through uio_pci_generic or `/sys` alone.
///
/// Cloning it gives another handle to the same open device, which closes with the last of them and of its BARs and
/// interrupts. Bus mastering is off then, unless another driver has the device by then.
#[derive(Debug, Clone)]
pub struct UioDevice {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What is mapped and interrupts by a UIO driver, if one has the function.
    irq: Option<PciIrq>,
    node: Option<UioNode>,
    open: Arc<Open>,
    dma: OnceLock<DmaSpace>,
    asking: Mutex<()>,
}

impl UioDevice {
    /// Opens the device at `address`, which must be bound to uio_pci_generic, another UIO driver, or no driver at all.
    ///
    /// The device is not reset. Memory decoding is on afterwards, and bus mastering is off.
    ///
    /// # Errors
    ///
    /// There is no such device; it is a bridge; a driver has it that is none of these; it is open already by this crate; or
    /// this user may not open its files.
    pub fn open(host: &Host, address: PciAddress) -> Result<Self> {
        let function = host.function(address)?;
        let uio = host.uio_of(address)?;
        if let (Some(driver), None) = (&function.driver, &uio) {
            let message = format!("{address} is bound to {driver}, which drives it");
            let error = Error::new(ErrorKind::NotBound, message);
            return Err(error.with_hint(if function.has_vfio_driver() {
                "VFIO has it: open it by vfio-backend".to_owned()
            } else {
                format!("bind it first: sudo outboard bind {address} --driver uio_pci_generic")
            }));
        }
        let open = Arc::new(Open::new(host, function)?);
        // Who only has the node, and not configuration space, cannot; it was off when the driver took the function.
        let set = open.set_command(Command::BUS_MASTER, false);
        // The kernel has switched it on, unless somebody has had the function enabled before.
        if let Err(error) = set.and_then(|()| open.set_command(Command::MEMORY, true)) {
            log::info!("Command stays as it is: {error}");
        }
        let node = uio.map(|uio| UioNode::open_info(host, uio, Some(&open)));
        let node = node.transpose()?;
        let irq = node.as_ref().map(|node| PciIrq::new(&open, node.info()));
        log::debug!(
            "opened {address} by {}",
            node.as_ref().map_or("/sys", |node| &node.info().name)
        );
        let inner = Inner {
            irq,
            node,
            open,
            dma: OnceLock::new(),
            asking: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What the machine showed of the function when it was opened.
    #[must_use]
    pub fn function(&self) -> &PciFunction {
        &self.inner.open.function
    }

    /// The UIO device, if a UIO driver has the function.
    #[must_use]
    pub fn node(&self) -> Option<&UioNode> {
        self.inner.node.as_ref()
    }

    /// The prefetchable BAR of this index, 0 to 5, mapped write-combined: for bulk copies to memory of the device.
    ///
    /// # Errors
    ///
    /// The device has no such BAR, it is not prefetchable, or the kernel does not map it so.
    pub fn bar_write_combined(&self, index: u8) -> Result<Bar> {
        bar::write_combined(&self.inner.open, index)
    }

    /// Lets the device have memory by its physical addresses: [`dma`](PciDevice::dma) gives it from now on.
    ///
    /// # Errors
    ///
    /// An IOMMU translates the device's addresses; or as for [`physical_space`].
    ///
    /// # Safety
    ///
    /// As for [`physical_space`], with this device.
    #[expect(unsafe_code, reason = "it is the caller who answers for the device")]
    pub unsafe fn use_physical_memory(&self) -> Result<&DmaSpace> {
        let asking = self.inner.asking.lock();
        let _asking = asking.unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = self.inner.dma.get() {
            return Ok(space);
        }
        let function = self.function();
        if let Some(group) = function.iommu_group {
            let message = format!(
                "the IOMMU translates what {} uses for addresses: it is in group {group}",
                function.address
            );
            let hint =
                "VFIO gives it memory through the IOMMU: sudo outboard bind binds it to vfio-pci";
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint));
        }
        // SAFETY: the caller has shown it.
        let space = unsafe { physical_space(&self.inner.open.host) }?;
        Ok(self.inner.dma.get_or_init(|| space))
    }
}

impl PciDevice for UioDevice {
    fn address(&self) -> PciAddress {
        self.function().address
    }

    fn config(&self) -> ConfigSpace<'_> {
        self.inner.open.config()
    }

    /// The BAR of this index, 0 to 5: mapped if it is memory, and by calls up to 4 bytes wide if it is I/O ports.
    fn bar(&self, index: u8) -> Result<Bar> {
        bar::bar(&self.inner.open, self.node(), index)
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        let irq = self.inner.irq.as_ref()?;
        Some(irq)
    }

    fn dma(&self) -> Option<&DmaSpace> {
        self.inner.dma.get()
    }

    fn set_bus_master(&self, on: bool) -> Result<()> {
        self.inner.open.set_command(Command::BUS_MASTER, on)
    }

    fn set_memory_decode(&self, on: bool) -> Result<()> {
        self.inner.open.set_command(Command::MEMORY, on)
    }

    /// Resets it by `/sys`. The kernel restores configuration space; bus mastering is off afterwards.
    fn reset(&self) -> Result<()> {
        let open = &self.inner.open;
        let address = self.address();
        let path = open.host.function_file(address, "reset");
        let none = || {
            let message = format!("the kernel knows no way to reset {address} alone");
            Error::new(ErrorKind::Unsupported, message)
        };
        if !self.is_present() {
            let message = format!("{address} does not answer");
            return Err(Error::new(ErrorKind::Lost, message));
        }
        if !path.exists() {
            return Err(none());
        }
        open.set_command(Command::BUS_MASTER, false)?;
        fs::write(&path, "1").map_err(|e| match e.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOTTY) => none(),
            _ => open.refused(&path, e),
        })
    }
}
