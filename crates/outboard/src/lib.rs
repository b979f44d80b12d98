//! PCI devices in user space, opened by whatever this machine has for it.
//!
//! A driver is a function of a `&dyn PciDevice`: it reads and writes registers, waits for interrupts, gives the device
//! memory. [`open`] finds out what carries that here, and says why it took it; docs/backends.md has what each can do.
//!
//! # What a machine has
//!
//! The kernel has a driver for most devices, and a device that a program is to drive has to be taken from it first:
//! `sudo outboard bind 0000:01:00.0` binds it to **vfio-pci**. Behind an IOMMU this is the best there is: the device reaches
//! no memory but what it is given, all interrupts come, and a program needs no privileges but access to one node. Without an
//! IOMMU, or without VFIO, `sudo outboard bind 0000:01:00.0 --driver uio_pci_generic` is the next best: BARs and INTx,
//! but no memory for the device. A device that no driver has at all can be reached by root through **`/sys`**: BARs alone.
//!
//! # Who may
//!
//! Binding is for root. Opening is for whom the node belongs to: `/dev/vfio/12`, or `/dev/vfio/devices/vfio0` and
//! `/dev/iommu`, or `/dev/uio0`, which gives only those BARs that it has as maps: more takes root.
//! `sudo outboard access grant 0000:01:00.0 alice` lets a user open a device. Or rules of udev, which `cargo xtask install`
//! brings, give chosen devices to the group `outboard`. A line in `/etc/udev/rules.d/71-outboard-devices.rules` chooses one, by
//! its place and its ids (docs/udev.md):
//!
//! ```text
//! ENV{OUTBOARD_FUNCTIONS}=="*,0000:00:1c.0/00.0,8086:10d3:*", ENV{OUTBOARD}="1"
//! ```
//!
//! An error of [`open`] says which of these is missing.
//!
//! # What a device is called
//!
//! Addresses change when cards are added. `open` takes all that [`Selector`](prelude::Selector) does: ids that one device
//! has (`8086:10d3`), the path through bridges (`path:0000:00:1c.4/00.0`), a serial number, or an alias (`@nic`) that
//! `/etc/outboard/config.toml` explains.
//!
//! # A driver
//!
//! ```no_run
//! use outboard::prelude::*;
//!
//! // The same for every device and whatever carries it.
//! fn identify(device: &dyn PciDevice) -> Result<u32> {
//!     Ok(device.bar(0)?.io::<0x10>()?.try_read32(0)?)
//! }
//!
//! let opened = outboard::open("0000:01:00.0")?;
//! println!("by {}: {}", opened.backend, opened.reason);
//! println!("{:#x}", identify(&*opened.device)?);
//! # Ok::<(), Error>(())
//! ```
#![forbid(unsafe_code)]

mod backend;
mod open;

pub use backend::Backend;
pub use io_core;
pub use open::{Opened, open, open_on};

/// What a driver names.
pub mod prelude {
    pub use crate::{Backend, Opened};
    pub use io_core::{
        AccessWidth, Bar, Error, ErrorKind, Io, PciDevice, Result,
        dma::{DmaOptions, DmaSpace},
        irq::{Interrupt, InterruptKind, Interrupts},
        pci::PciAddress,
        poll::{Poll, Verdict},
        register,
    };
    pub use pci_host::Selector;
}
