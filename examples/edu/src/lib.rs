//! A driver for [edu], the device that QEMU has for teaching: registers, interrupts and DMA, in safe code.
//!
//! It is the smallest driver that uses all that a PCI device has. Read `registers.rs` first, then this file, then
//! `interrupt.rs` and `dma.rs`.
//!
//! # How the registers are reached
//!
//! By [`Bar::io`], whose accesses may fail, so that the same driver runs on a BAR that is mapped, on one that is
//! reached by calls, and on a simulated one. Nothing here is done so often that the price of it (a comparison, when
//! the BAR is mapped) matters. A driver that is for mapped BARs only uses [`Bar::mmio`]: then accesses at constant
//! offsets cannot fail, and there is one `?` less in each line.
//!
//! # What is where
//!
//! The driver has the device by reference, and whatever it takes from the device (the BAR, an interrupt, memory) by
//! value; all is given back when it is dropped.
//!
//! [edu]: https://www.qemu.org/docs/master/specs/edu.html
#![forbid(unsafe_code)]

mod dma;
mod interrupt;
mod registers;
pub mod soak;
mod tour;

use interrupt::EduInterrupt;
use io_core::{
    Bar, Error, ErrorKind, Io, PciDevice, Result,
    dma::DmaBuffer,
    poll::{Poll, Verdict},
};
use registers::{FACTORIAL, ID, LIVENESS, STATUS};
use std::time::Duration;

pub use dma::MEMORY_SIZE;
pub use tour::tour;

/// How long the device may take for anything. A DMA transfer takes 100 ms.
const SOON: Duration = Duration::from_secs(5);

/// An edu device.
#[derive(Debug)]
pub struct Edu<'d> {
    device: &'d dyn PciDevice,
    bar: Bar,
    version: (u8, u8),
    interrupt: Option<EduInterrupt>,
    /// What is copied goes through here. There is none without an IOMMU.
    buffer: Option<DmaBuffer>,
}

impl<'d> Edu<'d> {
    /// Takes the device into use, without interrupts. Bus mastering is on until this is dropped.
    ///
    /// # Errors
    ///
    /// It is no edu, or it cannot be reached.
    pub fn new(device: &'d dyn PciDevice) -> Result<Self> {
        // What it does from before is not to reach the memory that comes now.
        device.set_bus_master(false)?;
        let bar = device.bar(0)?;
        let id = bar.io::<{ registers::SIZE }>()?.try_read(ID)?;
        if id.magic() != registers::MAGIC {
            let message = format!("{} is no edu: it identifies as {id:?}", device.address());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let mut edu = Self {
            device,
            bar,
            version: (id.major(), id.minor()),
            interrupt: None,
            buffer: None,
        };
        // And it takes nothing new before it has come to its end with that.
        edu.poll_factorial()?;
        edu.poll_transfer()?;
        edu.buffer = dma::buffer(device)?;
        device.set_bus_master(true)?;
        Ok(edu)
    }

    /// The device's version: major, minor.
    #[must_use]
    pub fn version(&self) -> (u8, u8) {
        self.version
    }

    /// Asks whether the device is alive: it answers with the complement of what it is given.
    ///
    /// # Errors
    ///
    /// It answers with something else, or not at all.
    pub fn check_liveness(&self, value: u32) -> Result<()> {
        let registers = self.bar.io::<{ registers::SIZE }>()?;
        registers.try_write_reg(LIVENESS::from(value))?;
        let answer = registers.try_read(LIVENESS)?.into_raw();
        if answer == !value {
            return Ok(());
        }
        let message = format!(
            "{} is not alive: the complement of {value:#x} is not {answer:#x}",
            self.device.address()
        );
        Err(Error::new(ErrorKind::Other, message))
    }

    /// The factorial of `n`, computed by the device. The end of it is told by an interrupt if they are
    /// [in use](Self::use_interrupt), and polled for otherwise.
    ///
    /// # Errors
    ///
    /// The factorial has more than 32 bits, or the device does not come to an end.
    pub fn factorial(&self, n: u32) -> Result<u32> {
        if n > 12 {
            let message = format!(
                "the factorial of {n} does not fit in the 32 bits of the device's register"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let registers = self.bar.io::<{ registers::SIZE }>()?;
        let by_interrupt = self.interrupt.is_some();
        registers.try_update(STATUS, |status| status.with_interrupt(by_interrupt))?;
        registers.try_write_reg(FACTORIAL::from(n))?;
        match &self.interrupt {
            Some(interrupt) => interrupt.wait_for(&self.bar, interrupt::FACTORIAL_DONE)?,
            None => self.poll_factorial()?,
        }
        let factorial = registers.try_read(FACTORIAL)?.into_raw();
        if matches!(factorial, 0 | u32::MAX) {
            // No factorial, but what a device that has gone reads as.
            interrupt::check_present(&self.bar)?;
        }
        Ok(factorial)
    }

    fn poll_factorial(&self) -> Result<()> {
        let registers = self.bar.io::<{ registers::SIZE }>()?;
        Poll::within(SOON)
            .try_until(
                || registers.try_read(STATUS),
                |status| Verdict::ready_if(!status.computing()),
            )
            .map(drop)
            .map_err(|e| {
                let message = format!("{} does not finish a factorial", self.device.address());
                e.into_error(message)
            })
    }
}

impl Drop for Edu<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.device.set_bus_master(false) {
            log::error!("bus mastering stays on: {error}");
        }
    }
}
