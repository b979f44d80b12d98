//! Registers of a USB host controller: Extensible Host Controller Interface for Universal Serial Bus 1.2.

use io_core::{register, register::RegisterBase};

/// The registers that every interrupter has (section 5.5.2).
pub struct InterrupterBase;

pub struct Interrupter0;
pub struct Interrupter1;

impl RegisterBase<InterrupterBase> for Interrupter0 {
    const BASE: usize = 0x220;
}

impl RegisterBase<InterrupterBase> for Interrupter1 {
    const BASE: usize = 0x240;
}

/// The registers that every port has: an array in itself, in two copies, as for two controllers.
pub struct PortBase;

pub struct Second;

impl RegisterBase<PortBase> for Second {
    const BASE: usize = 0x300;
}

register! {
    /// Port Status and Control (section 5.4.8). To write back what was read switches the port off.
    pub PORTSC(u32)[4, stride = 0x10] @ 0x100 {
        /// Connect Status Change.
        #[w1c]
        17:17   csc => bool;
        /// Port Power.
        9:9     pp => bool;
        /// Port Link State.
        8:5     pls;
        /// Port Enabled/Disabled.
        #[w1c]
        1:1     ped => bool;
        /// Current Connect Status.
        #[ro]
        0:0     ccs => bool;
    }

    /// The first port, with one field of its own.
    pub FIRST_PORT(u32) => PORTSC[0] {
        16:16   lws;
    }

    /// The same bytes, one by one.
    pub PORT_BYTES(u8)[0x40] @ 0x100 {}

    /// Interrupter Management.
    pub IMAN(u32) @ InterrupterBase + 0x00 {
        /// Interrupt Enable.
        1:1     ie => bool;
        /// Interrupt Pending.
        #[w1c]
        0:0     ip => bool;
    }

    /// The same, where nobody has thought of what clears.
    pub IMAN_ENABLE(u32) => InterrupterBase + IMAN {
        1:1     ie => bool;
    }

    /// Event Ring Dequeue Pointer.
    pub ERDP(u64) @ InterrupterBase + 0x18 {
        63:4    pointer;
        #[w1c]
        3:3     ehb => bool;
        2:0     desi;
    }

    /// Port registers, relative to a base.
    pub PORT(u32)[2, stride = 4] @ PortBase + 0x10 {
        31:0    value => u32;
    }

    /// Without a stride, elements are next to each other.
    pub PORT16(u16)[4] @ PortBase + 0x10 {}

    /// The last of them.
    pub LAST_PORT(u32) => PortBase + PORT[1] {
        7:0     low => u8;
    }
}
