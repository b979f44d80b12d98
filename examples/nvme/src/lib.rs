//! A driver for NVMe drives, in safe code: NVM Express Base 2.0, NVM Command Set 1.0, PCIe Transport 1.0.
//!
//! It has one pair of queues for I/O, with as many commands in it at once as it is told, and waits for them by looking
//! or by interrupts.
//!
//! ```no_run
//! use nvme::{Nvme, Options};
//! use pci_host::Host;
//! use vfio_backend::VfioDevice;
//!
//! let device = VfioDevice::open(&Host::system(), "0000:04:00.0".parse()?)?;
//! let mut nvme = Nvme::new(&device, Options { depth: 8, interrupts: true })?;
//! let mut bytes = vec![0; 1 << 20];
//! nvme.read(0, &mut bytes)?;
//! nvme.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to read
//!
//! `registers.rs` and `command.rs` are what the specification draws; `ring.rs`, `prp.rs`, `status.rs` and
//! `identify.rs` what it says of them. `queue.rs` brings commands to the controller and completions back,
//! `controller.rs` brings it up and shuts it down. `io.rs` is what programs see of I/O, and `bytes.rs` the convenient
//! form of it.
//!
//! # How the registers are reached
//!
//! By [`Bar::io`](io_core::Bar::io), whose accesses may fail, so that the driver runs on whatever backend there is. The
//! only accesses per command are the doorbells, whose offsets are known at run time: they would be `try_` accesses on
//! a mapped BAR too. Queues and structures in memory are `SysMem`, whose accesses cannot fail at constant offsets.
#![forbid(unsafe_code)]

mod bytes;
mod command;
mod controller;
mod identify;
mod io;
mod prp;
mod queue;
mod registers;
mod ring;
pub mod soak;
mod status;

use command::Command;
use controller::Controller;
use io::Slots;
use io_core::{
    Error, ErrorKind, Io, PciDevice, Result,
    irq::{Interrupt, InterruptKind},
};
use queue::{Entries, QueuePair};
use registers::VS;

pub use identify::{Controller as ControllerInfo, Namespace};
pub use io::{Operation, Slot};
pub use status::Status;

/// How the drive is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "users make it")]
pub struct Options {
    /// How many commands may be under way at once: 1 at least.
    pub depth: u16,
    /// Whether to wait for interrupts (MSI-X), and not to look for completions all the time.
    pub interrupts: bool,
}

/// An NVMe drive: its first namespace, through one pair of queues.
#[derive(Debug)]
pub struct Nvme<'d> {
    // Shut down first, and then its memory is freed.
    controller: Controller<'d>,
    queue: QueuePair,
    slots: Slots,
    info: ControllerInfo,
    namespace: Namespace,
}

/// The number of the queues for I/O; 0 is that of the admin queues.
const IO_QUEUE: u16 = 1;

impl<'d> Nvme<'d> {
    /// Takes the drive into use: brings its controller up, finds the first namespace, and makes the queues.
    ///
    /// # Errors
    ///
    /// It is no NVMe drive, does not come up, has no namespace of plain blocks, or cannot have such queues or
    /// interrupts.
    pub fn new(device: &'d dyn PciDevice, options: Options) -> Result<Self> {
        let (admin, io) = match options.interrupts {
            true => interrupts(device).map(|[admin, io]| (Some(admin), Some(io)))?,
            false => (None, None),
        };
        let mut controller = Controller::new(device, admin)?;
        let info = controller.identify((1, 0), |page| Ok(identify::Controller::parse(page)?))?;
        let first = controller.identify((2, 0), |page| Ok(page.read32::<0>()))?;
        if first == 0 {
            let message = format!("the drive {} has no namespace", device.address());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let namespace =
            controller.identify((0, first), |page| identify::Namespace::parse(first, page))?;

        let entries = queue_entries(&controller, options.depth)?;
        let queue = QueuePair::new(controller.dma()?, (IO_QUEUE, entries), controller.cap(), io)?;
        controller.admin("one pair of queues", &Command::one_queue_pair())?;
        let create = Command::create_completion_queue(queue.completion(), queue.vector());
        controller.admin("to create a completion queue", &create)?;
        let create = Command::create_submission_queue(queue.submission());
        controller.admin("to create a submission queue", &create)?;
        let slots = Slots::new(&controller, &info, options.depth)?;
        Ok(Self {
            controller,
            queue,
            slots,
            info,
            namespace,
        })
    }

    /// What the controller says of itself.
    #[must_use]
    pub fn info(&self) -> &ControllerInfo {
        &self.info
    }

    /// The version of the specification that the controller keeps to: major, minor.
    ///
    /// # Errors
    ///
    /// The register cannot be read.
    pub fn version(&self) -> Result<(u16, u8)> {
        let version = self.controller.registers()?.try_read(VS)?;
        Ok((version.major(), version.minor()))
    }

    /// The namespace that is read and written.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// What the controller says of the namespace `id`.
    ///
    /// # Errors
    ///
    /// There is none, or its blocks are not plain data.
    pub fn identify_namespace(&mut self, id: u32) -> Result<Namespace> {
        self.controller
            .identify((0, id), |page| identify::Namespace::parse(id, page))
    }

    /// Deletes the queues and shuts the drive down. Dropping it does the same without deleting, and can only log what
    /// goes wrong.
    ///
    /// # Errors
    ///
    /// The controller does not do it. It is disabled then, without ceremony.
    pub fn close(mut self) -> Result<()> {
        let delete = Command::delete_submission_queue(IO_QUEUE);
        self.controller
            .admin("to delete a submission queue", &delete)?;
        let delete = Command::delete_completion_queue(IO_QUEUE);
        self.controller
            .admin("to delete a completion queue", &delete)?;
        self.controller.shut_down()
    }
}

/// The vectors for the admin queue and for the other one.
fn interrupts(device: &dyn PciDevice) -> Result<[Box<dyn Interrupt>; 2]> {
    let unsupported = || {
        let message = format!("{} has no two vectors of MSI-X", device.address());
        Error::new(ErrorKind::Unsupported, message).with_hint("use it without interrupts")
    };
    let interrupts = device.interrupts().ok_or_else(unsupported)?;
    if interrupts.info(InterruptKind::MsiX)?.count < 2 {
        return Err(unsupported());
    }
    let vectors = interrupts.enable(InterruptKind::MsiX, 0..2)?;
    <[_; 2]>::try_from(vectors).map_err(|_| unsupported())
}

/// The entries of the queues for `depth` commands at once: one entry is always free. There are more for completions, of
/// which the controller is told many at a time then; so many fill a page, which is there anyway.
fn queue_entries(controller: &Controller<'_>, depth: u16) -> Result<Entries> {
    const A_PAGE: u16 = 256;
    let most = controller.cap().queue_entries_max();
    if (1..=most).contains(&depth) {
        let submission = depth.saturating_add(1);
        return Ok(Entries {
            submission,
            completion: submission.max(A_PAGE.min(most.saturating_add(1))),
        });
    }
    let address = controller.device().address();
    let message =
        format!("the queues of {address} take 1 to {most} commands at once, and not {depth}");
    Err(Error::new(ErrorKind::InvalidInput, message))
}
