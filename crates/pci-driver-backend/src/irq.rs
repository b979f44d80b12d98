//! Interrupts: all vectors of a kind at once, which is how pci-driver enables them.

use crate::{PciDriverDevice, device::Config};
use device_file::until_some;
use io_core::{
    Error, ErrorKind, Result,
    irq::{Interrupt, InterruptInfo, InterruptKind, Interrupts},
    pci::{Command, PciAddress},
};
use nix::{
    errno::Errno,
    sys::eventfd::{EfdFlags, EventFd},
};
use pci_driver::{
    backends::vfio::VfioPciDevice, device::PciDevice as _, interrupts::PciInterruptMechanism,
};
use std::{
    io,
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The interrupts of a device.
#[derive(Debug)]
pub(crate) struct Irqs {
    device: Arc<VfioPciDevice>,
    config: Config,
    address: PciAddress,
    enabled: Mutex<Option<Enabled>>,
}

/// The vectors that were enabled at once, which stay so until the last of them is dropped.
#[derive(Debug)]
struct Enabled {
    kind: InterruptKind,
    start: u32,
    eventfds: Vec<Arc<EventFd>>,
    in_use: Vec<u32>,
}

impl Irqs {
    pub(crate) fn new(device: &Arc<VfioPciDevice>, address: PciAddress) -> Self {
        Self {
            device: Arc::clone(device),
            config: Config::new(device, address),
            address,
            enabled: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Enabled>> {
        self.enabled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f` with what pci-driver has of this kind.
    fn with<R>(&self, kind: InterruptKind, f: impl FnOnce(PciInterruptMechanism<'_>) -> R) -> R {
        let interrupts = self.device.interrupts();
        f(match kind {
            InterruptKind::Intx => interrupts.intx(),
            InterruptKind::Msi => interrupts.msi(),
            InterruptKind::MsiX => interrupts.msi_x(),
        })
    }

    /// Tells the kernel of the eventfds, -1 for vectors before the first.
    fn set(&self, enabled: &Enabled) -> Result<()> {
        let none = (0..enabled.start).map(|_| -1);
        let eventfds = enabled.eventfds.iter().map(|fd| fd.as_raw_fd());
        let all: Vec<RawFd> = none.chain(eventfds).collect();
        let kind = enabled.kind;
        self.with(kind, |mechanism| mechanism.enable(&all))
            .map_err(|e| self.failed("enable", kind, e))
    }

    fn disable(&self, kind: InterruptKind) -> Result<()> {
        self.with(kind, |mechanism| mechanism.disable())
            .map_err(|e| self.failed("disable", kind, e))
    }

    /// Enables again what a reset of the device has undone.
    pub(crate) fn rearm(&self) -> Result<()> {
        let lock = self.lock();
        let Some(enabled) = lock.as_ref() else {
            return Ok(());
        };
        self.disable(enabled.kind)?;
        self.set(enabled)
    }

    /// Masks INTx, or lets it come again: by Interrupt Disable of Command, which VFIO takes for the same as its own mask. So
    /// what it has masked itself, after an interrupt, is to be masked first.
    fn set_masked(&self, kind: InterruptKind, masked: bool) -> Result<()> {
        if kind != InterruptKind::Intx {
            let message = format!("pci-driver cannot mask {kind} of {}", self.address);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let what = if masked { "mask" } else { "unmask" };
        let _lock = self.lock();
        let config = self.config.space();
        let set = |on| {
            let set = config.set_command(Command::INTERRUPT_DISABLE, on);
            set.map_err(|error| {
                let message = format!("cannot {what} {kind} of {}", self.address);
                Error::new(error.kind(), message).with_source(error)
            })
        };
        set(true)?;
        if masked { Ok(()) } else { set(false) }
    }

    /// Refuses what cannot be enabled.
    fn check(
        &self,
        enabled: Option<&Enabled>,
        kind: InterruptKind,
        vectors: &Range<u32>,
    ) -> Result<()> {
        let (address, count) = (self.address, self.info(kind)?.count);
        let refuse = |error, message: String| Err(Error::new(error, message));
        if vectors.is_empty() || vectors.end > count {
            let message = format!(
                "{address} has {count} vectors of {kind}: {}..{} are none of them",
                vectors.start, vectors.end
            );
            return refuse(ErrorKind::InvalidInput, message);
        }
        let Some(enabled) = enabled else {
            return Ok(());
        };
        if enabled.kind != kind {
            let message = format!(
                "{address} cannot use {kind} while {} is enabled",
                enabled.kind
            );
            return refuse(ErrorKind::Busy, message);
        }
        if let Some(vector) = enabled
            .in_use
            .iter()
            .find(|vector| vectors.contains(vector))
        {
            let message = format!("vector {vector} of {kind} of {address} is enabled already");
            return refuse(ErrorKind::Busy, message);
        }
        let message =
            format!("pci-driver cannot enable more vectors of {kind} of {address} while some are");
        let hint = "drop those that are enabled, and enable all of them at once";
        refuse(ErrorKind::Unsupported, message).map_err(|error| error.with_hint(hint))
    }

    fn failed(&self, what: &str, kind: InterruptKind, error: io::Error) -> Error {
        Error::from_os(format!("cannot {what} {kind} of {}", self.address), error)
    }

    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        let max = self.with(kind, |mechanism| mechanism.max());
        Ok(InterruptInfo {
            count: u32::try_from(max).unwrap_or(u32::MAX),
            maskable: kind == InterruptKind::Intx,
            growable: false,
        })
    }

    /// Enables vectors for handles that keep `this`.
    fn enable(
        this: &Arc<Self>,
        kind: InterruptKind,
        vectors: Range<u32>,
    ) -> Result<Vec<Box<dyn Interrupt>>> {
        let mut lock = this.lock();
        this.check(lock.as_ref(), kind, &vectors)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfds = vectors
            .clone()
            .map(|_| EventFd::from_value_and_flags(0, flags).map(Arc::new))
            .collect::<nix::Result<Vec<_>>>()
            .map_err(|errno| this.failed("make an eventfd for", kind, errno.into()))?;
        let enabled = Enabled {
            kind,
            start: vectors.start,
            eventfds,
            in_use: vectors.clone().collect(),
        };
        this.set(&enabled)?;
        let vectors = vectors.zip(&enabled.eventfds).map(|(vector, eventfd)| {
            let eventfd = Arc::clone(eventfd);
            let irqs = Arc::clone(this);
            let interrupt = PciDriverInterrupt {
                irqs,
                kind,
                vector,
                eventfd,
            };
            let interrupt: Box<dyn Interrupt> = Box::new(interrupt);
            interrupt
        });
        let vectors = vectors.collect();
        *lock = Some(enabled);
        drop(lock);
        if kind == InterruptKind::Intx {
            this.set_masked(kind, false)?;
        }
        Ok(vectors)
    }
}

impl Interrupts for PciDriverDevice {
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        self.irqs().info(kind)
    }

    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>> {
        Irqs::enable(self.irqs(), kind, vectors)
    }
}

/// A vector that is enabled.
#[derive(Debug)]
struct PciDriverInterrupt {
    irqs: Arc<Irqs>,
    kind: InterruptKind,
    vector: u32,
    eventfd: Arc<EventFd>,
}

impl Interrupt for PciDriverInterrupt {
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
        .map_err(|errno| self.irqs.failed("wait for", self.kind, errno.into()))
    }

    fn mask(&self) -> Result<()> {
        self.irqs.set_masked(self.kind, true)
    }

    fn unmask(&self) -> Result<()> {
        self.irqs.set_masked(self.kind, false)
    }

    fn trigger(&self) -> Result<()> {
        let message = format!(
            "pci-driver cannot signal {} of {}",
            self.kind, self.irqs.address
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

impl AsFd for PciDriverInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

impl AsRawFd for PciDriverInterrupt {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

impl Drop for PciDriverInterrupt {
    fn drop(&mut self) {
        let mut lock = self.irqs.lock();
        let Some(enabled) = lock.as_mut() else {
            return;
        };
        enabled.in_use.retain(|vector| *vector != self.vector);
        if enabled.in_use.is_empty() {
            *lock = None;
            if let Err(error) = self.irqs.disable(self.kind) {
                log::error!("{error}");
            }
        }
    }
}
