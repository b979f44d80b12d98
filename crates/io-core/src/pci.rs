//! What the PCI specifications say of a function, whoever drives it.

mod address;

pub use address::{ParsePciAddressError, PciAddress};
