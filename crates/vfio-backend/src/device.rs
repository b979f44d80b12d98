//! An open device.

use crate::{IommuMode, RegionInfo, VfioContext, context::Claim, irq::Irqs, mapping, sys};
use device_file::FileRegion;
use io_core::{
    Bar, ConfigSpace, Error, ErrorKind, PciDevice, Region, RegionError, Result, Width,
    dma::DmaSpace, event::DeviceEvents, irq::Interrupts, pci::PciAddress,
};
use pci_host::{Host, PciFunction};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use vfio_bindings::bindings::vfio::{VFIO_DEVICE_FLAGS_PCI, VFIO_PCI_CONFIG_REGION_INDEX};

/// A PCI device, opened through VFIO for this program alone.
///
/// Cloning it gives another handle to the same open device, which closes with the last of them and
/// of the BARs mapped from it.
#[derive(Debug, Clone)]
pub struct VfioDevice {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    file: Arc<DeviceFile>,
    config: FileRegion<DeviceFile>,
    irqs: Arc<Irqs>,
    function: PciFunction,
    flags: u32,
}

/// A handle to a device that does not keep it open.
#[derive(Debug)]
pub(crate) struct WeakDevice(Weak<Open>);

impl WeakDevice {
    /// The device, if it is open still.
    pub(crate) fn upgrade(&self) -> Option<VfioDevice> {
        let open = self.0.upgrade()?;
        Some(VfioDevice { open })
    }
}

/// The file of a device, and what has to be open as long as it is. Fields are dropped in this order, which is the
/// one that the kernel needs.
#[derive(Debug)]
pub(crate) struct DeviceFile {
    pub(crate) file: File,
    claim: Claim,
    /// Whether somebody watches for its events, of which the kernel tells one only.
    watched: AtomicBool,
}

impl DeviceFile {
    /// Says that the device is being watched; `false` if it was already.
    pub(crate) fn begin_watch(&self) -> bool {
        !self.watched.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end_watch(&self) {
        self.watched.store(false, Ordering::Release);
    }
}

impl AsRef<File> for DeviceFile {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

impl AsFd for DeviceFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl VfioDevice {
    /// Opens the device at `address`, which must be bound to vfio-pci, in an IOMMU context of its own. Devices that
    /// are to share memory are opened in one [`VfioContext`].
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
    #[doc(alias = "VFIO_DEVICE_BIND_IOMMUFD")]
    pub fn open(host: &Host, address: PciAddress) -> Result<Self> {
        // Said before anything else: without it there may not even be a node.
        check_driver(&host.function(address)?)?;
        VfioContext::new(host, IommuMode::Auto)?.open(address)
    }

    /// The device behind `file`.
    pub(crate) fn new(file: OwnedFd, function: PciFunction, claim: Claim) -> Result<Self> {
        let address = function.address;
        let os_error = |what: &str, errno| {
            let message = format!("cannot ask VFIO for {what} of {address}");
            Error::from_os(message, io::Error::from(errno))
        };
        let file = Arc::new(DeviceFile {
            file: File::from(file),
            claim,
            watched: AtomicBool::new(false),
        });
        let info = sys::device_get_info(file.as_fd()).map_err(|e| os_error("the kind", e))?;
        if info.flags & VFIO_DEVICE_FLAGS_PCI == 0 {
            let message = format!("VFIO says that {address} is no PCI device");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let config = RegionInfo::read(file.as_fd(), VFIO_PCI_CONFIG_REGION_INDEX)
            .map_err(|e| os_error("the configuration space", e))?;
        let name = format!("the configuration space of {address}");
        let config = mapping::by_calls(&file, &config, name, Width::U32)?;
        ConfigSpace::<Region<256>>::new(&config).map_err(|e| {
            let message = format!("VFIO shows too little configuration space of {address}");
            Error::new(ErrorKind::Unsupported, message).with_source(e)
        })?;
        log::debug!("opened {address}: {} regions", info.num_regions);
        let open = Open {
            irqs: Arc::new(Irqs::new(&file, address)),
            file,
            config,
            function,
            flags: info.flags,
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

    /// The IOMMU context that it was opened in.
    #[must_use]
    pub fn context(&self) -> &VfioContext {
        &self.open.file.claim.context
    }

    /// What it sees of memory. `None` without an IOMMU, unless
    /// [physical memory](VfioContext::use_physical_memory) is used.
    #[must_use]
    pub fn dma(&self) -> Option<&DmaSpace> {
        self.context().dma()
    }

    /// Its configuration space: the 256 bytes that every function has, and those after them where there
    /// are any, at offsets that are known at run time.
    ///
    /// VFIO shows some registers there as it wants them seen (BARs, interrupt vectors), the rest as the
    /// device has them. Whoever clears the memory bit of Command (bit 1), or puts the device into D3hot,
    /// takes its BARs away: the first access to a mapped one finds that it [is lost](io_core::Bar::is_lost).
    #[must_use]
    pub fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::new(&self.open.config).expect("its size was checked when it was opened")
    }

    /// Its extended configuration space: 4096 bytes.
    ///
    /// # Errors
    ///
    /// It has none: it is no PCI Express function.
    pub fn config_extended(&self) -> Result<ConfigSpace<'_, Region<4096>>, RegionError> {
        ConfigSpace::new(&self.open.config)
    }

    /// Switches bus mastering on or off: without it, the device reaches no memory and signals neither MSI nor MSI-X.
    ///
    /// # Errors
    ///
    /// The device does not answer.
    pub fn set_bus_master(&self, on: bool) -> Result<()> {
        PciDevice::set_bus_master(self, on)
    }

    /// What the kernel says of a region: a BAR (0 to 5), the ROM (6) or configuration space (7).
    ///
    /// # Errors
    ///
    /// The kernel knows no region of this index.
    #[doc(alias = "VFIO_DEVICE_GET_REGION_INFO")]
    pub fn region_info(&self, index: u32) -> Result<RegionInfo> {
        RegionInfo::read(self.open.file.as_fd(), index).map_err(|errno| {
            let message = format!("cannot ask VFIO for region {index} of {}", self.address());
            Error::from_os(message, io::Error::from(errno))
        })
    }

    pub(crate) fn file(&self) -> &Arc<DeviceFile> {
        &self.open.file
    }

    pub(crate) fn flags(&self) -> u32 {
        self.open.flags
    }

    /// A handle that does not keep it open.
    pub(crate) fn downgrade(&self) -> WeakDevice {
        WeakDevice(Arc::downgrade(&self.open))
    }

    pub(crate) fn irqs(&self) -> &Arc<Irqs> {
        &self.open.irqs
    }
}

impl PciDevice for VfioDevice {
    fn address(&self) -> PciAddress {
        self.address()
    }

    fn config(&self) -> ConfigSpace<'_> {
        self.config()
    }

    fn bar(&self, index: u8) -> Result<Bar> {
        self.bar(index)
    }

    fn interrupts(&self) -> Option<&dyn Interrupts> {
        Some(self)
    }

    fn events(&self) -> Option<&dyn DeviceEvents> {
        Some(self)
    }

    fn dma(&self) -> Option<&DmaSpace> {
        self.dma()
    }

    fn reset(&self) -> Result<()> {
        self.reset()
    }
}

/// Refuses a function that is not with VFIO, before anything is opened.
pub(crate) fn check_driver(function: &PciFunction) -> Result<()> {
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
