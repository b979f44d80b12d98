//! Any bytes as a recording, and as a device.

#![no_main]

use io_core::{contract, record::{Reader, Replay}};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let entries = Reader::new(bytes).map_or(0, Iterator::count);
    if let Ok(replay) = Replay::new(bytes) {
        assert!(replay.left() <= u64::try_from(entries).expect("64 bits"));
        let _ = contract::check(&replay);
    }
});
