//! Any sequence of operations on a region, and any text as an address: the corpora of two fuzz targets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consistent;

use std::fs;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder).unwrap();
    let corpus: Vec<_> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(corpus.len() >= 5, "there is a corpus");
    corpus
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn every_view_does_what_plain_memory_would() {
    for bytes in corpus("operations") {
        consistent::operations(&bytes);
    }
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn an_address_is_printed_as_it_is_read() {
    for bytes in corpus("pci_address") {
        consistent::pci_address(&bytes);
    }
}
