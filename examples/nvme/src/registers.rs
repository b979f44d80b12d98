//! The registers of a controller: NVM Express Base 2.0 section 3.1.3, and its PCIe Transport 1.0 section 3.1.2.

use io_core::{BarIo, Io, Region, register};

/// The size of the part of BAR 0 that every controller has, in bytes. Doorbells stand behind it.
pub const SIZE: usize = 0x1000;

/// The view of BAR 0.
pub type Registers<'a> = BarIo<'a, Region<SIZE>>;

register! {
    /// Controller capabilities.
    #[ro]
    pub CAP(u64) @ 0x00 {
        /// The least page size: 2 to the power of 12 plus this.
        51:48 page_size_min;
        /// Whether there is the NVM command set (bit 0 of CSS).
        37:37 nvm_command_set => bool;
        /// The distance between doorbells: 4 bytes, shifted left by this.
        35:32 doorbell_stride;
        /// How long it may take to become ready, or not ready, in units of 500 ms.
        31:24 timeout => u8;
        /// The most entries of a queue, less one.
        15:0 queue_entries_max => u16;
    }

    /// The version of the specification that it keeps to.
    #[ro]
    pub VS(u32) @ 0x08 {
        31:16 major => u16;
        15:8 minor => u8;
    }

    /// Controller configuration.
    pub CC(u32) @ 0x14 {
        /// The size of a completion, as a power of 2.
        23:20 completion_entry_size;
        /// The size of a command, as a power of 2.
        19:16 submission_entry_size;
        /// Written, tells that the power is to go: 1 is a normal shutdown.
        15:14 shutdown;
        /// The page size: 2 to the power of 12 plus this.
        10:7 page_size;
        /// 0 is the NVM command set.
        6:4 command_set;
        0:0 enable => bool;
    }

    /// Controller status.
    #[ro]
    pub CSTS(u32) @ 0x1c {
        /// 2: the shutdown is complete.
        3:2 shutdown;
        /// It has failed, and only a reset helps.
        1:1 fatal => bool;
        0:0 ready => bool;
    }

    /// The sizes of the admin queues, in entries less one.
    pub AQA(u32) @ 0x24 {
        27:16 completion_entries;
        11:0 submission_entries;
    }

    /// Where the admin submission queue is.
    pub ASQ(u64) @ 0x28 {}

    /// Where the admin completion queue is.
    pub ACQ(u64) @ 0x30 {}
}

/// Why a controller that was enabled does not run any more, if it does not.
pub fn trouble(registers: Registers<'_>) -> Option<&'static str> {
    match registers.try_read(CSTS) {
        Err(_) => Some("cannot be reached"),
        Ok(status) if status.into_raw() == u32::MAX => Some("does not answer any more"),
        Ok(status) if status.fatal() => Some("has failed, and only a reset helps"),
        Ok(status) if !status.ready() => Some("is not ready any more: it was reset"),
        Ok(_) => None,
    }
}

/// A doorbell: how far from the start of BAR 0 it is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doorbell(pub usize);

impl Doorbell {
    /// Those of queue pair `queue`: of its submission queue, and of its completion queue.
    pub fn pair(queue: u16, cap: CAP) -> (Self, Self) {
        let distance = 4 << u8::from(cap.doorbell_stride());
        let first = SIZE + 2 * usize::from(queue) * distance;
        (Self(first), Self(first + distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doorbells_stand_where_the_specification_says() {
        // PCIe Transport 1.0 sections 3.1.2.1 and 3.1.2.2: 1000h + (2y * (4 << DSTRD)) and 1000h + ((2y + 1) * (4 << DSTRD)).
        let pair = |queue, stride: u64| {
            let (submission, completion) = Doorbell::pair(queue, CAP::from(stride << 32));
            (submission.0, completion.0)
        };
        assert_eq!(pair(0, 0), (0x1000, 0x1004));
        assert_eq!(pair(1, 0), (0x1008, 0x100c));
        assert_eq!(pair(3, 2), (0x1000 + 6 * 16, 0x1000 + 7 * 16));
    }
}
