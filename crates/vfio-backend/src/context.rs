//! The IOMMU context that devices share.

use crate::{
    VfToken, VfioDevice,
    container::Container,
    device::WeakDevice,
    dma::{IommufdDma, Type1Dma},
    group::Group,
    iommufd::Iommufd,
    node,
};
use dma_memory::physical_space;
use io_core::{Error, ErrorKind, Result, dma::DmaSpace, pci::PciAddress};
use pci_host::Host;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Which of the kernel's interfaces to the IOMMU is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IommuMode {
    /// iommufd where the kernel has it, and type 1 otherwise; never without an IOMMU.
    #[default]
    Auto,
    /// iommufd, and the device's own node (`/dev/iommu`, `/dev/vfio/devices/vfioN`). Linux 6.2 and later, if it is
    /// built in.
    Iommufd,
    /// A container with groups, and its type 1 version 2 IOMMU (`/dev/vfio/vfio`, `/dev/vfio/GROUP`).
    Type1,
    /// No IOMMU: the device reaches all memory of the machine.
    NoIommu(UnsafeNoIommu),
}

/// The statement that a device may be used without an IOMMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsafeNoIommu(());

impl UnsafeNoIommu {
    /// States it.
    ///
    /// # Safety
    ///
    /// Without an IOMMU a device writes wherever it is told to. The driver tells it no addresses but those of
    /// memory that it owns, and keeps that memory until the device has been reset.
    #[must_use]
    #[expect(unsafe_code, reason = "it is the caller who answers for the device")]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for IommuMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Iommufd => "iommufd",
            Self::Type1 => "type1",
            Self::NoIommu(_) => "noiommu",
        })
    }
}

impl FromStr for IommuMode {
    type Err = Error;

    /// `auto`, `iommufd` or `type1`. There is no word for the absence of an IOMMU: that is stated by
    /// [`UnsafeNoIommu`].
    fn from_str(word: &str) -> Result<Self> {
        match word {
            "auto" => Ok(Self::Auto),
            "iommufd" => Ok(Self::Iommufd),
            "type1" => Ok(Self::Type1),
            _ => {
                let message = format!("{word} is no IOMMU mode: auto, iommufd and type1 are");
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}

/// An IOMMU context: devices that are opened in the same one see the same memory at the same addresses.
///
/// Cloning it gives another handle to the same one. It lives as long as a device, a BAR or a buffer of it does.
#[derive(Debug, Clone)]
pub struct VfioContext {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    host: Host,
    kind: Kind,
    /// Known once a device is in it, because it is the device's IOMMU.
    dma: OnceLock<DmaSpace>,
    /// Those that were opened in it.
    devices: Mutex<Vec<WeakDevice>>,
    /// Held by who asks for the addresses, so that the last answer counts all devices.
    asking: Mutex<()>,
    /// The devices that are open.
    open: Mutex<BTreeSet<PciAddress>>,
}

/// The right to open a device, which is had once in a context: a group would give the same device again and again, to
/// handles that switch each other's interrupts off.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) context: VfioContext,
    address: PciAddress,
}

impl Claim {
    fn new(context: &VfioContext, address: PciAddress) -> Result<Self> {
        if !context.inner.open().insert(address) {
            return Err(node::open_here(address));
        }
        let context = context.clone();
        Ok(Self { context, address })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.context.inner.open().remove(&self.address);
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, BTreeSet<PciAddress>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
enum Kind {
    Type1(Arc<Container>),
    Iommufd(Arc<Iommufd>),
    NoIommu(Arc<Container>),
}

impl VfioContext {
    /// A context without devices.
    ///
    /// # Errors
    ///
    /// The kernel has no such interface, its module is not loaded, or this user may not use it. Each says what to
    /// do about it.
    pub fn new(host: &Host, mode: IommuMode) -> Result<Self> {
        let kind = match mode {
            IommuMode::Iommufd => Kind::Iommufd(Arc::new(Iommufd::open(host)?)),
            IommuMode::Type1 => Kind::Type1(Arc::new(Container::type1(host)?)),
            IommuMode::NoIommu(_) => Kind::NoIommu(Arc::new(Container::without_iommu(host)?)),
            IommuMode::Auto => match Iommufd::open(host) {
                Ok(iommufd) if iommufd.has_devices(host) => Kind::Iommufd(Arc::new(iommufd)),
                Ok(_) => Kind::Type1(Arc::new(Container::type1(host)?)),
                Err(error) => {
                    log::debug!("no iommufd, and so type 1: {error}");
                    Kind::Type1(Arc::new(Container::type1(host)?))
                }
            },
        };
        let inner = Inner {
            host: host.clone(),
            kind,
            dma: OnceLock::new(),
            devices: Mutex::default(),
            asking: Mutex::default(),
            open: Mutex::default(),
        };
        let context = Self {
            inner: Arc::new(inner),
        };
        log::debug!("an IOMMU context of {}", context.mode());
        Ok(context)
    }

    /// Which interface it uses: never [`IommuMode::Auto`].
    #[must_use]
    #[expect(unsafe_code, reason = "who made the context has stated it")]
    pub fn mode(&self) -> IommuMode {
        match self.inner.kind {
            Kind::Type1(_) => IommuMode::Type1,
            Kind::Iommufd(_) => IommuMode::Iommufd,
            // SAFETY: who made the context has stated it.
            Kind::NoIommu(_) => IommuMode::NoIommu(unsafe { UnsafeNoIommu::new() }),
        }
    }

    /// Opens the device at `address` in it.
    ///
    /// # Errors
    ///
    /// As for [`VfioDevice::open`].
    pub fn open(&self, address: PciAddress) -> Result<VfioDevice> {
        self.open_as(address, None)
    }

    /// Opens a virtual function in it whose physical function is with vfio-pci too, and has this token; or a physical
    /// function, whose token this becomes, unless its virtual functions are in use: then it is its token.
    ///
    /// Before Linux 6.17 the kernel does not ask for a token with iommufd.
    ///
    /// # Errors
    ///
    /// It has another token ([`ErrorKind::PermissionDenied`]); or as for [`VfioDevice::open`].
    pub fn open_with_token(&self, address: PciAddress, token: &VfToken) -> Result<VfioDevice> {
        self.open_as(address, Some(token))
    }

    fn open_as(&self, address: PciAddress, token: Option<&VfToken>) -> Result<VfioDevice> {
        let function = self.inner.host.function(address)?;
        crate::device::check_driver(&function)?;
        let claim = Claim::new(self, address)?;
        let host = &self.inner.host;
        let file = match &self.inner.kind {
            Kind::Type1(container) | Kind::NoIommu(container) => {
                container.device(host, &function, token)
            }
            Kind::Iommufd(iommufd) => iommufd.device(host, &function, token),
        }?;
        self.learn_addresses()?;
        let device = VfioDevice::new(file, function, claim)?;
        let mut devices = self.lock_devices();
        devices.retain(|device| device.upgrade().is_some());
        devices.push(device.downgrade());
        Ok(device)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.inner.host
    }

    /// The devices that are open in it.
    pub(crate) fn devices(&self) -> Vec<VfioDevice> {
        let devices = self.lock_devices();
        devices.iter().filter_map(WeakDevice::upgrade).collect()
    }

    fn lock_devices(&self) -> MutexGuard<'_, Vec<WeakDevice>> {
        let devices = self.inner.devices.lock();
        devices.unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `f` the groups that are open in it: none with iommufd.
    pub(crate) fn with_groups<T>(&self, f: impl FnOnce(&BTreeMap<u32, Group>) -> T) -> T {
        match &self.inner.kind {
            Kind::Type1(container) | Kind::NoIommu(container) => container.with_groups(f),
            Kind::Iommufd(_) => f(&BTreeMap::new()),
        }
    }

    /// What its devices see of memory. `None` before there is a device in it, and without an IOMMU, unless
    /// [physical memory](Self::use_physical_memory) is used.
    #[must_use]
    pub fn dma(&self) -> Option<&DmaSpace> {
        self.inner.dma.get()
    }

    /// Lets devices without an IOMMU have memory by its physical addresses: [`dma`](Self::dma) gives it from now on.
    ///
    /// Each buffer is a huge page of its own: `echo 16 | sudo tee
    /// /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages` makes the kernel have some.
    ///
    /// ```no_run
    /// use io_core::dma::DmaOptions;
    /// use pci_host::Host;
    /// use vfio_backend::{IommuMode, UnsafeNoIommu, VfioContext};
    ///
    /// // SAFETY: the driver tells the device addresses of its buffers only, and switches bus mastering off before it
    /// // drops them.
    /// let mode = IommuMode::NoIommu(unsafe { UnsafeNoIommu::new() });
    /// let context = VfioContext::new(&Host::system(), mode)?;
    /// let device = context.open("0000:01:00.0".parse()?)?;
    /// // SAFETY: as above; and nobody makes the kernel move huge pages.
    /// let space = unsafe { context.use_physical_memory() }?;
    /// let buffer = space.allocate(4096, DmaOptions::default().address_bits(32))?.share()?;
    /// println!("at the physical address {}", buffer.iova());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The context has an IOMMU; or as for [`physical_space`].
    ///
    /// # Safety
    ///
    /// As for [`physical_space`], with every device that is opened in this context.
    #[expect(unsafe_code, reason = "it is the caller who answers for the devices")]
    pub unsafe fn use_physical_memory(&self) -> Result<&DmaSpace> {
        if !matches!(self.inner.kind, Kind::NoIommu(_)) {
            let message = "an IOMMU translates what devices of this context use for addresses";
            let hint =
                "VfioContext::dma is for them; physical addresses are for IommuMode::NoIommu";
            return Err(unsupported(message, hint));
        }
        let asking = self.inner.asking.lock();
        let _asking = asking.unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = self.inner.dma.get() {
            return Ok(space);
        }
        // SAFETY: the caller has shown it.
        let space = unsafe { physical_space(&self.inner.host) }?;
        Ok(self.inner.dma.get_or_init(|| space))
    }

    /// Asks for the addresses that there are, now that there is a device.
    fn learn_addresses(&self) -> Result<()> {
        let asking = self.inner.asking.lock();
        let _asking = asking.unwrap_or_else(PoisonError::into_inner);
        if let Some(dma) = self.inner.dma.get() {
            return dma.refresh();
        }
        let host = self.inner.host.clone();
        let space = match &self.inner.kind {
            Kind::Type1(container) => {
                let container = Arc::clone(container);
                DmaSpace::new(Box::new(Type1Dma { container, host }))?
            }
            Kind::Iommufd(iommufd) => {
                let iommufd = Arc::clone(iommufd);
                DmaSpace::new(Box::new(IommufdDma { iommufd, host }))?
            }
            Kind::NoIommu(_) => return Ok(()),
        };
        self.inner.dma.get_or_init(|| space);
        Ok(())
    }
}

/// The error of a context that cannot be had.
pub(crate) fn unsupported(message: impl Into<String>, hint: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_hint(hint)
}
