//! A mapped BAR whose device goes away. A shared mapping of a file that was cut short stands for it (mmap(2)): an access
//! raises SIGBUS, as one to a BAR whose memory decode is off.
#![cfg(not(miri))]
#![expect(unsafe_code, reason = "makes a BAR of a file")]
#![expect(clippy::unwrap_used, reason = "in what tests share")]

use io_core::{AccessWidth, Bar, ErrorKind, Io, MmioRaw, Region, Watchdog};
use memmap2::{MmapOptions, MmapRaw};
use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const SIZE: usize = 0x3000;

/// A BAR of three pages of a file.
fn bar() -> (Bar, File) {
    let file = tempfile::tempfile().unwrap();
    file.set_len(0x3000).unwrap();
    let map: MmapRaw = MmapOptions::new().len(SIZE).map_raw(&file).unwrap();
    let base = map.as_mut_ptr();
    let raw = MmioRaw::<Region>::new_region(base, SIZE).unwrap();
    // SAFETY: it is mapped as long as its owner lives, and nothing makes references to it.
    let bar = unsafe { Bar::mapped(raw, "BAR 0 of a file", map) };
    let (again, address) = (file.try_clone().unwrap(), base.expose_provenance());
    let map_again = move || {
        // SAFETY: it takes the place of the BAR's mapping.
        let mapped = unsafe {
            libc::mmap(
                std::ptr::with_exposed_provenance_mut(address),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                again.as_raw_fd(),
                0,
            )
        };
        if mapped == libc::MAP_FAILED || again.metadata().unwrap().len() == 0 {
            return Err(io_core::Error::from_os(
                "cannot map",
                io::Error::last_os_error(),
            ));
        }
        Ok(())
    };
    // SAFETY: the pages are the BAR's alone.
    (unsafe { bar.survive(map_again) }.unwrap(), file)
}

#[test]
fn what_may_fail_says_that_the_device_is_lost_and_what_may_not_reads_ones() {
    let (bar, file) = bar();
    let io = bar.io::<0x10>().unwrap();
    let mmio = bar.mmio::<0x10>().unwrap();
    io.try_write32(4, 7).unwrap();
    assert_eq!((mmio.read32::<4>(), bar.is_lost()), (7, false));
    file.set_len(0).unwrap();
    let error = io.try_read32(4).unwrap_err();
    assert!(error.is_lost(), "{error}");
    let sentence = "the access to 4 bytes at offset 0x4 of BAR 0 of a file (0x3000 bytes) failed: the device does not \
                    answer any more";
    assert_eq!(error.to_string(), sentence);
    assert!(bar.is_lost());
    assert_eq!(mmio.read32::<4>(), u32::MAX);
    assert!(io.try_write8(0x2fff, 1).unwrap_err().is_lost());
}

#[test]
fn a_write_that_is_the_first_to_find_nobody_is_an_error() {
    let (bar, file) = bar();
    file.set_len(0).unwrap();
    let io = bar.io::<0x10>().unwrap();
    assert!(io.try_write32(0, 1).unwrap_err().is_lost());
    // It is in a page of this process now, which is no answer of the device.
    assert!(io.try_read32(0).unwrap_err().is_lost());
}

#[test]
fn a_copy_that_finds_nobody_half_way_is_an_error() {
    let (bar, file) = bar();
    file.set_len(0x1000).unwrap();
    let io = bar.io::<0>().unwrap();
    let mut bytes = vec![0; SIZE];
    let error = io
        .copy_to_slice(0, &mut bytes, AccessWidth::Auto)
        .unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(bytes[..0x1000].iter().all(|byte| *byte == 0));
    let error = io
        .copy_from_slice(0, &bytes, AccessWidth::Auto)
        .unwrap_err();
    assert!(error.is_lost(), "{error}");
}

#[test]
fn a_device_that_is_there_again_is_what_it_was() {
    let (bar, file) = bar();
    let io = bar.io::<0x10>().unwrap();
    file.set_len(0).unwrap();
    assert!(io.try_read32(0).is_err());
    let error = bar.revive().unwrap_err();
    assert!(bar.is_lost(), "{error}");
    assert_ne!(error.kind(), ErrorKind::InvalidInput);
    file.set_len(0x3000).unwrap();
    bar.revive().unwrap();
    assert!(!bar.is_lost());
    io.try_write32(8, 9).unwrap();
    assert_eq!(io.try_read32(8).unwrap(), 9);
    file.set_len(0).unwrap();
    assert!(io.try_read32(8).is_err(), "a second time");
}

#[test]
fn threads_that_read_and_write_meanwhile_all_see_it() {
    for _ in 0..20 {
        let (bar, file) = bar();
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            for index in 0..4 {
                let (bar, started) = (&bar, &started);
                scope.spawn(move || {
                    let io = bar.io::<0>().unwrap();
                    for at in (0..).map(|step| (index * 8 + step * 264) % SIZE) {
                        let access = match index % 2 {
                            0 => io.try_read64(at).map(|value| assert_eq!(value, 0)),
                            _ => io.try_write64(at, 0),
                        };
                        started.store(true, Ordering::Relaxed);
                        if let Err(error) = access {
                            assert!(error.is_lost(), "{error}");
                            return;
                        }
                    }
                });
            }
            while !started.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            file.set_len(0).unwrap();
        });
        assert!(bar.is_lost());
    }
}

/// The file is zeros whenever it is there.
#[test]
fn what_was_lost_meanwhile_is_never_taken_for_good_when_it_is_revived_at_once() {
    let (bar, file) = bar();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for index in 0..3 {
            let (bar, ended) = (&bar, &ended);
            scope.spawn(move || {
                let io = bar.io::<0>().unwrap();
                let mut bytes = vec![0; SIZE];
                while !ended.load(Ordering::Relaxed) {
                    let read = match index {
                        0 => io.try_read32(8).map(|value| assert_eq!(value, 0)),
                        1 => io.try_read64(0x2000).map(|value| assert_eq!(value, 0)),
                        _ => io
                            .copy_to_slice(0, &mut bytes, AccessWidth::Auto)
                            .map(|()| assert!(bytes.iter().all(|byte| *byte == 0))),
                    };
                    assert!(read.is_ok() || read.is_err_and(|error| error.is_lost()));
                }
            });
        }
        for _ in 0..2000 {
            file.set_len(0).unwrap();
            // Should the others have failed, it is still found.
            while !bar.is_lost() {
                _ = bar.io::<4>().unwrap().try_read32(0);
            }
            file.set_len(0x3000).unwrap();
            while bar.is_lost() {
                bar.revive().unwrap();
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_bar_behind_a_watchdog_is_lost_and_comes_back_as_it_is() {
    let (bar, file) = bar();
    let watchdog = Watchdog::new(Duration::from_secs(3600), |_| ()).unwrap();
    let bar = Bar::called(watchdog.watch(bar));
    let io = bar.io::<0x10>().unwrap();
    io.try_write32(4, 7).unwrap();
    file.set_len(0).unwrap();
    let error = io.try_read32(4).unwrap_err();
    assert!(error.is_lost() && bar.is_lost(), "{error}");
    assert!(error.to_string().contains("BAR 0 of a file"), "{error}");
    assert!(bar.revive().is_err() && bar.is_lost(), "the file is empty");
    file.set_len(0x3000).unwrap();
    bar.revive().unwrap();
    assert_eq!((io.try_read32(4), bar.is_lost()), (Ok(0), false));
    bar.set_lost(true);
    assert!(io.try_read32(4).unwrap_err().is_lost());
}

#[test]
fn a_bar_that_does_not_start_with_a_page_cannot_survive() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(0x1000).unwrap();
    let map: MmapRaw = MmapOptions::new().len(0x1000).map_raw(&file).unwrap();
    let inside = map.as_mut_ptr().wrapping_add(0x40);
    let raw = MmioRaw::<Region>::new_region(inside, 0x40).unwrap();
    // SAFETY: it is mapped as long as its owner lives, and nothing makes references to it.
    let bar = unsafe { Bar::mapped(raw, "BAR 1 of a file", map) };
    // SAFETY: refused before anything is done.
    let error = unsafe { bar.survive(|| Ok(())) }.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot guard BAR 1 of a file against SIGBUS"
    );
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.ends_with("does not start with a page"), "{why}");
}
