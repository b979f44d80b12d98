//! Any bytes as a configuration space.

#![no_main]

#[path = "../../crates/io-core/tests/config_space/consistent.rs"]
mod consistent;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consistent::config_space(bytes));
