//! Recovery, on a device that is lost at will.

use super::*;
use crate::{
    Bar, ConfigSpace, Io, dma::DmaSpace, event::DeviceWatch, irq::Interrupts, pci::PciAddress,
    sim::Ram,
};
use std::{
    cell::Cell,
    collections::VecDeque,
    io::{Stderr, stderr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Mutex},
};

type Happens = Arc<Mutex<VecDeque<Option<DeviceEvent>>>>;

/// A device whose configuration space is memory, and what is seen of it, look by look.
#[derive(Debug)]
struct Device {
    config: Ram,
    happens: Happens,
}

impl Device {
    /// One that is bus master and decodes memory.
    fn new(happens: &[Option<DeviceEvent>]) -> Self {
        let device = Self {
            config: Ram::new("configuration space of a test", 256),
            happens: Arc::new(Mutex::new(happens.iter().copied().collect())),
        };
        device.config().try_write16(4, 6).unwrap();
        device
    }

    fn command(&self) -> u16 {
        self.config().try_read16(4).unwrap()
    }

    /// No device answers.
    fn pull_out(&self) {
        self.config().try_write16(6, u16::MAX).unwrap();
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
        Some(self)
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
        Ok(Box::new(Watched(Arc::clone(&self.happens), stderr())))
    }
}

#[derive(Debug)]
struct Watched(Happens, Stderr);

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.1.as_raw_fd()
    }
}

impl DeviceWatch for Watched {
    fn wait(&self, _: Duration) -> Result<Option<DeviceEvent>> {
        Ok(self.0.lock().unwrap().pop_front().flatten())
    }

    fn trigger(&self, _: DeviceEvent) -> Result<()> {
        Ok(())
    }
}

/// Makes bus mastering part of being up, and says whether it was on when it was dropped.
struct Driver<'d>(&'d Device, &'d Cell<u32>);

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        assert_eq!(self.0.command() & 4, 0, "it is dropped as bus master");
        self.1.set(self.1.get() + 1);
    }
}

/// Work that goes as it is told.
struct Script<'d> {
    device: &'d Device,
    dropped: &'d Cell<u32>,
    /// How bringing up goes, and then steps: an error of this kind, or not. At its end it is done.
    ups: Vec<Option<ErrorKind>>,
    steps: Vec<Option<ErrorKind>>,
    quiesced: u32,
    recovered: Vec<String>,
}

impl<'d> Script<'d> {
    fn new(
        device: &'d Device,
        dropped: &'d Cell<u32>,
        ups: &[Option<ErrorKind>],
        steps: &[Option<ErrorKind>],
    ) -> Self {
        Self {
            device,
            dropped,
            ups: ups.iter().rev().copied().collect(),
            steps: steps.iter().rev().copied().collect(),
            quiesced: 0,
            recovered: Vec::new(),
        }
    }
}

fn outcome(kind: Option<ErrorKind>, what: &str) -> Result<()> {
    kind.map_or(Ok(()), |kind| Err(Error::new(kind, what)))
}

impl<'d> Work for Script<'d> {
    type Driver = Driver<'d>;
    type Done = &'static str;

    fn bring_up(&mut self) -> Result<Driver<'d>> {
        outcome(self.ups.pop().flatten(), "not up")?;
        assert_eq!(self.device.command() & 2, 2, "memory decode is on");
        self.device.set_bus_master(true)?;
        Ok(Driver(self.device, self.dropped))
    }

    fn step(&mut self, _: &mut Driver<'d>) -> Result<ControlFlow<&'static str>> {
        let Some(step) = self.steps.pop() else {
            return Ok(ControlFlow::Break("done"));
        };
        if step.is_some() {
            self.device.set_memory_decode(false)?;
        }
        outcome(step, "lost it")?;
        Ok(ControlFlow::Continue(()))
    }

    fn quiesce(&mut self, driver: &mut Driver<'d>) -> Result<()> {
        assert_eq!(driver.0.command() & 4, 4, "it is bus master still");
        self.quiesced += 1;
        Ok(())
    }

    fn recovered(&mut self, why: &Error, _: Duration) {
        self.recovered.push(why.to_string());
    }
}

const LONG: Duration = Duration::from_secs(60);
const LOST: Option<ErrorKind> = Some(ErrorKind::Lost);
const LATE: Option<ErrorKind> = Some(ErrorKind::TimedOut);

#[test]
fn what_is_lost_is_brought_up_until_a_step_is_done() {
    let (device, dropped) = (Device::new(&[]), Cell::new(0));
    let ups = [None, LOST, Some(ErrorKind::Unsupported), None, None];
    // The second loss is in the step behind the first: one recovery.
    let steps = [None, LOST, LATE, None, LATE, None];
    let mut work = Script::new(&device, &dropped, &ups, &steps);
    let ending = until_gone(&device, LONG, &mut work).unwrap();
    assert_eq!(ending, Ending::Done("done"));
    assert_eq!(work.recovered, ["lost it", "lost it"]);
    assert_eq!((dropped.get(), device.command()), (4, 2));
}

#[test]
fn what_is_no_loss_ends_the_work() {
    let (device, dropped) = (Device::new(&[]), Cell::new(0));
    let steps = [None, Some(ErrorKind::Other)];
    let mut work = Script::new(&device, &dropped, &[], &steps);
    let error = until_gone(&device, LONG, &mut work).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(dropped.get(), 1);

    let mut work = Script::new(&device, &dropped, &[LOST], &[]);
    let error = until_gone(&device, LONG, &mut work).unwrap_err();
    assert_eq!(error.to_string(), "not up", "there is nothing to recover");
}

#[test]
fn patience_has_an_end() {
    for (ups, steps) in [
        (vec![None, LOST, LOST], vec![LOST]),
        (vec![], vec![LOST; 100]),
    ] {
        let (device, dropped) = (Device::new(&[]), Cell::new(0));
        let mut work = Script::new(&device, &dropped, &ups, &steps);
        let error = until_gone(&device, Duration::ZERO, &mut work).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lost);
        let expected = "0000:01:00.0 was lost, and is not back within 0ns";
        assert_eq!(error.to_string(), expected);
        assert!(work.recovered.is_empty());
    }
}

#[test]
fn a_device_that_is_wanted_back_is_brought_to_an_end_first() {
    let (device, dropped) = (
        Device::new(&[None, Some(DeviceEvent::RemovalRequested)]),
        Cell::new(0),
    );
    let mut work = Script::new(&device, &dropped, &[], &[None; 10]);
    let ending = until_gone(&device, LONG, &mut work).unwrap();
    assert_eq!(ending, Ending::Event(DeviceEvent::RemovalRequested));
    assert_eq!((work.quiesced, dropped.get(), device.command()), (1, 1, 2));
}

#[test]
fn a_device_that_is_pulled_out_is_lost() {
    let device = Device::new(&[Some(DeviceEvent::RemovalRequested)]);
    let dropped = Cell::new(0);
    struct PulledOut<'d>(Script<'d>);
    impl<'d> Work for PulledOut<'d> {
        type Driver = Option<Driver<'d>>;
        type Done = ();

        fn bring_up(&mut self) -> Result<Self::Driver> {
            self.0.device.pull_out();
            Ok(None)
        }

        fn step(&mut self, _: &mut Self::Driver) -> Result<ControlFlow<()>> {
            unreachable!("the event was there before")
        }
    }
    let mut work = PulledOut(Script::new(&device, &dropped, &[], &[]));
    let error = until_gone(&device, LONG, &mut work).unwrap_err();
    assert_eq!(error.to_string(), "0000:01:00.0 was pulled out");
    assert_eq!((error.kind(), work.0.quiesced), (ErrorKind::Lost, 0));
}

#[test]
fn a_device_that_reports_an_error_is_brought_up_again() {
    let device = Device::new(&[None, Some(DeviceEvent::Failed)]);
    let dropped = Cell::new(0);
    let mut work = Script::new(&device, &dropped, &[], &[None; 3]);
    let ending = until_gone(&device, LONG, &mut work).unwrap();
    assert_eq!(ending, Ending::Done("done"));
    let why = "0000:01:00.0: it reported an uncorrectable error";
    assert_eq!(
        (dropped.get(), &*work.recovered),
        (2, &[why.to_owned()][..])
    );
}
