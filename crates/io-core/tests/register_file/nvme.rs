//! Registers of an NVMe controller: NVM Express Base Specification 2.0, section 3.1.3.

use io_core::{Bounded, register};

/// How long an entry of a queue is: a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntrySize(u8);

impl EntrySize {
    /// The entries of submission queues, 64 bytes (figure 46).
    pub const SUBMISSION: Self = Self(6);

    pub fn bytes(self) -> u32 {
        1 << self.0
    }
}

impl From<Bounded<u32, 4>> for EntrySize {
    fn from(exponent: Bounded<u32, 4>) -> Self {
        Self(exponent.into())
    }
}

impl From<EntrySize> for Bounded<u32, 4> {
    fn from(size: EntrySize) -> Self {
        Bounded::from_expr(u32::from(size.0) & 0xf)
    }
}

/// How far a shutdown has come (figure 47, SHST).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    Normal,
    Occurring,
    Complete,
}

/// A value that the specification reserves.
#[derive(Debug, PartialEq, Eq)]
pub struct Reserved(pub u32);

impl TryFrom<Bounded<u32, 2>> for Shutdown {
    type Error = Reserved;

    fn try_from(value: Bounded<u32, 2>) -> Result<Self, Reserved> {
        match value.get() {
            0 => Ok(Self::Normal),
            1 => Ok(Self::Occurring),
            2 => Ok(Self::Complete),
            reserved => Err(Reserved(reserved)),
        }
    }
}

impl From<Shutdown> for Bounded<u32, 2> {
    fn from(value: Shutdown) -> Self {
        match value {
            Shutdown::Normal => Bounded::<u32, 2>::new::<0>(),
            Shutdown::Occurring => Bounded::<u32, 2>::new::<1>(),
            Shutdown::Complete => Bounded::<u32, 2>::new::<2>(),
        }
    }
}

const DOORBELLS: usize = 0x1000;

register! {
    /// Controller Capabilities.
    ///
    /// What the controller can do; none of it changes.
    #[ro]
    pub CAP(u64) @ 0x0 {
        /// Controller Ready Modes Supported.
        60:59   crms;
        /// Memory Page Size Minimum, as a power of two of 4 KiB pages.
        51:48   mpsmin;
        /// Doorbell Stride.
        35:32   dstrd;
        /// Timeout, in units of 500 ms.
        31:24   to;
        /// Contiguous Queues Required.
        16:16   cqr => bool;
        /// Maximum Queue Entries Supported, less one.
        15:0    mqes => u16;
    }

    /// Version.
    #[ro]
    pub VS(u32) @ 0x8 {
        31:16   mjr => u16;
        15:8    mnr => u8;
        7:0     ter => u8;
    }

    /// Interrupt Mask Clear: ones written let interrupts through.
    pub(crate) INTMC(u32) @ 0x10 {}

    /// Controller Configuration.
    pub CC(u32) @ 0x14 {
        /// I/O Completion Queue Entry Size.
        23:20   iocqes => EntrySize;
        /// I/O Submission Queue Entry Size.
        19:16   iosqes => EntrySize;
        /// Shutdown Notification.
        15:14   shn;
        /// Memory Page Size.
        10:7    mps;
        /// Enable.
        0:0     en => bool;
    }

    /// Controller Status.
    pub CSTS(u32) @ 0x1c {
        /// NVM Subsystem Reset Occurred.
        #[w1c]
        4:4     nssro => bool;
        /// Shutdown Status.
        #[ro]
        3:2     shst ?=> Shutdown;
        /// Controller Fatal Status.
        #[ro]
        1:1     cfs => bool;
        /// Ready.
        #[ro]
        0:0     rdy => bool;
    }
}

register! {
    /// Admin Queue Attributes.
    #[allow(dead_code, reason = "attributes are kept")]
    pub AQA(u32) @ 0x20 + 4 {
        /// Admin Completion Queue Size, less one.
        27:16   acqs;
        /// Admin Submission Queue Size, less one.
        11:0    asqs;
    }

    /// Admin Submission Queue Base Address.
    pub ASQ(u64) @ 0x28 {
        63:12   page;
    }

    /// The same address, by its halves.
    pub ASQ_LOW(u32) => ASQ {}

    /// Submission Queue Tail Doorbells, where the stride is 0 (section 3.1.3.25).
    #[wo]
    pub SQTDBL(u32)[4, stride = 8] @ DOORBELLS {
        15:0    tail => u16;
    }

    /// Completion Queue Head Doorbells (section 3.1.3.26).
    #[wo]
    pub CQHDBL(u32)[4, stride = 8] @ (DOORBELLS + 4) {
        15:0    head => u16;
    }

    #[cfg(any())]
    NEVER(u32) @ THERE_IS_NO_SUCH_OFFSET {
        0:0     never;
    }
}

impl CSTS {
    /// Methods can be added, and use what is generated.
    pub fn failed(self) -> bool {
        self.inner & Self::CFS_MASK != 0 || self.shst().is_err()
    }
}
