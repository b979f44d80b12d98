//! Interrupts, through eventfds.

use crate::{
    VfioDevice,
    device::DeviceFile,
    sys::irq::{self, NotEnabled},
};
use device_file::until_some;
use io_core::{
    Error, ErrorKind, Result,
    irq::{Interrupt, InterruptInfo, InterruptKind, Interrupts},
    pci::PciAddress,
};
use nix::{
    errno::Errno,
    sys::eventfd::{EfdFlags, EventFd},
};
use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_MASKABLE, VFIO_IRQ_INFO_NORESIZE, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
};

/// The interrupts of an open device.
#[derive(Debug)]
pub(crate) struct Irqs {
    file: Arc<DeviceFile>,
    address: PciAddress,
    enabled: Mutex<Enabled>,
}

/// What is enabled now.
#[derive(Debug, Default)]
struct Enabled {
    /// The kind of all of them: a device has one at a time.
    kind: Option<InterruptKind>,
    /// How many vectors the kernel has set up, where it cannot set up more.
    capacity: u32,
    vectors: BTreeMap<u32, Arc<EventFd>>,
}

impl Irqs {
    pub(crate) fn new(file: &Arc<DeviceFile>, address: PciAddress) -> Self {
        Self {
            file: Arc::clone(file),
            address,
            enabled: Mutex::default(),
        }
    }

    /// Makes the kernel set up again what is enabled: a reset of the device has undone it.
    pub(crate) fn rearm(&self) -> Result<()> {
        let enabled = self.lock();
        let Some(kind) = enabled.kind else {
            return Ok(());
        };
        let failed = |errno| self.error("enable again after a reset", kind, errno);
        irq::disable(self.file.as_fd(), index(kind)).map_err(failed)?;
        let last = enabled.vectors.last_key_value();
        let end = last.map_or(0, |(last, _)| last + 1).max(enabled.capacity);
        let eventfds: Vec<_> = (0..end)
            .map(|vector| enabled.vectors.get(&vector).map_or(-1, |fd| fd.as_raw_fd()))
            .collect();
        irq::set_eventfds(self.file.as_fd(), index(kind), 0, &eventfds)
            .map_err(|e| self.not_enabled("enable again after a reset", kind, end, e))
    }

    /// Enables vectors for a handle that keeps `this`.
    fn enable(
        this: &Arc<Self>,
        kind: InterruptKind,
        vectors: Range<u32>,
    ) -> Result<Vec<Box<dyn Interrupt>>> {
        let info = this.info(kind)?;
        let mut enabled = this.lock();
        this.check(&enabled, kind, &vectors, info)?;
        let mut eventfds = Vec::new();
        for _ in vectors.clone() {
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            let eventfd = EventFd::from_value_and_flags(0, flags)
                .map_err(|errno| this.error("make an eventfd for", kind, errno))?;
            eventfds.push(Arc::new(eventfd));
        }
        let numbers: Vec<RawFd> = eventfds.iter().map(|fd| fd.as_raw_fd()).collect();
        irq::set_eventfds(this.file.as_fd(), index(kind), vectors.start, &numbers)
            .map_err(|e| this.not_enabled("enable", kind, vectors.end, e))?;
        enabled.kind = Some(kind);
        enabled.capacity = enabled.capacity.max(vectors.end);
        let mut handles: Vec<Box<dyn Interrupt>> = Vec::new();
        for (vector, eventfd) in vectors.zip(eventfds) {
            enabled.vectors.insert(vector, Arc::clone(&eventfd));
            handles.push(Box::new(VfioInterrupt {
                irqs: Arc::clone(this),
                kind,
                vector,
                eventfd,
            }));
        }
        Ok(handles)
    }

    /// Refuses what cannot be enabled.
    fn check(
        &self,
        enabled: &Enabled,
        kind: InterruptKind,
        vectors: &Range<u32>,
        info: InterruptInfo,
    ) -> Result<()> {
        let (address, count) = (self.address, info.count);
        let refuse = |kind, message| Err(Error::new(kind, message));
        if vectors.is_empty() || vectors.end > count {
            let message = format!(
                "{address} has {count} vectors of {kind}: {}..{} are none of them",
                vectors.start, vectors.end
            );
            return refuse(ErrorKind::InvalidInput, message);
        }
        match enabled.kind {
            None => return Ok(()),
            Some(other) if other != kind => {
                let message = format!("{address} cannot use {kind} while {other} is enabled");
                return refuse(ErrorKind::Busy, message);
            }
            Some(_) => {}
        }
        if let Some(vector) = vectors.clone().find(|v| enabled.vectors.contains_key(v)) {
            let message = format!("vector {vector} of {kind} of {address} is enabled already");
            return refuse(ErrorKind::Busy, message);
        }
        if vectors.end > enabled.capacity && !info.growable {
            let message = format!(
                "the kernel cannot enable more vectors of {kind} of {address} while {} are",
                enabled.capacity
            );
            let hint = "drop those that are enabled, and enable all of them at once";
            return refuse(ErrorKind::Unsupported, message).map_err(|e| e.with_hint(hint));
        }
        Ok(())
    }

    /// Disables a vector whose handle is dropped.
    fn forget(&self, kind: InterruptKind, vector: u32) -> nix::Result<()> {
        let mut enabled = self.lock();
        enabled.vectors.remove(&vector);
        if enabled.vectors.is_empty() {
            *enabled = Enabled::default();
            return irq::disable(self.file.as_fd(), index(kind));
        }
        irq::forget(self.file.as_fd(), index(kind), vector)
    }

    fn lock(&self) -> MutexGuard<'_, Enabled> {
        self.enabled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, what: &str, kind: InterruptKind, errno: Errno) -> Error {
        let message = format!("cannot {what} {kind} of {}", self.address);
        Error::from_os(message, io::Error::from(errno))
    }

    /// Why so many vectors could not be had.
    fn not_enabled(&self, what: &str, kind: InterruptKind, wanted: u32, why: NotEnabled) -> Error {
        let had = match why {
            NotEnabled::Failed(errno) => return self.error(what, kind, errno),
            NotEnabled::Fewer(had) => had,
        };
        let message = format!(
            "cannot {what} {wanted} vectors of {kind} of {}: the kernel can have {had}, and has enabled none",
            self.address
        );
        let error = Error::new(ErrorKind::Unsupported, message);
        match kind {
            InterruptKind::Msi => error.with_hint(
                "enable no more than that; on x86, more than one vector of MSI takes an IOMMU that remaps interrupts",
            ),
            _ => error.with_hint("enable no more than that"),
        }
    }

    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        let info = irq::get_info(self.file.as_fd(), index(kind))
            .map_err(|errno| self.error("ask VFIO for", kind, errno))?;
        Ok(InterruptInfo {
            count: info.count,
            maskable: info.flags & VFIO_IRQ_INFO_MASKABLE != 0,
            growable: info.flags & VFIO_IRQ_INFO_NORESIZE == 0,
        })
    }
}

impl Interrupts for VfioDevice {
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        self.irqs().info(kind)
    }

    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>> {
        Irqs::enable(self.irqs(), kind, vectors)
    }
}

fn index(kind: InterruptKind) -> u32 {
    match kind {
        InterruptKind::Intx => VFIO_PCI_INTX_IRQ_INDEX,
        InterruptKind::Msi => VFIO_PCI_MSI_IRQ_INDEX,
        InterruptKind::MsiX => VFIO_PCI_MSIX_IRQ_INDEX,
    }
}

/// A vector that is enabled.
#[derive(Debug)]
struct VfioInterrupt {
    irqs: Arc<Irqs>,
    kind: InterruptKind,
    vector: u32,
    eventfd: Arc<EventFd>,
}

impl VfioInterrupt {
    fn failed(&self, what: &str, errno: Errno) -> Error {
        let what = format!("{what} vector {} of", self.vector);
        self.irqs.error(&what, self.kind, errno)
    }

    fn set_masked(&self, masked: bool) -> Result<()> {
        let what = if masked { "mask" } else { "unmask" };
        if !self.irqs.info(self.kind)?.maskable {
            let message = format!(
                "the kernel cannot {what} {} of {}",
                self.kind, self.irqs.address
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        irq::set_masked(
            self.irqs.file.as_fd(),
            index(self.kind),
            self.vector,
            masked,
        )
        .map_err(|errno| self.failed(what, errno))
    }
}

impl AsFd for VfioInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

impl AsRawFd for VfioInterrupt {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

impl Interrupt for VfioInterrupt {
    fn kind(&self) -> InterruptKind {
        self.kind
    }

    fn vector(&self) -> u32 {
        self.vector
    }

    fn wait(&self, timeout: Duration) -> Result<Option<u64>> {
        until_some(self.as_fd(), timeout, || match self.eventfd.read() {
            Ok(count) => Ok(Some(count)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        })
        .map_err(|errno| self.failed("wait for", errno))
    }

    fn mask(&self) -> Result<()> {
        self.set_masked(true)
    }

    fn unmask(&self) -> Result<()> {
        self.set_masked(false)
    }

    fn trigger(&self) -> Result<()> {
        irq::trigger(self.irqs.file.as_fd(), index(self.kind), self.vector)
            .map_err(|errno| self.failed("trigger", errno))
    }
}

impl Drop for VfioInterrupt {
    fn drop(&mut self) {
        if let Err(errno) = self.irqs.forget(self.kind, self.vector) {
            log::error!("{}: {errno}", self.failed("disable", errno));
        }
    }
}
