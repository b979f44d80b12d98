//! The slot behind a port, and what a root port has besides.

use super::{BodyError, Fields, device::power_limit};
use crate::pci::bits::{bits8, bits16, flags};

/// The slot behind a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What it can do.
    pub capabilities: SlotCapabilities,
    /// What it does.
    pub control: SlotControl,
    /// How it is.
    pub status: SlotStatus,
}

/// What a root port or an event collector has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What it does.
    pub control: RootControl,
    /// What it can do.
    pub capabilities: RootCapabilities,
    /// What happened.
    pub status: RootStatus,
}

flags! {
    /// Slot Capabilities (PCI Express Base 6.0 section 7.5.3.9; offset 0x14, 32 bits).
    pub struct SlotCapabilities(u32) {
        ATTENTION_BUTTON = 1 << 0, "AttnBtn", "It has an attention button.";
        POWER_CONTROLLER = 1 << 1, "PwrCtrl", "Its power can be switched.";
        MRL_SENSOR = 1 << 2, "MRL", "It knows whether its latch is open.";
        ATTENTION_INDICATOR = 1 << 3, "AttnInd", "It has an attention indicator.";
        POWER_INDICATOR = 1 << 4, "PwrInd", "It has a power indicator.";
        HOT_PLUG = 1 << 6, "HotPlug", "Cards can be changed while it runs.";
        SURPRISE = 1 << 5, "Surprise", "A card may be gone without notice.";
        INTERLOCK = 1 << 17, "Interlock", "It has an electromechanical interlock.";
        NO_COMMAND_COMPLETED = 1 << 18, "NoCompl", "It does not tell when a command is done.";
    }
}

impl SlotCapabilities {
    /// The number of the slot in the chassis.
    #[must_use]
    pub fn physical_number(self) -> u16 {
        bits16(self.bits(), 19, 13)
    }

    /// How much power it gives, in mW.
    #[must_use]
    pub fn power_limit(self) -> u32 {
        power_limit(bits8(self.bits(), 7, 8), bits8(self.bits(), 15, 2))
    }
}

flags! {
    /// Slot Control (PCI Express Base 6.0 section 7.5.3.10; offset 0x18, 16 bits).
    pub struct SlotControl(u16) {
        ATTENTION_BUTTON = 1 << 0, "AttnBtn", "It tells of the attention button.";
        POWER_FAULT = 1 << 1, "PwrFlt", "It tells of a power fault.";
        MRL_SENSOR = 1 << 2, "MRL", "It tells of the latch.";
        PRESENCE_DETECT = 1 << 3, "PresDet", "It tells of cards that come and go.";
        COMMAND_COMPLETED = 1 << 4, "CmdCplt", "It tells of a command that is done.";
        HOT_PLUG_INTERRUPT = 1 << 5, "HPIrq", "It tells by an interrupt.";
        LINK_STATE = 1 << 12, "LinkChg", "It tells of the link.";
        POWER_OFF = 1 << 10, "Power", "Its power is switched off.";
        INTERLOCK = 1 << 11, "Interlock", "Writing a 1 moves the interlock. Reads 0.";
    }
}

impl SlotControl {
    /// The attention indicator: 1 on, 2 blinking, 3 off.
    #[must_use]
    pub fn attention_indicator(self) -> u8 {
        bits8(self.bits(), 6, 2)
    }

    /// The power indicator: 1 on, 2 blinking, 3 off.
    #[must_use]
    pub fn power_indicator(self) -> u8 {
        bits8(self.bits(), 8, 2)
    }
}

flags! {
    /// Slot Status (PCI Express Base 6.0 section 7.5.3.11; offset 0x1a, 16 bits). All that tells of
    /// something that happened is cleared by writing a 1.
    pub struct SlotStatus(u16) {
        ATTENTION_BUTTON = 1 << 0, "AttnBtn", "The attention button was pressed.";
        POWER_FAULT = 1 << 1, "PowerFlt", "There was a power fault.";
        MRL_OPEN = 1 << 5, "MRL", "The latch is open.";
        COMMAND_COMPLETED = 1 << 4, "CmdCplt", "A command is done.";
        PRESENT = 1 << 6, "PresDet", "There is a card.";
        INTERLOCK = 1 << 7, "Interlock", "The interlock is engaged.";
        MRL_CHANGED = 1 << 2, "MRLChanged", "The latch was moved.";
        PRESENCE_CHANGED = 1 << 3, "PresDetChanged", "A card has come or gone.";
        LINK_CHANGED = 1 << 8, "LinkStateChanged", "The link has come up or gone down.";
    }
}

flags! {
    /// Root Control (PCI Express Base 6.0 section 7.5.3.12; offset 0x1c, 16 bits).
    pub struct RootControl(u16) {
        CORRECTABLE_ERRORS = 1 << 0, "ErrCorrectable", "Correctable errors behind it are system errors.";
        NON_FATAL_ERRORS = 1 << 1, "ErrNon-Fatal", "Non-fatal errors behind it are system errors.";
        FATAL_ERRORS = 1 << 2, "ErrFatal", "Fatal errors behind it are system errors.";
        PME_INTERRUPT = 1 << 3, "PMEIntEna", "A PME raises an interrupt.";
        CRS_VISIBLE = 1 << 4, "CRSVisible", "Software sees that a function needs more time.";
    }
}

flags! {
    /// Root Capabilities (PCI Express Base 6.0 section 7.5.3.13; offset 0x1e, 16 bits).
    pub struct RootCapabilities(u16) {
        CRS_VISIBLE = 1 << 0, "CRSVisible", "It can show software that a function needs more time.";
    }
}

flags! {
    /// Root Status (PCI Express Base 6.0 section 7.5.3.14; offset 0x20, 32 bits). `PME` is cleared by
    /// writing a 1.
    pub struct RootStatus(u32) {
        PME = 1 << 16, "PMEStatus", "A PME was sent.";
        PME_PENDING = 1 << 17, "PMEPending", "Another PME waits.";
    }
}

impl RootStatus {
    /// Who sent the PME: bus, device and function in 8, 5 and 3 bits.
    #[must_use]
    pub fn pme_requester(self) -> u16 {
        bits16(self.bits(), 0, 16)
    }
}

pub(super) fn decode(fields: Fields<'_>) -> Result<Slot, BodyError> {
    Ok(Slot {
        capabilities: SlotCapabilities::from_bits(fields.read32(0x14)?),
        control: SlotControl::from_bits(fields.read16(0x18)?),
        status: SlotStatus::from_bits(fields.read16(0x1a)?),
    })
}

pub(super) fn decode_root(fields: Fields<'_>) -> Result<Root, BodyError> {
    Ok(Root {
        control: RootControl::from_bits(fields.read16(0x1c)?),
        capabilities: RootCapabilities::from_bits(fields.read16(0x1e)?),
        status: RootStatus::from_bits(fields.read32(0x20)?),
    })
}
