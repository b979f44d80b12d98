//! Simulated devices, for tests of drivers without a device.

mod dma;
mod ram;
mod recorder;

pub use dma::SimulatedDma;
pub use ram::Ram;
pub use recorder::{Access, Recorder};
