//! The registers Command and Status, and a bridge's control register.

use super::bits::{bits8, flags};

flags! {
    /// The Command register: what a function may do (PCI Local Bus 3.0 section 6.2.2; offset 4, 16
    /// bits).
    ///
    /// It is a value of 16 bits, and has to be written as one. [`Status`] is the other half of the
    /// same 32 bits, and a 1 written to most of its bits clears them: a write of 32 bits that means
    /// to change Command only, with Status as it was read, wipes out the errors recorded there.
    /// So there is nothing here that makes 32 bits of a `Command`.
    ///
    /// ```
    /// use io_core::pci::Command;
    ///
    /// let command = Command::from_bits(0x0400).with(Command::MEMORY | Command::BUS_MASTER);
    /// assert_eq!(command.bits(), 0x0406);
    /// assert_eq!(command.without(Command::BUS_MASTER).bits(), 0x0402);
    /// ```
    pub struct Command(u16) {
        IO = 1 << 0, "I/O", "It answers in I/O space.";
        MEMORY = 1 << 1, "Mem", "It answers in memory space.";
        BUS_MASTER = 1 << 2, "BusMaster", "It may start transactions: DMA and message signalled interrupts.";
        SPECIAL_CYCLES = 1 << 3, "SpecCycle", "It watches special cycles.";
        MEMORY_WRITE_INVALIDATE = 1 << 4, "MemWINV", "It may use Memory Write and Invalidate.";
        VGA_PALETTE_SNOOP = 1 << 5, "VGASnoop", "It watches writes to the VGA palette.";
        PARITY_ERROR_RESPONSE = 1 << 6, "ParErr", "It acts on parity errors (poisoned TLPs, in PCI Express).";
        STEPPING = 1 << 7, "Stepping", "It steps addresses and data.";
        SERR = 1 << 8, "SERR", "It may report fatal and non-fatal errors (SERR#).";
        FAST_BACK_TO_BACK = 1 << 9, "FastB2B", "It may make fast back-to-back transactions to different devices.";
        INTERRUPT_DISABLE = 1 << 10, "DisINTx", "It may not assert INTx.";
    }
}

impl Command {
    /// Where the register is, in bytes from the start of configuration space. It has 2 bytes.
    pub const OFFSET: u16 = 4;

    /// The same with these bits set.
    #[must_use]
    pub const fn with(self, bits: Self) -> Self {
        Self(self.0 | bits.0)
    }

    /// The same with these bits clear.
    #[must_use]
    pub const fn without(self, bits: Self) -> Self {
        Self(self.0 & !bits.0)
    }
}

impl std::ops::BitOr for Command {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

flags! {
    /// The Status register (PCI Local Bus 3.0 section 6.2.3; offset 6, 16 bits), and the Secondary
    /// Status register of a bridge, which has the same error bits.
    ///
    /// `ParErr` and all flags from `>TAbort` to `<PERR` are cleared by writing a 1 to them.
    pub struct Status(u16) {
        CAPABILITIES = 1 << 4, "Cap", "There is a list of capabilities.";
        SPEED_66_MHZ = 1 << 5, "66MHz", "It can run at 66 MHz.";
        USER_DEFINABLE = 1 << 6, "UDF", "It has user definable features (until PCI 2.1).";
        FAST_BACK_TO_BACK = 1 << 7, "FastB2B", "It accepts fast back-to-back transactions.";
        MASTER_PARITY_ERROR = 1 << 8, "ParErr", "A transaction that it started had a parity error.";
        SIGNALED_TARGET_ABORT = 1 << 11, ">TAbort", "It ended a transaction by target abort.";
        RECEIVED_TARGET_ABORT = 1 << 12, "<TAbort", "A transaction of its own was ended by target abort.";
        RECEIVED_MASTER_ABORT = 1 << 13, "<MAbort", "A transaction of its own was ended by master abort: nobody answered.";
        SIGNALED_SYSTEM_ERROR = 1 << 14, ">SERR", "It asserted SERR#, or sent an error message.";
        DETECTED_PARITY_ERROR = 1 << 15, "<PERR", "It found a parity error, or received a poisoned TLP.";
        INTERRUPT = 1 << 3, "INTx", "An INTx interrupt is pending.";
        IMMEDIATE_READINESS = 1 << 0, "ImmReady", "It can be configured right after a reset.";
    }
}

impl Status {
    /// Where the register is, in bytes from the start of configuration space. It has 2 bytes.
    pub const OFFSET: u16 = 6;

    /// How fast it answers: 0 fast, 1 medium, 2 slow (DEVSEL# timing; always 0 in PCI Express).
    #[must_use]
    pub fn devsel(self) -> u8 {
        bits8(self.0, 9, 2)
    }
}

flags! {
    /// The Bridge Control register (PCI-to-PCI Bridge 1.2 section 3.2.5.18; offset 0x3e, 16 bits).
    ///
    pub struct BridgeControl(u16) {
        PARITY = 1 << 0, "Parity", "It acts on parity errors on its secondary side.";
        SERR = 1 << 1, "SERR", "It forwards SERR# from its secondary side.";
        NO_ISA = 1 << 2, "NoISA", "It does not forward the upper 768 bytes of each KiB of I/O space.";
        VGA = 1 << 3, "VGA", "It forwards VGA's addresses.";
        VGA_16 = 1 << 4, "VGA16", "It decodes VGA's I/O addresses in full.";
        MASTER_ABORT = 1 << 5, "MAbort", "It reports master aborts.";
        BUS_RESET = 1 << 6, ">Reset", "It holds its secondary bus in reset.";
        FAST_BACK_TO_BACK = 1 << 7, "FastB2B", "It may make fast back-to-back transactions.";
        PRIMARY_DISCARD_TIMER = 1 << 8, "PriDiscTmr", "The primary discard timer is short.";
        SECONDARY_DISCARD_TIMER = 1 << 9, "SecDiscTmr", "The secondary discard timer is short.";
        DISCARD_TIMER_STATUS = 1 << 10, "DiscTmrStat", "A discard timer has expired.";
        DISCARD_TIMER_SERR = 1 << 11, "DiscTmrSERREn", "SERR# is asserted when a discard timer expires.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_and_status_are_written_as_lspci_writes_them() {
        // From `lspci -vv` of the 82576 in tests/config_space: 07 04 10 00.
        assert_eq!(
            Command::from_bits(0x0407).to_string(),
            "I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+"
        );
        assert!(Status::from_bits(0x0010).contains(Status::CAPABILITIES));
        // 0x0210: PCI Local Bus 3.0, figure 6-3: DEVSEL timing is bits 10:9.
        assert_eq!(Status::from_bits(0x0210).devsel(), 1);
    }

    #[test]
    fn bits_without_a_name_survive_a_change() {
        let command = Command::from_bits(0xf800).with(Command::IO);
        assert_eq!(command.without(Command::IO).bits(), 0xf800);
    }
}
