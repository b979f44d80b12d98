//! What a watchdog reports of a region that does not answer.
#![expect(clippy::unwrap_used, reason = "test code")]

use io_core::{
    AccessErrorKind, AccessWidth, Bar, Fault, Io, Offset, RegionOps, Stall, Watchdog, Width,
};
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// A region that answers to an access at this offset, and wider than a byte, when it is told to.
#[derive(Debug)]
struct Stalls {
    at: usize,
    answer: Mutex<Receiver<()>>,
}

impl Stalls {
    fn at(at: usize) -> (Self, Sender<()>) {
        let (go, answer) = channel();
        let answer = Mutex::new(answer);
        (Self { at, answer }, go)
    }

    fn wait(&self, at: Offset, len: usize) {
        if at.bytes() == self.at && len > 1 {
            _ = self.answer.lock().unwrap().recv();
        }
    }
}

impl RegionOps for Stalls {
    fn name(&self) -> String {
        "BAR 2 of 0000:01:00.0".to_owned()
    }

    fn size(&self) -> usize {
        0x100
    }

    fn widest(&self) -> Width {
        Width::U32
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        self.wait(at, bytes.len());
        bytes.fill(0x5a);
        Ok(())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.wait(at, bytes.len());
        Ok(())
    }
}

/// A watchdog, and what it reports.
fn watchdog(limit: Duration) -> (Watchdog, Receiver<Stall>) {
    let (report, reports) = channel();
    let watchdog = Watchdog::new(limit, move |stall| report.send(stall.clone()).unwrap());
    (watchdog.unwrap(), reports)
}

/// Longer than any access of a test takes.
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn an_access_that_stalls_is_reported_while_it_stalls_and_when_it_comes_back() {
    let limit = Duration::from_millis(2);
    for write in [false, true] {
        let (region, go) = Stalls::at(0x10);
        let (watchdog, reports) = watchdog(limit);
        let bar = Bar::called(watchdog.watch(region));
        thread::scope(|scope| {
            let access = scope.spawn(|| {
                let io = bar.io::<0x100>().unwrap();
                match write {
                    true => io.try_write32(0x10, 1).map(|()| 0x5a5a_5a5a),
                    false => io.try_read32(0x10),
                }
            });
            let stall = reports.recv().unwrap();
            assert!(!stall.over && stall.lasts >= limit, "{stall:?}");
            assert_eq!((stall.write, stall.at.bytes(), stall.len), (write, 0x10, 4));
            let what = if write { "write" } else { "read" };
            let sentence = format!(
                "the {what} of 4 bytes at offset 0x10 of BAR 2 of 0000:01:00.0 has not come back for "
            );
            assert!(stall.to_string().starts_with(&sentence), "{stall}");
            go.send(()).unwrap();
            let over = reports.recv().unwrap();
            assert!(over.over && over.lasts >= stall.lasts, "{over:?}");
            assert!(over.to_string().contains(" came back after "), "{over}");
            assert_eq!(access.join().unwrap(), Ok(0x5a5a_5a5a));
        });
        drop(watchdog);
        assert!(reports.recv().is_err(), "each is reported twice, no more");
    }
}

#[test]
fn of_a_copy_the_access_that_stalls_is_named() {
    let (region, go) = Stalls::at(0x24);
    let (watchdog, reports) = watchdog(Duration::from_millis(200));
    let bar = Bar::called(watchdog.watch(region));
    thread::scope(|scope| {
        let copy = scope.spawn(|| {
            let mut bytes = [0; 0x40];
            let io = bar.io::<0x100>().unwrap();
            io.copy_to_slice(0, &mut bytes, AccessWidth::Auto)
                .map(|()| bytes)
        });
        // Another one may take as long on a machine that has other things to do.
        let stall = reports
            .iter()
            .find(|stall| !stall.over && stall.at.bytes() == 0x24)
            .unwrap();
        assert_eq!((stall.len, stall.write), (4, false));
        go.send(()).unwrap();
        assert_eq!(copy.join().unwrap().unwrap(), [0x5a; 0x40]);
    });
}

#[test]
fn each_of_several_accesses_that_stall_at_once_is_reported() {
    let (watchdog, reports) = watchdog(Duration::from_millis(2));
    let (bars, answers): (Vec<_>, Vec<_>) = (0..8)
        .map(|number| {
            let (region, go) = Stalls::at(number * 4);
            (Bar::called(watchdog.watch(region)), go)
        })
        .unzip();
    thread::scope(|scope| {
        for (number, bar) in bars.iter().enumerate() {
            scope.spawn(move || bar.io::<0x100>().unwrap().try_read16(number * 4));
        }
        let mut at: Vec<_> = reports
            .iter()
            .take(8)
            .map(|stall| stall.at.bytes())
            .collect();
        at.sort_unstable();
        assert_eq!(at, [0, 4, 8, 12, 16, 20, 24, 28]);
        drop(answers);
    });
}

#[test]
fn accesses_in_time_are_not_reported_and_dropping_it_does_not_wait_for_the_limit() {
    let (region, go) = Stalls::at(0);
    drop(go);
    let start = Instant::now();
    let (watchdog, reports) = watchdog(NEVER);
    let bar = Bar::called(watchdog.watch(region));
    let io = bar.io::<0x100>().unwrap();
    assert_eq!(io.try_read32(0), Ok(0x5a5a_5a5a));
    assert_eq!(io.try_write32(0, 1), Ok(()));
    drop(watchdog);
    assert!(reports.recv().is_err(), "nothing was reported");
    assert!(start.elapsed() < NEVER);
    assert_eq!(
        io.try_read8(0),
        Ok(0x5a),
        "without it, the region is as before"
    );
}

#[test]
fn a_region_that_is_watched_is_what_it_was() {
    let (region, _go) = Stalls::at(0);
    let (watchdog, _reports) = watchdog(NEVER);
    let bar = Bar::called(watchdog.watch(region));
    assert_eq!(bar.size(), 0x100);
    let io = bar.io::<0x100>().unwrap();
    let error = io.try_read64(0).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Fault(Fault::Width));
    assert!(
        error.to_string().contains("BAR 2 of 0000:01:00.0"),
        "{error}"
    );
    let error = io.try_read32(0x100).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::OutOfBounds);
}

#[test]
fn a_watchdog_may_be_dropped_by_what_it_reports_to() {
    let holder = Arc::new(Mutex::new(None));
    let (done, ended) = channel();
    let taken = Arc::clone(&holder);
    let watchdog = Watchdog::new(Duration::from_millis(1), move |stall| {
        if !stall.over {
            drop(taken.lock().unwrap().take());
            done.send(()).unwrap();
        }
    });
    let (region, go) = Stalls::at(0);
    let bar = Bar::called(watchdog.as_ref().unwrap().watch(region));
    *holder.lock().unwrap() = Some(watchdog.unwrap());
    thread::scope(|scope| {
        scope.spawn(|| bar.io::<0x100>().unwrap().try_read32(0));
        ended.recv().unwrap();
        drop(go);
    });
}
