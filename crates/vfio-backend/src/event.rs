//! What happens to a device, through eventfds.

use crate::{
    VfioDevice,
    device::DeviceFile,
    sys::irq::{self, NotEnabled},
};
use device_file::until_some;
use io_core::{
    Error, ErrorKind, Result,
    event::{DeviceEvent, DeviceEvents, DeviceWatch},
    pci::PciAddress,
};
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
        eventfd::{EfdFlags, EventFd},
    },
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Weak},
    time::Duration,
};
use vfio_bindings::bindings::vfio::{VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX};

/// The events that there may be, and the kernel's numbers for them, the one first that is told first.
const EVENTS: [(DeviceEvent, u32); 2] = [
    (DeviceEvent::RemovalRequested, VFIO_PCI_REQ_IRQ_INDEX),
    (DeviceEvent::Failed, VFIO_PCI_ERR_IRQ_INDEX),
];

impl DeviceEvents for VfioDevice {
    fn watch(&self) -> Result<Box<dyn DeviceWatch>> {
        let address = self.address();
        let error = |errno| failed("watch", address)(errno);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(error)?;
        if !self.file().begin_watch() {
            let message = format!("{address} is being watched already");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        // From here on, dropping it undoes what has been done.
        let mut watch = VfioWatch {
            file: Arc::downgrade(self.file()),
            address,
            epoll,
            sources: Vec::new(),
        };
        for (event, index) in EVENTS {
            match irq::get_info(self.file().as_fd(), index) {
                Ok(info) if info.count > 0 => {
                    watch.add(self.file(), event, index).map_err(error)?;
                }
                // The kernel's answer for what this device does not have.
                Ok(_) | Err(Errno::EINVAL) => log::debug!("{address} has no event {index}"),
                Err(errno) => return Err(error(errno)),
            }
        }
        Ok(Box::new(watch))
    }
}

/// A device that is watched.
#[derive(Debug)]
struct VfioWatch {
    /// Weak, so that who watches does not keep the device from who wants it.
    file: Weak<DeviceFile>,
    address: PciAddress,
    epoll: Epoll,
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    event: DeviceEvent,
    index: u32,
    eventfd: EventFd,
}

impl VfioWatch {
    fn add(&mut self, file: &DeviceFile, event: DeviceEvent, index: u32) -> nix::Result<()> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfd = EventFd::from_value_and_flags(0, flags)?;
        let readable = EpollEvent::new(EpollFlags::EPOLLIN, index.into());
        self.epoll.add(&eventfd, readable)?;
        irq::set_eventfds(file.as_fd(), index, 0, &[eventfd.as_raw_fd()]).map_err(
            |why| match why {
                NotEnabled::Failed(errno) => errno,
                // Of one.
                NotEnabled::Fewer(_) => Errno::ENOSPC,
            },
        )?;
        self.sources.push(Source {
            event,
            index,
            eventfd,
        });
        Ok(())
    }

    /// The next event, if there is one.
    fn take(&self) -> nix::Result<Option<DeviceEvent>> {
        for source in &self.sources {
            match source.eventfd.read() {
                Ok(_) => return Ok(Some(source.event)),
                Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }
}

impl AsFd for VfioWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl AsRawFd for VfioWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
    }
}

impl DeviceWatch for VfioWatch {
    fn wait(&self, timeout: Duration) -> Result<Option<DeviceEvent>> {
        until_some(self.as_fd(), timeout, || self.take())
            .map_err(failed("wait for events of", self.address))
    }

    fn trigger(&self, event: DeviceEvent) -> Result<()> {
        let address = self.address;
        let file = self.file.upgrade().ok_or_else(|| {
            let message = format!("{address} is closed, and has no events any more");
            Error::new(ErrorKind::NotFound, message)
        })?;
        let source = self.sources.iter().find(|source| source.event == event);
        let source = source.ok_or_else(|| {
            let message = format!("VFIO does not tell of {address} that {event}");
            Error::new(ErrorKind::Unsupported, message)
        })?;
        irq::trigger(file.as_fd(), source.index, 0).map_err(failed("trigger an event of", address))
    }
}

impl Drop for VfioWatch {
    fn drop(&mut self) {
        let Some(file) = self.file.upgrade() else {
            return;
        };
        for source in &self.sources {
            if let Err(errno) = irq::forget(file.as_fd(), source.index, 0) {
                log::error!("{}: {errno}", failed("stop watching", self.address)(errno));
            }
        }
        file.end_watch();
    }
}

fn failed(what: &str, address: PciAddress) -> impl Fn(Errno) -> Error {
    let message = format!("cannot {what} {address}");
    move |errno| Error::from_os(message.clone(), io::Error::from(errno))
}
