//! Real devices through the kernel's VFIO, in the lab.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod cycles;
mod dma;
mod edu;
mod event_loops;
mod events;
mod faults;
mod held;
mod hot;
mod interrupts;
mod lockdown;
mod lost;
mod modes;
mod nobody;
mod permissions;
mod physical;
mod places;
mod plugged;
mod random;
mod regions;
mod resets;
mod revoked;
mod selftests;
mod virtual_functions;
mod watchdog;
