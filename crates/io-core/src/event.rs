//! What happens to a device from outside: it is wanted back, or it reported an error.

use crate::{PciDevice, Result};
use std::{
    fmt,
    ops::ControlFlow,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// Somebody wants the device: it is to be unplugged, removed or bound to another driver; or it has been pulled out.
    ///
    /// The kernel waits until this program has let go of it: all of its BARs and handles. It has no limit, and what
    /// waits may be somebody's `echo` to sysfs, or this program's own. It asks again every 10 seconds.
    RemovalRequested,
    /// The device reported an uncorrectable error (PCI Express AER). It may have been reset since: what it was told before
    /// does not count any more.
    Failed,
}

impl fmt::Display for DeviceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemovalRequested => "its removal was requested",
            Self::Failed => "it reported an uncorrectable error",
        })
    }
}

/// The events of a device.
pub trait DeviceEvents {
    /// Begins to watch for events: all that there are for this device. Those without PCI Express do not
    /// [fail](DeviceEvent::Failed).
    ///
    /// # Errors
    ///
    /// It is being watched already, or the operating system refuses.
    fn watch(&self) -> Result<Box<dyn DeviceWatch>>;
}

/// A device that is watched, until this is dropped. It does not keep the device open.
///
/// Its descriptor is readable when there are events: it can be given to poll(2), epoll(7), mio, or tokio's `AsyncFd`.
/// Reading it is the affair of [`wait`](Self::wait).
pub trait DeviceWatch: AsFd + AsRawFd + fmt::Debug + Send + Sync {
    /// Waits for an event: `None` if there was none within `timeout`. With no time at all it looks, and does not wait.
    ///
    /// An event that came several times since the last time comes once. There may be another one right behind it.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    fn wait(&self, timeout: Duration) -> Result<Option<DeviceEvent>>;

    /// Signals an event, as if it had happened: for tests of what a driver does then.
    ///
    /// # Errors
    ///
    /// The device is closed, has no such event, or the backend cannot.
    fn trigger(&self, event: DeviceEvent) -> Result<()>;
}

/// How [`until_event`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "work ends by itself, or it does not"
)]
pub enum Ending<T> {
    /// The work was done.
    Done(T),
    /// This happened to the device.
    Event(DeviceEvent),
}

/// Works on a device until the work is done or fails, or until an [event](DeviceEvent) of the device, and lets go of it
/// then: bus mastering is switched off first, then `work` is dropped, and with it the BARs and the memory that it owns.
/// The caller drops the device.
///
/// `work` is called again and again, and looks for events come between the calls: it waits for nothing longer than the
/// device may be kept from who wants it, such as 100 ms. Where the backend has no events there is none to end it.
///
/// ```
/// use io_core::{Io, PciDevice, Result, event};
/// use std::ops::ControlFlow;
///
/// fn serve<D: PciDevice>(device: D) -> Result<()> {
///     let bar = device.bar(0)?;
///     let ending = event::until_event(&device, move || {
///         // The driver's work goes here.
///         let done = bar.io::<0x10>()?.try_read32(0x08)? & 1;
///         Ok(if done == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
///     })?;
///     drop(device); // the BAR is unmapped by now: the kernel can have it
///     println!("{ending:?}");
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Those of `work`, and of watching the device. It is let go of all the same.
pub fn until_event<T>(
    device: &dyn PciDevice,
    mut work: impl FnMut() -> Result<ControlFlow<T>>,
) -> Result<Ending<T>> {
    let ending = run(device, &mut work);
    // One that has gone needs no stopping, and the IOMMU stops one that does not listen.
    if let Err(error) = device.set_bus_master(false) {
        log::warn!("{}: cannot stop bus mastering: {error}", device.address());
    }
    drop(work);
    ending
}

fn run<T>(
    device: &dyn PciDevice,
    work: &mut impl FnMut() -> Result<ControlFlow<T>>,
) -> Result<Ending<T>> {
    let watch = device.events().map(DeviceEvents::watch).transpose()?;
    loop {
        if let Some(watch) = &watch {
            if let Some(event) = watch.wait(Duration::ZERO)? {
                return Ok(Ending::Event(event));
            }
        }
        if let ControlFlow::Break(done) = work()? {
            return Ok(Ending::Done(done));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Bar, ConfigSpace, Error, ErrorKind, Io, dma::DmaSpace, irq::Interrupts, pci::PciAddress,
        sim::Ram,
    };
    use std::{
        cell::Cell,
        io::{Stderr, stderr},
        os::fd::{BorrowedFd, RawFd},
    };

    /// A device whose configuration space is memory, and to which something happens when it is looked for events.
    #[derive(Debug)]
    struct Device {
        config: Ram,
        happens: Option<DeviceEvent>,
    }

    impl Device {
        /// One that is bus master.
        fn new(happens: Option<DeviceEvent>) -> Self {
            let config = Ram::new("configuration space of a test", 256);
            let device = Self { config, happens };
            device.config().try_write16(4, 6).unwrap();
            device
        }

        fn command(&self) -> u16 {
            self.config().try_read16(4).unwrap()
        }
    }

    impl PciDevice for Device {
        fn address(&self) -> PciAddress {
            "0000:01:00.0".parse().unwrap()
        }

        fn config(&self) -> ConfigSpace<'_> {
            ConfigSpace::new(&self.config).unwrap()
        }

        fn bar(&self, _: u8) -> Result<Bar> {
            Err(Error::new(ErrorKind::NotFound, "no BAR"))
        }

        fn interrupts(&self) -> Option<&dyn Interrupts> {
            None
        }

        fn events(&self) -> Option<&dyn DeviceEvents> {
            self.happens.is_some().then_some(self)
        }

        fn dma(&self) -> Option<&DmaSpace> {
            None
        }

        fn reset(&self) -> Result<()> {
            Ok(())
        }
    }

    impl DeviceEvents for Device {
        fn watch(&self) -> Result<Box<dyn DeviceWatch>> {
            let (happens, fd) = (self.happens, stderr());
            Ok(Box::new(Watched { happens, fd }))
        }
    }

    #[derive(Debug)]
    struct Watched {
        happens: Option<DeviceEvent>,
        fd: Stderr,
    }

    impl AsFd for Watched {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }
    }

    impl AsRawFd for Watched {
        fn as_raw_fd(&self) -> RawFd {
            self.fd.as_raw_fd()
        }
    }

    impl DeviceWatch for Watched {
        fn wait(&self, _: Duration) -> Result<Option<DeviceEvent>> {
            Ok(self.happens)
        }

        fn trigger(&self, _: DeviceEvent) -> Result<()> {
            Ok(())
        }
    }

    /// Says whether bus mastering was on when it was dropped.
    struct Held<'d>(&'d Device, &'d Cell<Option<bool>>);

    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.1.set(Some(self.0.command() & 4 != 0));
        }
    }

    #[test]
    fn bus_mastering_is_off_before_what_the_work_holds_is_dropped() {
        for event in [DeviceEvent::RemovalRequested, DeviceEvent::Failed] {
            let device = Device::new(Some(event));
            let dropped = Cell::new(None);
            let held = Held(&device, &dropped);
            let ending = until_event(&device, move || -> Result<ControlFlow<()>> {
                let _held = &held;
                unreachable!("the event was there before")
            });
            assert_eq!(ending.unwrap(), Ending::Event(event));
            assert_eq!((dropped.get(), device.command()), (Some(false), 2));
        }
    }

    #[test]
    fn work_that_is_done_or_fails_lets_go_too_and_without_events() {
        let device = Device::new(None);
        let mut steps = 0;
        let ending = until_event(&device, || {
            steps += 1;
            let done = steps == 3;
            Ok(if done {
                ControlFlow::Break("done")
            } else {
                ControlFlow::Continue(())
            })
        });
        assert_eq!(ending.unwrap(), Ending::Done("done"));
        assert_eq!(device.command(), 2);
        device.set_bus_master(true).unwrap();
        let error = Error::new(ErrorKind::Lost, "gone");
        let mut error = Some(error);
        let ending = until_event::<()>(&device, || Err(error.take().unwrap()));
        assert_eq!(ending.unwrap_err().kind(), ErrorKind::Lost);
        assert_eq!(device.command(), 2);
    }

    #[test]
    fn a_device_whose_status_reads_all_ones_is_not_present() {
        let device = Device::new(None);
        assert!(device.is_present());
        device.config().try_write16(6, u16::MAX).unwrap();
        assert!(!device.is_present());
    }

    #[test]
    fn ones_that_nobody_answered_are_not_written_back_to_command() {
        let device = Device::new(None);
        device.config().try_write16(4, u16::MAX).unwrap();
        let error = device.set_bus_master(false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lost);
        assert!(error.to_string().ends_with("does not answer"), "{error}");
        assert!(device.set_memory_decode(false).is_err());
        assert_eq!(device.command(), u16::MAX);
    }
}
