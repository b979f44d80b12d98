//! An access that really stalls: VFIO holds those to a device's BARs back while it resets it (drivers/vfio/pci/vfio_pci_core.c,
//! `memory_lock`). To D3hot and back to D0 is the fastest way, and takes 20 ms at least (PCI Power Management 1.2 section 5.6.1).
#![expect(clippy::print_stdout, reason = "says what is reported")]

use crate::places::NIC;
use io_core::{Bar, Io, Watchdog};
use lab_guest::{Bound, modes};
use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread,
    time::Duration,
};

const LIMIT: Duration = Duration::from_millis(5);

#[test]
#[ignore = "needs the lab"]
fn a_watchdog_names_the_access_that_waits_for_a_reset() {
    for mode in modes() {
        let bound = Bound::new(NIC);
        let device = bound.open_in(mode);
        let (report, reports) = channel();
        let watchdog = Watchdog::new(LIMIT, move |stall| _ = report.send(stall.clone())).unwrap();
        let bar = Bar::called(watchdog.watch(device.bar(0).unwrap()));
        let (begun, ended) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let io = bar.io::<0x100>().unwrap();
                begun.wait();
                // Device Status of an 82574.
                while !ended.load(Ordering::Relaxed) {
                    io.try_read32(8).unwrap();
                }
            });
            begun.wait();
            let start = std::time::Instant::now();
            device.reset().unwrap();
            println!("{mode}: the reset took {:.1?}", start.elapsed());
            ended.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert!(!bar.is_lost());
        drop(watchdog);
        let all: Vec<_> = reports.iter().collect();
        for stall in &all {
            println!("{mode}: {stall}");
        }
        let name = format!("BAR 0 of {}", bound.address);
        let of_the_read = |over| {
            let mut all = all.iter();
            all.any(|stall| {
                stall.over == over
                    && (&*stall.region, stall.write, stall.at.bytes(), stall.len)
                        == (name.as_str(), false, 8, 4)
                    && stall.lasts >= LIMIT
            })
        };
        assert!(of_the_read(false) && of_the_read(true), "{mode}: {all:?}");
    }
}
