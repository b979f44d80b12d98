//! Downstream port containment.

use super::{BodyError, fields::Fields};
use crate::pci::bits::{bits8, flags};

/// Downstream port containment: a port that cuts off what is behind it on an error (PCI Express Base
/// 6.0 section 7.9.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dpc {
    /// What it can do.
    pub capabilities: DpcCapability,
    /// What it does.
    pub control: DpcControl,
    /// What happened.
    pub status: DpcStatus,
    /// Who sent the message that triggered it: bus, device and function in 8, 5 and 3 bits.
    pub source: u16,
    /// What a root port has besides, if it says so.
    pub root_port: Option<DpcRootPort>,
}

/// Errors of programmed I/O at a root port: one bit for each combination of request (configuration, I/O,
/// memory: from bit 0, 8 and 16 on) and failure (unsupported, aborted, timed out).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpcRootPort {
    /// Which errors there were. Each is cleared by writing a 1.
    pub status: u32,
    /// Which of them are not reported.
    pub mask: u32,
    /// Which of them are uncorrectable.
    pub severity: u32,
    /// Which of them are system errors.
    pub system_error: u32,
    /// Which of them are exceptions on the processor.
    pub exception: u32,
}

flags! {
    /// DPC Capability (offset 4, 16 bits).
    pub struct DpcCapability(u16) {
        ROOT_PORT_EXTENSIONS = 1 << 5, "RPExt", "It tells of errors of programmed I/O.";
        POISONED_TLP_BLOCKING = 1 << 6, "PoisonedTLP", "It can block poisoned TLPs on their way out.";
        SOFTWARE_TRIGGER = 1 << 7, "SwTrigger", "Software can trigger it.";
        DL_ACTIVE_ERROR = 1 << 12, "DL_ActiveErr", "It can tell of a link that comes up again.";
    }
}

impl DpcCapability {
    /// The number of the interrupt message that it uses.
    #[must_use]
    pub fn interrupt_message(self) -> u8 {
        bits8(self.bits(), 0, 5)
    }

    /// How many units of 4 bytes the logs of programmed I/O have.
    #[must_use]
    pub fn log_size(self) -> u8 {
        bits8(self.bits(), 8, 4)
    }
}

flags! {
    /// DPC Control (offset 6, 16 bits).
    pub struct DpcControl(u16) {
        COMPLETION_ABORT = 1 << 2, "Cmpl", "Requests are completed with Completer Abort while it is triggered.";
        INTERRUPT = 1 << 3, "INT", "It raises an interrupt.";
        ERROR_CORRECTABLE = 1 << 4, "ErrCor", "It sends a message of a correctable error.";
        POISONED_TLP_BLOCKING = 1 << 5, "PoisonedTLP", "It blocks poisoned TLPs on their way out.";
        SOFTWARE_TRIGGER = 1 << 6, "SwTrigger", "Writing a 1 triggers it. Reads 0.";
        DL_ACTIVE_ERROR = 1 << 7, "DL_ActiveErr", "It tells of a link that comes up again.";
    }
}

impl DpcControl {
    /// What triggers it: 0 nothing, 1 fatal errors, 2 non-fatal ones too.
    #[must_use]
    pub fn trigger(self) -> u8 {
        bits8(self.bits(), 0, 2)
    }
}

flags! {
    /// DPC Status (offset 8, 16 bits). The first two are cleared by writing a 1.
    pub struct DpcStatus(u16) {
        TRIGGER = 1 << 0, "Trigger", "It was triggered: what is behind the port is cut off.";
        INTERRUPT = 1 << 3, "INT", "An interrupt is pending.";
        ROOT_PORT_BUSY = 1 << 4, "RPBusy", "A root port is not ready to be released yet.";
    }
}

impl DpcStatus {
    /// What triggered it: 0 an unmasked uncorrectable error, 1 a message of a non-fatal error, 2 of a
    /// fatal one, 3 what [`DpcStatus::reason_extension`] says.
    #[must_use]
    pub fn reason(self) -> u8 {
        bits8(self.bits(), 1, 2)
    }

    /// If `reason` is 3: 0 programmed I/O of a root port, 1 software.
    #[must_use]
    pub fn reason_extension(self) -> u8 {
        bits8(self.bits(), 5, 2)
    }

    /// The number of the bit of the first error of programmed I/O.
    #[must_use]
    pub fn first_error(self) -> u8 {
        bits8(self.bits(), 8, 5)
    }
}

impl Dpc {
    pub(super) fn decode(fields: Fields<'_>) -> Result<Self, BodyError> {
        let capabilities = DpcCapability::from_bits(fields.read16(4)?);
        let extended = capabilities.contains(DpcCapability::ROOT_PORT_EXTENSIONS);
        Ok(Self {
            capabilities,
            control: DpcControl::from_bits(fields.read16(6)?),
            status: DpcStatus::from_bits(fields.read16(8)?),
            source: fields.read16(10)?,
            root_port: extended.then(|| root_port(fields)).transpose()?,
        })
    }
}

fn root_port(fields: Fields<'_>) -> Result<DpcRootPort, BodyError> {
    Ok(DpcRootPort {
        status: fields.read32(0x0c)?,
        mask: fields.read32(0x10)?,
        severity: fields.read32(0x14)?,
        system_error: fields.read32(0x18)?,
        exception: fields.read32(0x1c)?,
    })
}
