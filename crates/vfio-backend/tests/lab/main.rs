//! Real devices through the kernel's VFIO, in the lab.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bound;
mod dma;
mod edu;
mod interrupts;
mod modes;
mod regions;
mod selftests;
