//! Configuration spaces of real and emulated devices, and hostile ones.
//!
//! README.md beside this file says where the dumps come from, and how the texts of lspci were made.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod consistent;
mod dumps;
mod hostile;
mod lspci;
#[cfg(not(miri))] // It breaks Miri's rules itself, and reads files.
mod pci_driver_agrees;
mod unsaid;

use io_core::pci::Config;

#[test]
#[cfg_attr(miri, ignore = "it takes Miri minutes")]
fn every_dump_says_what_lspci_says() {
    for dump in dumps::all() {
        lspci::compare(dump.name, Config::new(&dump.bytes), dump.lspci);
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes Miri more than ten minutes")]
fn every_dump_is_consistent_and_so_is_each_of_its_beginnings() {
    for dump in dumps::all() {
        for len in (0..dump.bytes.len()).step_by(7) {
            consistent::config_space(&dump.bytes[..len]);
        }
        consistent::config_space(&dump.bytes);
    }
}

/// What the fuzz target found worth keeping.
#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_corpus_of_the_fuzz_target_is_consistent() {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/config_space"
    );
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().collect();
    assert!(files.len() >= 10, "there is a corpus");
    for file in files {
        consistent::config_space(&std::fs::read(file.unwrap().path()).unwrap());
    }
}
