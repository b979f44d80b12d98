//! Interrupts, by the node of a UIO device.

use crate::open::{self, Open};
use device_file::until_some;
use io_core::{
    Error, ErrorKind, Io, Result,
    irq::{Interrupt, InterruptInfo, InterruptKind, Interrupts},
    pci::Command,
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
};
use pci_host::{Host, UioInfo};
use std::{
    fs::File,
    io::{self, Read, Write},
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

/// Interrupt Pin, 0 for none (PCI Local Bus 3.0 section 6.2.4).
const INTERRUPT_PIN: usize = 0x3d;

/// The interrupt of a UIO device. Its descriptor is readable when there are events.
///
/// Many drivers mask it after each event, until it is [enabled](Self::enable) again.
#[derive(Debug)]
pub struct UioInterrupt {
    file: File,
    name: String,
    /// How many there have been, modulo 2^32, that were waited for.
    seen: AtomicU32,
}

impl UioInterrupt {
    pub(crate) fn new(host: &Host, info: &UioInfo) -> Result<Self> {
        // A file of its own: the kernel counts for each what it has told it of.
        let file =
            open::open(&info.node).map_err(|e| open::cannot_open_node(host, &info.node, e))?;
        let failed = |errno: Errno| {
            let message = format!("cannot wait for interrupts of {}", info.name);
            Error::from_os(message, io::Error::from(errno))
        };
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(failed)?;
        let seen = AtomicU32::new(host.uio_events(&info.name)?);
        let name = info.name.clone();
        let interrupt = Self { file, name, seen };
        match interrupt.control(1) {
            // Its driver has no such thing, and leaves it enabled or has another way.
            Ok(()) | Err(Errno::ENOSYS) => Ok(interrupt),
            Err(Errno::EIO) => {
                let message = format!("{} has no interrupt", info.name);
                let error = Error::new(ErrorKind::Unsupported, message);
                Err(error.with_hint("uio_pci_generic is for INTx: a device that has only MSI or MSI-X interrupts through VFIO"))
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Waits for events, and returns how many there were since the last time: `None` if there were none within
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// The device has gone, or the operating system refuses.
    pub fn wait(&self, timeout: Duration) -> Result<Option<u64>> {
        until_some(self.as_fd(), timeout, || self.take())
            .map_err(|errno| self.failed("wait for", errno))
    }

    /// Lets events come, by the driver's `irqcontrol`. After each event this has to be done, for most drivers that have
    /// it; drivers that have none are left alone.
    ///
    /// # Errors
    ///
    /// The driver refuses.
    pub fn enable(&self) -> Result<()> {
        self.set(true)
    }

    /// Lets no more events come, until it is [enabled](Self::enable).
    ///
    /// # Errors
    ///
    /// The driver has no `irqcontrol`, or refuses.
    pub fn disable(&self) -> Result<()> {
        self.control(0)
            .map_err(|errno| self.failed("disable", errno))
    }

    fn set(&self, on: bool) -> Result<()> {
        match self.control(i32::from(on)) {
            Ok(()) | Err(Errno::ENOSYS) => Ok(()),
            Err(errno) => Err(self.failed("enable", errno)),
        }
    }

    /// Tells the driver to enable it, or to disable it.
    fn control(&self, value: i32) -> nix::Result<()> {
        let written = (&self.file).write(&value.to_ne_bytes());
        written.map(drop).map_err(errno)
    }

    /// How many events there were since the last time.
    fn take(&self) -> nix::Result<Option<u64>> {
        let mut count = [0; 4];
        match (&self.file).read(&mut count) {
            Ok(4) => Ok(news(&self.seen, u32::from_ne_bytes(count))),
            Ok(_) => Err(Errno::EIO),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(errno(e)),
        }
    }

    fn failed(&self, what: &str, errno: Errno) -> Error {
        let message = format!("cannot {what} the interrupt of {}", self.name);
        match errno {
            Errno::EIO => Error::new(ErrorKind::Lost, message)
                .with_source(io::Error::from(errno))
                .with_hint("its driver has let go of the device"),
            _ => Error::from_os(message, io::Error::from(errno)),
        }
    }
}

/// How many events there are that nobody has seen, once there were `count`. Of two threads that have read it, the one with
/// the higher count may come first: what the other has read is no news then.
fn news(seen: &AtomicU32, count: u32) -> Option<u64> {
    let new = |seen| {
        let new = count.wrapping_sub(seen);
        (new > 0 && new <= u32::MAX / 2).then_some(new)
    };
    let before = seen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
        new(seen).map(|_| count)
    });
    before.ok().and_then(new).map(u64::from)
}

fn errno(e: io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl AsFd for UioInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for UioInterrupt {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// INTx of a function that a UIO driver has.
#[derive(Debug)]
pub(crate) struct PciIrq {
    open: Arc<Open>,
    info: UioInfo,
    enabled: Arc<AtomicBool>,
}

impl PciIrq {
    pub(crate) fn new(open: &Arc<Open>, info: &UioInfo) -> Self {
        Self {
            open: Arc::clone(open),
            info: info.clone(),
            enabled: Arc::default(),
        }
    }
}

impl Interrupts for PciIrq {
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo> {
        let pin = self.open.config().try_read8(INTERRUPT_PIN)?;
        let there = kind == InterruptKind::Intx && pin != 0;
        Ok(InterruptInfo {
            count: there.into(),
            maskable: there,
            growable: false,
        })
    }

    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>> {
        let address = self.open.function.address;
        let count = self.info(kind)?.count;
        if vectors.is_empty() || vectors.end > count {
            let message = format!(
                "{address} has {count} vectors of {kind} through UIO: {}..{} are none of them",
                vectors.start, vectors.end
            );
            let error = Error::new(ErrorKind::InvalidInput, message);
            return Err(match kind {
                InterruptKind::Intx => error,
                _ => error.with_hint("UIO has INTx only; VFIO has the others"),
            });
        }
        if self.enabled.swap(true, Ordering::AcqRel) {
            let message = format!("vector 0 of {kind} of {address} is enabled already");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        let interrupt = UioInterrupt::new(&self.open.host, &self.info)
            .inspect_err(|_| self.enabled.store(false, Ordering::Release))?;
        let intx = Intx {
            interrupt,
            open: Arc::clone(&self.open),
            enabled: Arc::clone(&self.enabled),
        };
        intx.unmask()?;
        Ok(vec![Box::new(intx)])
    }
}

/// INTx, enabled until it is dropped.
#[derive(Debug)]
struct Intx {
    interrupt: UioInterrupt,
    open: Arc<Open>,
    enabled: Arc<AtomicBool>,
}

impl Interrupt for Intx {
    fn kind(&self) -> InterruptKind {
        InterruptKind::Intx
    }

    fn vector(&self) -> u32 {
        0
    }

    fn wait(&self, timeout: Duration) -> Result<Option<u64>> {
        self.interrupt.wait(timeout)
    }

    fn mask(&self) -> Result<()> {
        self.open.set_command(Command::INTERRUPT_DISABLE, true)
    }

    fn unmask(&self) -> Result<()> {
        // For drivers that mask the interrupt, and for uio_pci_generic, which masks the device.
        self.interrupt.enable()?;
        self.open.set_command(Command::INTERRUPT_DISABLE, false)
    }

    fn trigger(&self) -> Result<()> {
        let message = format!(
            "UIO cannot signal an interrupt of {}",
            self.open.function.address
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

impl AsFd for Intx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interrupt.as_fd()
    }
}

impl AsRawFd for Intx {
    fn as_raw_fd(&self) -> RawFd {
        self.interrupt.as_raw_fd()
    }
}

impl Drop for Intx {
    fn drop(&mut self) {
        if let Err(error) = self.mask() {
            log::warn!("the interrupt stays enabled: {error}");
        }
        self.enabled.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_another_thread_has_overtaken_is_no_news() {
        let seen = AtomicU32::new(u32::MAX - 1);
        assert_eq!(news(&seen, 1), Some(3), "it counts on beyond 2^32");
        assert_eq!(news(&seen, 0), None, "read before, and told of after");
        assert_eq!(news(&seen, 1), None);
        assert_eq!(news(&seen, 2), Some(1));
    }
}
