//! Simulated devices, for tests of drivers without a device.
//!
//! A [`SimulatedDevice`] is a [`PciDevice`](crate::PciDevice) like any other: a driver cannot tell it from a real one. What is
//! behind its BARs is a [`Model`], which authors of drivers write for their own devices in a page of code; [`Edu`] is the one
//! of QEMU's device for teaching, [`Loader`] that of one that is given firmware, and [`Ram`] is a BAR of memory and no more. A test makes [`Trouble`] that a real device would make only now and then.
//!
//! ```
//! use io_core::{Io, PciDevice, Result, sim::{Edu, SimulatedDevice, Trouble}};
//!
//! /// The driver that is tested: it wants an edu.
//! fn identify(device: &dyn PciDevice) -> Result<bool> {
//!     Ok(device.bar(0)?.io::<4>()?.try_read32(0)? & 0xff == 0xed)
//! }
//!
//! let device = SimulatedDevice::new("0000:00:03.0".parse()?, Edu::new());
//! assert!(identify(&device)?);
//! device.trouble(Trouble::LostAfter(0));
//! assert_eq!(identify(&device).unwrap_err().kind(), io_core::ErrorKind::Lost);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod device;
mod dma;
mod edu;
mod interrupt;
mod loader;
mod ram;
mod recorder;
mod trouble;

pub use device::{Model, SimulatedDevice, Wires};
pub(crate) use dma::Pages;
pub use dma::SimulatedDma;
pub use edu::Edu;
pub use loader::Loader;
pub use ram::Ram;
pub use recorder::{Access, Recorder};
pub(crate) use recorder::{Overheard, Tell, Told};
pub use trouble::Trouble;
