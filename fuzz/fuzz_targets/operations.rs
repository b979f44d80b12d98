//! Any operations on a region, on every kind of view.

#![no_main]

#[path = "../../crates/io-core/tests/operations/consistent.rs"]
mod consistent;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consistent::operations(bytes));
