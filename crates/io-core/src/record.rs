//! Recordings: all that a driver does with a device, and what comes of it, and the same without the device.
//!
//! A [`Recording`] is a [`PciDevice`](crate::PciDevice) with another behind it, and writes down every access, interrupt,
//! mapping and event to any [`Write`](std::io::Write). A [`Replay`] is a `PciDevice` too, which has nothing behind it but
//! those bytes: a driver that does the same gets the same. So a fault that a customer's card had once can be looked at
//! without the card, a driver is tested in a second against a device that takes minutes, and a change of a driver is
//! seen in what it does to the device.
//!
//! ```
//! use io_core::{Io, PciDevice, Result, record::{Recording, Replay}, sim::{Edu, SimulatedDevice}};
//!
//! /// The driver.
//! fn factorial(device: &dyn PciDevice, n: u32) -> Result<u32> {
//!     let bar = device.bar(0)?;
//!     let registers = bar.io::<0x100>()?;
//!     registers.try_write32(0x08, n)?;
//!     while registers.try_read32(0x20)? & 1 != 0 {}
//!     Ok(registers.try_read32(0x08)?)
//! }
//!
//! let device = SimulatedDevice::new("0000:00:03.0".parse()?, Edu::new());
//! let recording = Recording::new(&device, Vec::new())?;
//! assert_eq!(factorial(&recording, 10)?, 3_628_800);
//! let bytes = recording.finish()?;
//!
//! let replay = Replay::new(bytes.clone())?;
//! assert_eq!(factorial(&replay, 10)?, 3_628_800);
//! assert_eq!(replay.deviation(), None);
//!
//! // Another driver is told where it parts from the recording.
//! let replay = Replay::new(bytes)?;
//! assert!(factorial(&replay, 11).is_err());
//! let deviation = replay.deviation().unwrap();
//! assert_eq!(deviation.number, 2);
//! assert_eq!(deviation.expected, "a write of 0xa (32 bits) at 0x8 of BAR 0");
//! assert_eq!(deviation.found, "a write of 0xb (32 bits) at 0x8 of BAR 0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is compared
//!
//! All that is done to the device has to come as it was recorded, and in its order: reads and writes of BARs, writes of
//! configuration space, interrupts that are enabled, waited for, masked, unmasked and signalled, mappings, looks at
//! memory, bus mastering, resets. Time is not compared, and nothing waits: a loop that polls gets what it got, as many times.
//!
//! What only asks or lets go may come at any time, or not at all: reads of configuration space (which give what was
//! recorded there, or what was read last), [`PciDevice::bar`](crate::PciDevice::bar), what is dropped or unmapped.
//!
//! # Limits
//!
//! - BARs are reached by calls: [`Bar::mmio`](crate::Bar::mmio) refuses, as what goes by a mapping cannot be seen.
//! - The order of a recording is that in which accesses ended. The threads of a driver take their turns in that
//!   order when it is replayed, and wait for each other up to 5 s; which thread it is, nothing compares.
//! - What the device wrote to memory is recorded when the driver takes a [view](crate::dma::DmaBuffer::view) of it, or takes
//!   it back, and comes back then: a driver that polls memory takes a new view for each look. It costs a comparison
//!   with what was there before. What the driver wrote to memory is not compared, and overwritten by what was there.
//! - Memory that is the caller's own ([`map_memory`](crate::dma::DmaSpace::map_memory)) is recorded as mapped, and its
//!   content is not.
//! - A driver that depends on time (it gives up at a deadline) or on chance may part from its own recording.
//!
//! The format is in docs/recording.md; [`Reader`] gives its entries, one by one.

mod call;
mod decode;
mod encode;
mod head;
mod line;
mod memory;
mod recording;
mod replay;
mod replayed_interrupt;
mod replayed_memory;
mod script;
mod tape;
mod wire;

pub use call::{Answer, Call, Entry, Failure, Space};
pub use decode::{Ending, Reader};
pub use recording::Recording;
pub use replay::Replay;
pub use script::Deviation;

/// Up to eight bytes in device byte order, as a number.
pub(crate) fn value(bytes: &[u8]) -> u64 {
    let mut value = [0; 8];
    for (to, from) in value.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(value)
}
