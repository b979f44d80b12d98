//! A controller: brought up, given admin commands, shut down.

use crate::{
    command::Command,
    identify::{self, Page},
    queue::{Entries, QueuePair},
    registers::{self, ACQ, AQA, ASQ, CAP, CC, CSTS, Registers, SIZE},
};
use io_core::{
    Bar, Error, ErrorKind, Io, PciDevice, Result,
    dma::{DmaBuffer, DmaOptions, DmaSpace},
    irq::Interrupt,
    poll::{Poll, Verdict},
};
use std::time::Duration;

/// The entries of the admin queues.
const ADMIN_ENTRIES: u8 = 16;
/// How long an admin command may take: none of those that there are here does much.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long any other command may take, and a shutdown.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A controller that is enabled.
#[derive(Debug)]
pub struct Controller<'d> {
    device: &'d dyn PciDevice,
    bar: Bar,
    cap: CAP,
    admin: QueuePair,
    /// Where structures arrive.
    page: DmaBuffer,
    /// The same identifier does not come twice in a row.
    next_id: u16,
    is_down: bool,
}

impl<'d> Controller<'d> {
    /// Brings the controller up: NVM Express Base 2.0 section 3.5.1.
    ///
    /// Interrupts, if it is to have any, are enabled already: QEMU's looks for them while it is brought up.
    ///
    /// # Errors
    ///
    /// It is no NVMe controller, cannot do what this driver needs, or does not become ready.
    pub fn new(device: &'d dyn PciDevice, interrupt: Option<Box<dyn Interrupt>>) -> Result<Self> {
        check_class(device)?;
        // What it does from before is not to reach the memory that comes now.
        device.set_bus_master(false)?;
        let space = dma(device)?;
        let bar = device.bar(0)?;
        let cap = bar.io::<SIZE>()?.try_read(CAP)?;
        check(device, cap, space)?;
        let entries = Entries {
            submission: ADMIN_ENTRIES.into(),
            completion: ADMIN_ENTRIES.into(),
        };
        let admin = QueuePair::new(space, (0, entries), cap, interrupt)?;
        let page = space
            .allocate(identify::SIZE, DmaOptions::default())?
            .share()?;
        let controller = Self {
            device,
            bar,
            cap,
            admin,
            page,
            next_id: 0,
            is_down: false,
        };
        // A drive that somebody left running must not start to read and write where it did then.
        controller.disable()?;
        device.set_bus_master(true)?;
        controller.enable()?;
        Ok(controller)
    }

    /// The page size in bytes, as it is configured: the least that the controller has.
    pub fn page_size(&self) -> u64 {
        page_size(self.cap)
    }

    /// What it can do.
    pub fn cap(&self) -> CAP {
        self.cap
    }

    /// The device that it is.
    pub fn device(&self) -> &'d dyn PciDevice {
        self.device
    }

    /// What it sees of memory.
    pub fn dma(&self) -> Result<&'d DmaSpace> {
        dma(self.device)
    }

    /// Its registers.
    pub fn registers(&self) -> Result<Registers<'_>> {
        Ok(self.bar.io::<SIZE>()?)
    }

    /// Lets it carry out an admin command, and returns its result. `what` is the command in words.
    ///
    /// # Errors
    ///
    /// The controller refuses, or does not answer.
    pub fn admin(&mut self, what: &str, command: &Command) -> Result<u32> {
        let (id, registers) = (self.next_id, self.bar.io::<SIZE>()?);
        self.next_id = self.next_id.wrapping_add(1);
        self.admin.push(id, command)?;
        let done = match self.admin.wait(registers, ADMIN_TIMEOUT) {
            Ok(Some(done)) => done,
            Ok(None) => return Err(self.admin.timed_out(ADMIN_TIMEOUT)),
            Err(error) => return Err(self.explain(error)),
        };
        let (address, status) = (self.device.address(), done.status);
        let message = if done.id != id {
            format!(
                "{address} has completed command {}, and not {id}, {what}",
                done.id
            )
        } else if status.is_success() {
            return Ok(done.result);
        } else {
            format!("{address} refuses {what}: {status}")
        };
        Err(Error::new(ErrorKind::Other, message))
    }

    /// Lets it tell of something, and makes a value of what it tells.
    pub fn identify<T>(
        &mut self,
        (cns, namespace): (u32, u32),
        parse: impl FnOnce(Page<'_>) -> Result<T>,
    ) -> Result<T> {
        let what = format!("to identify (structure {cns}, namespace {namespace})");
        let command = Command::identify(cns, namespace, self.page.iova());
        self.admin(&what, &command)?;
        parse(
            self.page
                .view()
                .subview::<{ identify::SIZE }>(0, identify::SIZE)?,
        )
    }

    /// What a command that did not complete may mean, by the controller's status.
    pub fn explain(&self, error: Error) -> Error {
        let trouble = match self.registers() {
            Ok(registers) => registers::trouble(registers),
            Err(_) => Some("cannot be reached"),
        };
        let Some(why) = trouble else { return error };
        let message = format!("the controller {} {why}", self.device.address());
        Error::new(ErrorKind::Lost, message).with_source(error)
    }

    /// Shuts it down, so that the power may go, and takes bus mastering from it: Base 2.0 section 3.6.1.
    ///
    /// # Errors
    ///
    /// It does not come to the end of it. It was disabled then, without ceremony.
    pub fn shut_down(&mut self) -> Result<()> {
        if self.is_down {
            return Ok(());
        }
        self.is_down = true;
        let done = self.notify();
        let stopped = if done.is_err() {
            self.disable()
        } else {
            Ok(())
        };
        self.device.set_bus_master(false)?;
        done.and(stopped)
    }

    fn notify(&self) -> Result<()> {
        let registers = self.registers()?;
        let status = registers.try_read(CSTS)?;
        if !status.ready() || status.fatal() {
            return self.disable();
        }
        registers.try_update(CC, |cc| cc.with_const_shutdown::<1>())?;
        let notified = || registers.try_read(CC).is_ok_and(|cc| cc.shutdown() != 0);
        Poll::within(COMMAND_TIMEOUT)
            .try_until(
                || registers.try_read(CSTS),
                |csts| match csts {
                    // It was reset meanwhile, or never heard of it.
                    csts if csts.shutdown() == 0 && !notified() => Verdict::Failed,
                    csts => Verdict::ready_if(csts.shutdown() == 2),
                },
            )
            .map(drop)
            .map_err(|e| e.into_error(format!("{} does not shut down", self.device.address())))
    }

    fn disable(&self) -> Result<()> {
        let registers = self.registers()?;
        // What answers with all ones is not to be told anything that is made of them.
        Poll::within(Duration::ZERO)
            .try_until(|| registers.try_read(CSTS), |_| Verdict::Ready)
            .map_err(|e| e.into_error(format!("{} cannot be disabled", self.device.address())))?;
        registers.try_update(CC, |cc| cc.with_enable(false))?;
        self.wait_ready(false)
    }

    fn enable(&self) -> Result<()> {
        let registers = self.registers()?;
        let entries = ADMIN_ENTRIES - 1;
        let sizes = AQA::zeroed()
            .with_submission_entries(entries)
            .with_completion_entries(entries);
        registers.try_write_reg(sizes)?;
        registers.try_write_reg(ASQ::from(self.admin.submission().at.raw()))?;
        registers.try_write_reg(ACQ::from(self.admin.completion().at.raw()))?;
        registers.try_write_reg(
            CC::zeroed()
                .with_const_submission_entry_size::<6>() // 64 bytes
                .with_const_completion_entry_size::<4>() // 16 bytes
                .with_page_size(self.cap.page_size_min().cast())
                .with_enable(true),
        )?;
        self.wait_ready(true)
    }

    fn wait_ready(&self, ready: bool) -> Result<()> {
        let registers = self.registers()?;
        let timeout = Duration::from_millis(500) * u32::from(self.cap.timeout()).max(1);
        let enabled = || registers.try_read(CC).is_ok_and(|cc| cc.enable());
        let wanted = |csts: CSTS| match csts {
            csts if csts.fatal() && ready => Verdict::Failed,
            // It was reset meanwhile, or never heard of it.
            csts if ready && !csts.ready() && !enabled() => Verdict::Failed,
            csts => Verdict::ready_if(csts.ready() == ready),
        };
        let not = if ready { "" } else { "not " };
        Poll::within(timeout)
            .try_until(|| registers.try_read(CSTS), wanted)
            .map(drop)
            .map_err(|e| {
                let address = self.device.address();
                e.into_error(format!(
                    "the controller {address} does not become {not}ready"
                ))
            })
    }
}

impl Drop for Controller<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            log::error!("{error}");
        }
    }
}

/// The page size that is used: the least that there is.
fn page_size(cap: CAP) -> u64 {
    0x1000 << u8::from(cap.page_size_min())
}

/// Refuses what is no NVMe controller: class code 01, 08, 02 (PCIe Transport 1.0 section 2.1.5).
fn check_class(device: &dyn PciDevice) -> Result<()> {
    const NVME: u32 = 0x01_08_02;
    let class = device.config().try_read32(8)? >> 8;
    if class == NVME {
        return Ok(());
    }
    let message = format!(
        "{} is no NVMe controller: its class code is {class:#08x}, and not {NVME:#08x}",
        device.address()
    );
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// Refuses what this driver cannot work with.
fn check(device: &dyn PciDevice, cap: CAP, space: &DmaSpace) -> Result<()> {
    if cap.into_raw() == u64::MAX {
        let message = format!("the controller {} does not answer", device.address());
        return Err(Error::new(ErrorKind::Lost, message));
    }
    let granule = space.limits().granule();
    let why = if !cap.nvm_command_set() {
        "has no NVM command set".to_owned()
    } else if page_size(cap) > granule {
        format!(
            "needs pages of {:#x} bytes, and the IOMMU has some of {granule:#x}",
            page_size(cap)
        )
    } else {
        return Ok(());
    };
    let message = format!("the controller {} {why}", device.address());
    Err(Error::new(ErrorKind::Unsupported, message))
}

fn dma(device: &dyn PciDevice) -> Result<&DmaSpace> {
    device.dma().ok_or_else(|| {
        let message = format!(
            "{} is given no memory here: that takes VFIO, and an IOMMU",
            device.address()
        );
        Error::new(ErrorKind::Unsupported, message)
    })
}
