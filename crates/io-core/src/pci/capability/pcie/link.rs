//! The link of a port.

use super::{BodyError, Fields};
use crate::pci::bits::{bits8, flags};
use std::fmt;

/// The link of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it can do.
    pub capabilities: LinkCapabilities,
    /// What it does.
    pub control: LinkControl,
    /// How it is.
    pub status: LinkStatus,
}

/// More of a link, since version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link2 {
    /// What it can do.
    pub capabilities: LinkCapabilities2,
    /// What it does.
    pub control: LinkControl2,
    /// How it is.
    pub status: LinkStatus2,
}

/// The speed of a link, as its registers have it: the n-th of those that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkSpeed(pub u8);

impl LinkSpeed {
    /// The speed in MT/s: 2500 to 64000. `None` if there is no such speed.
    #[must_use]
    pub fn megatransfers(self) -> Option<u32> {
        Some(match self.0 {
            1 => 2_500,
            2 => 5_000,
            3 => 8_000,
            4 => 16_000,
            5 => 32_000,
            6 => 64_000,
            _ => return None,
        })
    }
}

/// As lspci writes it: `2.5GT/s`, or `unknown`.
impl fmt::Display for LinkSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.megatransfers() {
            Some(2_500) => f.write_str("2.5GT/s"),
            Some(speed) => write!(f, "{}GT/s", speed / 1000),
            None => f.write_str("unknown"),
        }
    }
}

/// Active state power management: which states of less power a link can enter on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aspm {
    /// L0s: one direction sleeps.
    pub l0s: bool,
    /// L1: both sleep.
    pub l1: bool,
}

impl Aspm {
    fn from_bits(bits: u8) -> Self {
        Self {
            l0s: bits & 0x1 != 0,
            l1: bits & 0x2 != 0,
        }
    }
}

flags! {
    /// Link Capabilities (PCI Express Base 6.0 section 7.5.3.6; offset 0x0c, 32 bits).
    pub struct LinkCapabilities(u32) {
        CLOCK_PM = 1 << 18, "ClockPM", "It can do without the reference clock in L1.";
        SURPRISE_DOWN = 1 << 19, "Surprise", "It can tell of a link that goes down by surprise.";
        ACTIVE_REPORTING = 1 << 20, "LLActRep", "It can tell whether the link is up.";
        BANDWIDTH_NOTIFICATION = 1 << 21, "BwNot", "It can tell of a change of bandwidth.";
        ASPM_OPTIONALITY = 1 << 22, "ASPMOptComp", "It need not support L0s (since 3.0).";
    }
}

impl LinkCapabilities {
    /// The highest speed.
    #[must_use]
    pub fn speed(self) -> LinkSpeed {
        LinkSpeed(bits8(self.bits(), 0, 4))
    }

    /// The most lanes: 1 to 32.
    #[must_use]
    pub fn width(self) -> u8 {
        bits8(self.bits(), 4, 6)
    }

    /// Which states of less power it can enter.
    #[must_use]
    pub fn aspm(self) -> Aspm {
        Aspm::from_bits(bits8(self.bits(), 10, 2))
    }

    /// How long it takes to leave L0s: a power of two of 64 ns, less than which it is; 7 for longer.
    #[must_use]
    pub fn l0s_exit_latency(self) -> u8 {
        bits8(self.bits(), 12, 3)
    }

    /// How long it takes to leave L1: a power of two of 1 µs, less than which it is; 7 for longer.
    #[must_use]
    pub fn l1_exit_latency(self) -> u8 {
        bits8(self.bits(), 15, 3)
    }

    /// The number of the port.
    #[must_use]
    pub fn port(self) -> u8 {
        bits8(self.bits(), 24, 8)
    }
}

flags! {
    /// Link Control (PCI Express Base 6.0 section 7.5.3.7; offset 0x10, 16 bits).
    pub struct LinkControl(u16) {
        DISABLE = 1 << 4, "Disabled", "The link is switched off.";
        COMMON_CLOCK = 1 << 6, "CommClk", "Both ends have the same reference clock.";
        EXTENDED_SYNCH = 1 << 7, "ExtSynch", "More is sent when a state of less power is left, for analysers.";
        CLOCK_PM = 1 << 8, "ClockPM", "It may do without the reference clock.";
        AUTONOMOUS_WIDTH_DISABLE = 1 << 9, "AutWidDis", "It may not change its width to save power.";
        BANDWIDTH_INTERRUPT = 1 << 10, "BWInt", "A change of bandwidth raises an interrupt.";
        AUTONOMOUS_BANDWIDTH_INTERRUPT = 1 << 11, "AutBWInt", "So does one that it makes on its own.";
    }
}

impl LinkControl {
    /// Which states of less power it may enter.
    #[must_use]
    pub fn aspm(self) -> Aspm {
        Aspm::from_bits(bits8(self.bits(), 0, 2))
    }

    /// Where completions may be split, in bytes: 64 or 128.
    #[must_use]
    pub fn read_completion_boundary(self) -> u8 {
        if bits8(self.bits(), 3, 1) == 0 {
            64
        } else {
            128
        }
    }
}

flags! {
    /// Link Status (PCI Express Base 6.0 section 7.5.3.8; offset 0x12, 16 bits). The last two are
    /// cleared by writing a 1.
    pub struct LinkStatus(u16) {
        TRAINING_ERROR = 1 << 10, "TrErr", "Training failed (until 1.0a).";
        TRAINING = 1 << 11, "Train", "It is being trained.";
        SLOT_CLOCK = 1 << 12, "SlotClk", "It uses the slot's reference clock.";
        ACTIVE = 1 << 13, "DLActive", "The link is up, if `ACTIVE_REPORTING` says that this is told.";
        BANDWIDTH = 1 << 14, "BWMgmt", "The bandwidth has changed.";
        AUTONOMOUS_BANDWIDTH = 1 << 15, "ABWMgmt", "The bandwidth has changed, and the link did it on its own.";
    }
}

impl LinkStatus {
    /// The speed.
    #[must_use]
    pub fn speed(self) -> LinkSpeed {
        LinkSpeed(bits8(self.bits(), 0, 4))
    }

    /// How many lanes: 1 to 32. It means something while the link is up.
    #[must_use]
    pub fn width(self) -> u8 {
        bits8(self.bits(), 4, 6)
    }
}

flags! {
    /// Link Capabilities 2 (PCI Express Base 6.0 section 7.5.3.18; offset 0x2c, 32 bits).
    pub struct LinkCapabilities2(u32) {
        CROSSLINK = 1 << 8, "Crosslink", "Two ports of the same direction can be linked.";
        RETIMER = 1 << 23, "Retimer", "It can tell of a retimer.";
        TWO_RETIMERS = 1 << 24, "2Retimers", "It can tell of two retimers.";
        DRS = 1 << 31, "DRS", "It can tell that it is ready.";
    }
}

impl LinkCapabilities2 {
    /// The speeds that there are.
    pub fn speeds(self) -> impl Iterator<Item = LinkSpeed> {
        let vector = bits8(self.bits(), 1, 7);
        (1..=7)
            .filter(move |speed| vector & 1 << (speed - 1) != 0)
            .map(LinkSpeed)
    }
}

flags! {
    /// Link Control 2 (PCI Express Base 6.0 section 7.5.3.19; offset 0x30, 16 bits).
    pub struct LinkControl2(u16) {
        ENTER_COMPLIANCE = 1 << 4, "EnterCompliance", "It enters compliance mode.";
        AUTONOMOUS_SPEED_DISABLE = 1 << 5, "SpeedDis", "It may not change its speed on its own.";
        SELECTABLE_DE_EMPHASIS = 1 << 6, "SelDeemph", "At 5 GT/s: -3.5 dB; else -6 dB.";
        ENTER_MODIFIED_COMPLIANCE = 1 << 10, "EnterModifiedCompliance", "It sends the modified pattern in compliance mode.";
        COMPLIANCE_SOS = 1 << 11, "ComplianceSOS", "It sends SKP ordered sets in compliance mode.";
    }
}

impl LinkControl2 {
    /// The speed that it should have. A port that knows one speed only may have 0 here, which is that.
    #[must_use]
    pub fn target_speed(self) -> LinkSpeed {
        LinkSpeed(bits8(self.bits(), 0, 4).max(1))
    }

    /// The level of the transmitter; 0 for normal operation.
    #[must_use]
    pub fn transmit_margin(self) -> u8 {
        bits8(self.bits(), 7, 3)
    }

    /// The preset or de-emphasis in compliance mode.
    #[must_use]
    pub fn compliance_preset(self) -> u8 {
        bits8(self.bits(), 12, 4)
    }
}

flags! {
    /// Link Status 2 (PCI Express Base 6.0 section 7.5.3.20; offset 0x32, 16 bits).
    pub struct LinkStatus2(u16) {
        DE_EMPHASIS = 1 << 0, "Deemph3.5dB", "At 5 GT/s: -3.5 dB; else -6 dB.";
        EQUALIZATION_COMPLETE = 1 << 1, "EqualizationComplete", "Equalization at 8 GT/s is complete.";
        EQUALIZATION_1 = 1 << 2, "EqualizationPhase1", "Its phase 1 was successful.";
        EQUALIZATION_2 = 1 << 3, "EqualizationPhase2", "Its phase 2 was successful.";
        EQUALIZATION_3 = 1 << 4, "EqualizationPhase3", "Its phase 3 was successful.";
        EQUALIZATION_REQUEST = 1 << 5, "LinkEqualizationRequest", "It should be done again.";
        RETIMER = 1 << 6, "Retimer", "There is a retimer.";
        TWO_RETIMERS = 1 << 7, "2Retimers", "There are two retimers.";
    }
}

impl LinkStatus2 {
    /// How a crosslink was resolved: 1 as upstream port, 2 as downstream port, 3 not yet; 0 if it is not
    /// told.
    #[must_use]
    pub fn crosslink_resolution(self) -> u8 {
        bits8(self.bits(), 8, 2)
    }
}

pub(super) fn decode(fields: Fields<'_>) -> Result<Link, BodyError> {
    Ok(Link {
        capabilities: LinkCapabilities::from_bits(fields.read32(0x0c)?),
        control: LinkControl::from_bits(fields.read16(0x10)?),
        status: LinkStatus::from_bits(fields.read16(0x12)?),
    })
}

pub(super) fn decode_second(fields: Fields<'_>) -> Result<Link2, BodyError> {
    Ok(Link2 {
        capabilities: LinkCapabilities2::from_bits(fields.read32(0x2c)?),
        control: LinkControl2::from_bits(fields.read16(0x30)?),
        status: LinkStatus2::from_bits(fields.read16(0x32)?),
    })
}
