//! Any text as a PCI address.

#![no_main]

#[path = "../../crates/io-core/tests/operations/consistent.rs"]
mod consistent;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consistent::pci_address(bytes));
