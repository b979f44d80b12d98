//! Interrupts of an edu: MSI where there is one, its pin otherwise.

use crate::{
    Edu, SOON,
    registers::{
        DMA_COMMAND, ID, INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, MAGIC, SIZE,
        STATUS,
    },
};
use io_core::{
    Bar, Error, ErrorKind, Io, Result,
    irq::{Interrupt, InterruptKind, Interrupts},
};
use std::time::{Duration, Instant};

/// The cause of the interrupt that tells of a factorial.
pub(crate) const FACTORIAL_DONE: u32 = 0x1;
/// The cause of the interrupt that tells of a transfer.
pub(crate) const DMA_DONE: u32 = 0x100;

/// How often the device is looked at while no interrupt comes. A transfer takes 100 ms.
const GLANCE: Duration = Duration::from_millis(200);
/// How often it may look idle then.
const GLANCES: u32 = 5;

/// The interrupt of an edu.
#[derive(Debug)]
pub(crate) struct EduInterrupt {
    vector: Box<dyn Interrupt>,
}

impl Edu<'_> {
    /// Waits for interrupts from now on, where it polled before: by MSI where that is possible, and by INTx otherwise.
    /// Returns which.
    ///
    /// # Errors
    ///
    /// There are none, or they cannot be enabled.
    pub fn use_interrupt(&mut self) -> Result<InterruptKind> {
        let has_msi = self.interrupts()?.info(InterruptKind::Msi)?.count > 0;
        let kind = if has_msi {
            InterruptKind::Msi
        } else {
            InterruptKind::Intx
        };
        self.use_interrupt_of(kind)?;
        Ok(kind)
    }

    /// As [`use_interrupt`](Self::use_interrupt), by an interrupt of this kind.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be enabled.
    pub fn use_interrupt_of(&mut self, kind: InterruptKind) -> Result<()> {
        // A device has interrupts of one kind at a time: the old one goes first.
        self.interrupt = None;
        // Nothing of what was before is to interrupt.
        acknowledge(&self.bar)?;
        let vector = self.interrupts()?.enable(kind, 0..1)?.pop();
        let vector = vector.ok_or_else(|| self.no_interrupts())?;
        self.interrupt = Some(EduInterrupt { vector });
        Ok(())
    }

    /// Makes the device interrupt with these causes, and waits for it.
    ///
    /// # Errors
    ///
    /// Interrupts are not [in use](Self::use_interrupt), or none comes.
    pub fn raise(&self, causes: u32) -> Result<()> {
        let interrupt = self.interrupt.as_ref().ok_or_else(|| {
            let message = format!("no interrupt of {} is in use", self.device.address());
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        let registers = self.bar.io::<SIZE>()?;
        registers.try_write_reg(INTERRUPT_RAISE::from(causes))?;
        interrupt.wait_for(&self.bar, causes)
    }

    fn interrupts(&self) -> Result<&dyn Interrupts> {
        self.device.interrupts().ok_or_else(|| self.no_interrupts())
    }

    fn no_interrupts(&self) -> Error {
        let message = format!("{} has no interrupts here", self.device.address());
        Error::new(ErrorKind::Unsupported, message)
    }
}

impl EduInterrupt {
    /// Waits until all of these causes have come.
    pub(crate) fn wait_for(&self, bar: &Bar, causes: u32) -> Result<()> {
        let deadline = Instant::now() + SOON;
        let (mut missing, mut idle) = (causes, 0);
        while missing != 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.vector.wait(left.min(GLANCE))?.is_some() {
                missing &= !acknowledge(bar)?;
                // The pin stays masked until it is told that the device has let go of it.
                if self.vector.kind() == InterruptKind::Intx {
                    self.vector.unmask()?;
                }
                continue;
            }
            check_present(bar)?;
            // When there is nothing that it could come from any more, it has been lost, such as in a reset.
            idle = if is_idle(bar)? { idle + 1 } else { 0 };
            if left.is_zero() || idle == GLANCES {
                let message = format!("no interrupt tells of the causes {missing:#x}");
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
        }
        Ok(())
    }
}

/// Whether there is a device still.
pub(crate) fn check_present(bar: &Bar) -> Result<()> {
    let id = bar.io::<SIZE>()?.try_read(ID)?;
    if id.magic() == MAGIC {
        return Ok(());
    }
    let message = format!(
        "the device does not answer: it identifies as {:#010x}",
        id.into_raw()
    );
    Err(Error::new(ErrorKind::Lost, message))
}

/// Whether the device neither computes nor transfers.
fn is_idle(bar: &Bar) -> Result<bool> {
    let registers = bar.io::<SIZE>()?;
    let (status, transfer) = (
        registers.try_read(STATUS)?,
        registers.try_read(DMA_COMMAND)?,
    );
    Ok(!status.computing() && !transfer.start())
}

/// Clears the causes that there are, so that the device lets go of its pin, and returns them.
fn acknowledge(bar: &Bar) -> Result<u32> {
    let registers = bar.io::<SIZE>()?;
    let causes = registers.try_read(INTERRUPT_STATUS)?.into_raw();
    registers.try_write_reg(INTERRUPT_ACKNOWLEDGE::from(causes))?;
    Ok(causes)
}
