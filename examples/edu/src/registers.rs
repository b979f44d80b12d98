//! The registers of an edu: QEMU's docs/specs/edu.rst, "MMIO area spec".
//!
//! Those below 0x80 take accesses of 32 bits only; those from there on also of 64.

use outboard::prelude::register;

/// The size of the part of BAR 0 that has registers, in bytes.
pub const SIZE: usize = 0xa0;

/// What the lowest byte of `ID` is in every edu.
pub const MAGIC: u8 = 0xed;

register! {
    /// What the device is.
    #[ro]
    pub ID(u32) @ 0x00 {
        31:24 major => u8;
        23:16 minor => u8;
        /// `MAGIC`.
        7:0 magic => u8;
    }

    /// It reads as the complement of what was written.
    pub LIVENESS(u32) @ 0x04 {}

    /// Written, a number; read, its factorial, once it is computed.
    pub FACTORIAL(u32) @ 0x08 {}

    /// What the computation is doing.
    pub STATUS(u32) @ 0x20 {
        /// Whether an interrupt is to tell that it has come to its end.
        7:7 interrupt => bool;
        #[ro]
        0:0 computing => bool;
    }

    /// The causes of interrupts that were not acknowledged yet.
    #[ro]
    pub INTERRUPT_STATUS(u32) @ 0x24 {}

    /// Sets causes, and interrupts.
    #[wo]
    pub INTERRUPT_RAISE(u32) @ 0x60 {}

    /// Clears causes.
    #[wo]
    pub INTERRUPT_ACKNOWLEDGE(u32) @ 0x64 {}

    /// Where a transfer reads.
    pub DMA_SOURCE(u64) @ 0x80 {}

    /// Where a transfer writes.
    pub DMA_DESTINATION(u64) @ 0x88 {}

    /// How many bytes.
    pub DMA_COUNT(u64) @ 0x90 {}

    /// What is to be done.
    pub DMA_COMMAND(u64) @ 0x98 {
        /// Whether an interrupt is to tell that it is done.
        2:2 interrupt => bool;
        /// From the device's memory, and not to it.
        1:1 from_device => bool;
        /// Set to start; clear when it is done.
        0:0 start => bool;
    }
}
