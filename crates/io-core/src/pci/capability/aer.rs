//! Advanced error reporting.

use super::{BodyError, PortType, fields::Fields};
use crate::pci::bits::{bits8, flags};

/// Advanced error reporting (PCI Express Base 6.0 section 7.8.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aer {
    /// Which uncorrectable errors there were. Each is cleared by writing a 1.
    pub uncorrectable_status: UncorrectableErrors,
    /// Which of them are not reported.
    pub uncorrectable_mask: UncorrectableErrors,
    /// Which of them are fatal.
    pub uncorrectable_severity: UncorrectableErrors,
    /// Which correctable errors there were. Each is cleared by writing a 1.
    pub correctable_status: CorrectableErrors,
    /// Which of them are not reported.
    pub correctable_mask: CorrectableErrors,
    /// Capabilities and control.
    pub control: AerControl,
    /// The header of the TLP that the first error was about.
    pub header_log: [u32; 4],
    /// What a root port or an event collector has besides. `None` in other functions.
    pub root: Option<AerRoot>,
}

/// What a root port or a root complex event collector has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AerRoot {
    /// Which errors raise an interrupt: bit 0 correctable, 1 non-fatal, 2 fatal ones.
    pub command: u32,
    /// Which error messages it got.
    pub status: RootErrors,
    /// Who sent the first message of a correctable error: bus, device and function in 8, 5 and 3 bits.
    pub correctable_source: u16,
    /// Who sent the first message of an uncorrectable error.
    pub uncorrectable_source: u16,
}

flags! {
    /// Uncorrectable errors (offsets 4, 8 and 12, 32 bits).
    pub struct UncorrectableErrors(u32) {
        DATA_LINK_PROTOCOL = 1 << 4, "DLP", "Data link protocol.";
        SURPRISE_DOWN = 1 << 5, "SDES", "The link went down by surprise.";
        POISONED_TLP = 1 << 12, "TLP", "A poisoned TLP was received.";
        FLOW_CONTROL_PROTOCOL = 1 << 13, "FCP", "Flow control protocol.";
        COMPLETION_TIMEOUT = 1 << 14, "CmpltTO", "A completion did not come in time.";
        COMPLETER_ABORT = 1 << 15, "CmpltAbrt", "It aborted as completer.";
        UNEXPECTED_COMPLETION = 1 << 16, "UnxCmplt", "A completion came that was not expected.";
        RECEIVER_OVERFLOW = 1 << 17, "RxOF", "The receiver overflowed.";
        MALFORMED_TLP = 1 << 18, "MalfTLP", "A malformed TLP was received.";
        ECRC = 1 << 19, "ECRC", "The end-to-end CRC was wrong.";
        UNSUPPORTED_REQUEST = 1 << 20, "UnsupReq", "A request came that it does not support.";
        ACS_VIOLATION = 1 << 21, "ACSViol", "Access control services were violated.";
        INTERNAL = 1 << 22, "UncorrIntErr", "An internal error that cannot be corrected.";
        MULTICAST_BLOCKED = 1 << 23, "BlockedTLP", "A multicast TLP was blocked.";
        ATOMIC_OP_BLOCKED = 1 << 24, "AtomicOpBlocked", "An AtomicOp was blocked on its way out.";
        TLP_PREFIX_BLOCKED = 1 << 25, "TLPBlockedErr", "A TLP was blocked for its prefix.";
        POISONED_TLP_BLOCKED = 1 << 26, "PoisonTLPBlocked", "A poisoned TLP was blocked on its way out.";
    }
}

flags! {
    /// Correctable errors (offsets 0x10 and 0x14, 32 bits).
    pub struct CorrectableErrors(u32) {
        RECEIVER = 1 << 0, "RxErr", "The receiver saw an error.";
        BAD_TLP = 1 << 6, "BadTLP", "A TLP was bad.";
        BAD_DLLP = 1 << 7, "BadDLLP", "A DLLP was bad.";
        REPLAY_ROLLOVER = 1 << 8, "Rollover", "A TLP was sent four times.";
        REPLAY_TIMEOUT = 1 << 12, "Timeout", "A TLP was not acknowledged in time.";
        ADVISORY_NON_FATAL = 1 << 13, "AdvNonFatalErr", "An uncorrectable error that need not be reported as one.";
        INTERNAL = 1 << 14, "CorrIntErr", "An internal error that was corrected.";
        HEADER_LOG_OVERFLOW = 1 << 15, "HeaderOF", "There was no room to log a header.";
    }
}

flags! {
    /// Advanced Error Capabilities and Control (offset 0x18, 32 bits).
    pub struct AerControl(u32) {
        ECRC_GENERATION_CAPABLE = 1 << 5, "ECRCGenCap", "It can add an end-to-end CRC.";
        ECRC_GENERATION_ENABLE = 1 << 6, "ECRCGenEn", "It adds an end-to-end CRC.";
        ECRC_CHECK_CAPABLE = 1 << 7, "ECRCChkCap", "It can check an end-to-end CRC.";
        ECRC_CHECK_ENABLE = 1 << 8, "ECRCChkEn", "It checks an end-to-end CRC.";
        MULTIPLE_HEADERS_CAPABLE = 1 << 9, "MultHdrRecCap", "It can record more than one header.";
        MULTIPLE_HEADERS_ENABLE = 1 << 10, "MultHdrRecEn", "It records more than one header.";
        TLP_PREFIX_LOG_PRESENT = 1 << 11, "TLPPfxPres", "TLP prefixes are logged too.";
        COMPLETION_TIMEOUT_LOG_CAPABLE = 1 << 12, "HdrLogCap", "It logs the header of a request whose completion timed out.";
    }
}

impl AerControl {
    /// The number of the bit in `uncorrectable_status` of the first error.
    #[must_use]
    pub fn first_error(self) -> u8 {
        bits8(self.bits(), 0, 5)
    }
}

flags! {
    /// Root Error Status (offset 0x30, 32 bits). Each is cleared by writing a 1.
    pub struct RootErrors(u32) {
        CORRECTABLE = 1 << 0, "CERcvd", "A correctable error was reported.";
        MULTIPLE_CORRECTABLE = 1 << 1, "MultCERcvd", "More of them were.";
        UNCORRECTABLE = 1 << 2, "UERcvd", "An uncorrectable error was reported.";
        MULTIPLE_UNCORRECTABLE = 1 << 3, "MultUERcvd", "More of them were.";
        FIRST_FATAL = 1 << 4, "FirstFatal", "The first uncorrectable one was fatal.";
        NON_FATAL = 1 << 5, "NonFatalMsg", "A non-fatal error was reported.";
        FATAL = 1 << 6, "FatalMsg", "A fatal error was reported.";
    }
}

impl RootErrors {
    /// The number of the interrupt message that it uses.
    #[must_use]
    pub fn interrupt_message(self) -> u8 {
        bits8(self.bits(), 27, 5)
    }
}

impl Aer {
    pub(super) fn decode(fields: Fields<'_>, port: Option<PortType>) -> Result<Self, BodyError> {
        let mut header_log = [0; 4];
        for (dword, at) in header_log.iter_mut().zip((0x1c..).step_by(4)) {
            *dword = fields.read32(at)?;
        }
        let has_root = matches!(port, Some(PortType::ROOT_PORT | PortType::EVENT_COLLECTOR));
        Ok(Self {
            uncorrectable_status: UncorrectableErrors::from_bits(fields.read32(0x04)?),
            uncorrectable_mask: UncorrectableErrors::from_bits(fields.read32(0x08)?),
            uncorrectable_severity: UncorrectableErrors::from_bits(fields.read32(0x0c)?),
            correctable_status: CorrectableErrors::from_bits(fields.read32(0x10)?),
            correctable_mask: CorrectableErrors::from_bits(fields.read32(0x14)?),
            control: AerControl::from_bits(fields.read32(0x18)?),
            header_log,
            root: has_root.then(|| root(fields)).transpose()?,
        })
    }
}

fn root(fields: Fields<'_>) -> Result<AerRoot, BodyError> {
    Ok(AerRoot {
        command: fields.read32(0x2c)?,
        status: RootErrors::from_bits(fields.read32(0x30)?),
        correctable_source: fields.read16(0x34)?,
        uncorrectable_source: fields.read16(0x36)?,
    })
}
