//! Work that goes on after its device was lost.

use crate::{
    Error, ErrorKind, PciDevice, Result,
    event::{DeviceEvent, DeviceEvents, Ending},
};
use std::{
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

/// How long to leave a device alone between two attempts to bring it up.
const PAUSE: Duration = Duration::from_millis(50);

/// Work on a device that is brought up again whenever it was lost, for [`until_gone`].
pub trait Work {
    /// What is used of the device, and has to be made anew after a loss: BARs, memory, interrupts.
    type Driver;
    /// What the work comes to.
    type Done;

    /// Brings the device up, whatever state it is in. After a loss this is tried again until it succeeds.
    ///
    /// # Errors
    ///
    /// The device does not do it, or not yet.
    fn bring_up(&mut self) -> Result<Self::Driver>;

    /// Does a part of the work, which takes no longer than the device may be kept from who wants it, such as 100 ms.
    ///
    /// # Errors
    ///
    /// Those of the kinds [`Lost`](ErrorKind::Lost) and [`TimedOut`](ErrorKind::TimedOut) mean that the device has to be
    /// brought up again; any other ends the work.
    fn step(&mut self, driver: &mut Self::Driver) -> Result<ControlFlow<Self::Done>>;

    /// Comes to an end with what is under way, because the device is wanted back. It works still, and is bus master. A
    /// driver with nothing to finish does nothing.
    ///
    /// # Errors
    ///
    /// Something came to no end. The device is let go of all the same.
    fn quiesce(&mut self, driver: &mut Self::Driver) -> Result<()> {
        let _ = driver;
        Ok(())
    }

    /// Hears of a loss that is over, `after` so long: the device was brought up, and a step was done.
    fn recovered(&mut self, why: &Error, after: Duration) {
        let _ = (why, after);
    }
}

/// As [`until_event`](crate::event::until_event), by work that survives losses: a reset by somebody else, memory decode
/// that was switched off, D3hot, an error that the device reported, a command that was not completed.
///
/// After a loss bus mastering is switched off, and then the driver is dropped, so that nothing that is under way still
/// reaches memory that is somebody else's by then. Memory decode is switched on, and the device is
/// [brought up](Work::bring_up), until that and the step behind it succeed, for `patience` at most.
///
/// When removal is requested, bus mastering is switched off and the driver dropped too, after it was
/// [brought to an end](Work::quiesce). The caller drops the device. Where removal is requested of a device that does not
/// answer, it was pulled out: that is an error.
///
/// ```
/// use io_core::{Bar, Io, PciDevice, Result, event::Ending, recovery::{Work, until_gone}};
/// use std::{ops::ControlFlow, time::Duration};
///
/// struct Count<'d>(&'d dyn PciDevice);
///
/// impl Work for Count<'_> {
///     type Driver = Bar;
///     type Done = u32;
///
///     fn bring_up(&mut self) -> Result<Bar> {
///         let bar = self.0.bar(0)?;
///         bar.io::<0x10>()?.try_write32(0x00, 1)?;
///         Ok(bar)
///     }
///
///     fn step(&mut self, bar: &mut Bar) -> Result<ControlFlow<u32>> {
///         let count = bar.io::<0x10>()?.try_read32(0x08)?;
///         Ok(if count > 100 { ControlFlow::Break(count) } else { ControlFlow::Continue(()) })
///     }
/// }
///
/// fn count(device: &dyn PciDevice) -> Result<Ending<u32>> {
///     until_gone(device, Duration::from_secs(10), &mut Count(device))
/// }
/// ```
///
/// # Errors
///
/// Those of the first `bring_up`, of watching the device, and of steps that are no loss;
/// [`Lost`](ErrorKind::Lost) if the device was pulled out, or did not come back in time.
pub fn until_gone<W: Work>(
    device: &dyn PciDevice,
    patience: Duration,
    work: &mut W,
) -> Result<Ending<W::Done>> {
    let watch = device.events().map(DeviceEvents::watch).transpose()?;
    let mut run = Run {
        device,
        driver: Some(work.bring_up()?),
        work,
        patience,
        loss: None,
    };
    let ending = loop {
        match watch.as_ref().map(|watch| watch.wait(Duration::ZERO)) {
            Some(Err(error)) => break Err(error),
            Some(Ok(Some(DeviceEvent::RemovalRequested))) => break run.removal_requested(),
            Some(Ok(Some(event))) => {
                let message = format!("{}: {event}", device.address());
                run.lose(Error::new(ErrorKind::Lost, message));
            }
            Some(Ok(None)) | None => {}
        }
        match run.advance() {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(done)) => break Ok(Ending::Done(done)),
            Err(error) => break Err(error),
        }
    };
    run.let_go();
    ending
}

struct Run<'a, W: Work> {
    device: &'a dyn PciDevice,
    work: &'a mut W,
    patience: Duration,
    /// None after a loss, until the device was brought up again.
    driver: Option<W::Driver>,
    /// The loss, until a step was done after it.
    loss: Option<(Error, Instant)>,
}

impl<W: Work> Run<'_, W> {
    /// Does a step, or one attempt to bring the device up.
    fn advance(&mut self) -> Result<ControlFlow<W::Done>> {
        let Some(driver) = &mut self.driver else {
            self.bring_up_again()?;
            return Ok(ControlFlow::Continue(()));
        };
        match self.work.step(driver) {
            Ok(flow) => {
                if let Some((why, since)) = self.loss.take() {
                    self.work.recovered(&why, since.elapsed());
                }
                Ok(flow)
            }
            Err(why) if matches!(why.kind(), ErrorKind::Lost | ErrorKind::TimedOut) => {
                self.lose(why);
                self.check_patience()?;
                Ok(ControlFlow::Continue(()))
            }
            Err(error) => Err(error),
        }
    }

    fn bring_up_again(&mut self) -> Result<()> {
        // A device that was reset without the backend's doing, or that somebody has switched off, decodes nothing.
        let brought_up = self
            .device
            .set_memory_decode(true)
            .and_then(|()| self.work.bring_up());
        match brought_up {
            Ok(driver) => self.driver = Some(driver),
            Err(error) => {
                log::debug!("{} is not back yet: {error}", self.device.address());
                self.check_patience()?;
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Says that the driver is of no use any more.
    fn lose(&mut self, why: Error) {
        log::info!("{} is lost: {why}", self.device.address());
        self.let_go();
        self.loss.get_or_insert((why, Instant::now()));
    }

    fn check_patience(&mut self) -> Result<()> {
        match self
            .loss
            .take_if(|(_, since)| since.elapsed() >= self.patience)
        {
            None => Ok(()),
            Some((why, _)) => {
                let (address, patience) = (self.device.address(), self.patience);
                let message = format!("{address} was lost, and is not back within {patience:?}");
                Err(Error::new(ErrorKind::Lost, message).with_source(why))
            }
        }
    }

    fn removal_requested(&mut self) -> Result<Ending<W::Done>> {
        let address = self.device.address();
        if !self.device.is_present() {
            let message = format!("{address} was pulled out");
            return Err(Error::new(ErrorKind::Lost, message));
        }
        if let Some(driver) = &mut self.driver {
            if let Err(error) = self.work.quiesce(driver) {
                log::warn!("{address} is let go of before its work came to an end: {error}");
            }
        }
        Ok(Ending::Event(DeviceEvent::RemovalRequested))
    }

    /// Stops bus mastering, and drops the driver.
    fn let_go(&mut self) {
        // One that has gone needs no stopping, and the IOMMU stops one that does not listen.
        if let Err(error) = self.device.set_bus_master(false) {
            let address = self.device.address();
            log::warn!("{address}: cannot stop bus mastering: {error}");
        }
        self.driver = None;
    }
}

#[cfg(test)]
mod tests;
