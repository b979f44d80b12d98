//! A load on a drive that is reset, switched off, put to sleep, removed, unplugged and pulled out meanwhile: by somebody
//! else, while the command `nvme` runs, or by a thread of the program that has it.
#![expect(
    clippy::print_stdout,
    reason = "docs/device-loss.md has what these tests print"
)]

use crate::{DRIVE, Kernels, ways};
use io_core::{ErrorKind, Io, PciDevice, event::Ending, recovery::until_gone};
use lab_guest::{Bound, Ended, Hot, Load, Outside, Qmp, Slot};
use nvme::{Options, soak::Soak};
use serde_json::json;
use std::{
    fs, io, mem,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use vfio_backend::{IommuMode, VfioDevice};

/// How long a load may take to end when it has to.
const LIMIT: Duration = Duration::from_secs(40);
/// How long something is off.
const OFF: Duration = Duration::from_millis(200);
/// The bytes of a line of the ledger.
const CELL: usize = 4096;
const LEDGER: &str = "/tmp/ledger";

/// Bits of Command (PCI Local Bus 3.0 section 6.2.2).
const MEMORY: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;

/// The command, with a load of so many seconds.
fn load(address: &str, mode: IommuMode, options: Options, seconds: &str) -> Load {
    let (mode, depth) = (mode.to_string(), options.depth.to_string());
    let mut arguments = vec![
        address,
        "--backend",
        &mode,
        "--depth",
        &depth,
        "--soak",
        seconds,
    ];
    arguments.extend(["--ledger", LEDGER]);
    if options.interrupts {
        arguments.push("--interrupts");
    }
    let load = Load::start(env!("CARGO_BIN_EXE_nvme"), &arguments);
    thread::sleep(OFF);
    load
}

/// Asserts that the drive has what a ledger says, as the kernel reads it.
fn assert_kept(ledger: &str) {
    let kernels = Kernels::new();
    let mut kept = 0;
    for line in ledger.lines() {
        let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        let &[lba, acknowledged, pending] = &*numbers else {
            panic!("{line}");
        };
        if acknowledged == 0 {
            continue;
        }
        let mut bytes = vec![0; CELL];
        kernels.read(lba, &mut bytes);
        // The address and the number of the write, again and again.
        for record in bytes.chunks_exact(16) {
            let (address, write) = record.split_at(8);
            let write = u64::from_le_bytes(write.try_into().unwrap());
            assert_eq!(address, lba.to_le_bytes(), "{line}");
            assert!(
                write == acknowledged || write == pending && pending != 0,
                "{line}: write {write} is there"
            );
        }
        kept += 1;
    }
    assert!(kept > 64, "many of 256 cells were written");
}

/// Two ways to use the drive, of which each mode that there is has one at least.
fn loads() -> Vec<(IommuMode, Options)> {
    let ways = ways(&[8]);
    let first = *ways.first().unwrap();
    vec![first, *ways.last().unwrap()]
}

/// A load that somebody else disturbs, and what it says of it.
fn disturbed(what: &str, disturb: impl Fn(Outside) -> io::Result<()>) -> Vec<Ended> {
    let mut all = Vec::new();
    for (mode, options) in loads() {
        let bound = Bound::new(DRIVE);
        let load = load(DRIVE, mode, options, "2");
        for _ in 0..3 {
            disturb(Outside::new(bound.address)).unwrap();
            thread::sleep(OFF);
        }
        let ended = load.ends(LIMIT);
        println!(
            "{what}, {mode}, {options:?}:\n{}{}",
            ended.output, ended.error
        );
        assert_eq!(ended.status, 0, "{ended:?}");
        drop(bound);
        assert_kept(&fs::read_to_string(LEDGER).unwrap());
        all.push(ended);
    }
    all
}

fn recoveries(ended: &Ended) -> usize {
    ended.output.matches("recovered after").count()
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_somebody_else_resets_is_brought_up_again() {
    for ended in disturbed("reset", Outside::reset) {
        assert!(recoveries(&ended) > 0, "{ended:?}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_whose_memory_somebody_else_switches_off_is_brought_up_again() {
    disturbed("memory", |drive| {
        drive.command(MEMORY, false)?;
        thread::sleep(OFF);
        drive.command(MEMORY, true)
    });
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_whose_bus_mastering_somebody_else_switches_off_is_brought_up_again() {
    disturbed("bus mastering", |drive| {
        drive.command(BUS_MASTER, false)?;
        thread::sleep(OFF);
        drive.command(BUS_MASTER, true)
    });
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_somebody_else_puts_to_sleep_goes_on() {
    disturbed("D3hot", |drive| {
        drive.d3hot(true)?;
        thread::sleep(OFF);
        drive.d3hot(false)
    });
}

/// A load in this process, of so many seconds, which a thread of it disturbs as soon as it has begun.
fn disturbed_from_inside(what: &str, seconds: u64, disturb: impl Fn(&VfioDevice) + Sync) {
    for (mode, options) in loads() {
        let bound = Bound::new(DRIVE);
        let device = bound.open_in(mode);
        let (sender, has_begun) = mpsc::channel();
        let tell = |said: &str| {
            println!("{what}, {mode}: {said}");
            let _ = sender.send(());
        };
        let time = Duration::from_secs(seconds);
        let mut soak = Soak::new(&device, options, (0, 2048), time, tell);
        let ending = thread::scope(|scope| {
            let (device, disturb) = (&device, &disturb);
            scope.spawn(move || {
                has_begun.recv().unwrap();
                disturb(device);
            });
            until_gone(device, Duration::from_secs(30), &mut soak)
        });
        println!("{what}, {mode}, {options:?}: {:?}", soak.tally);
        assert_eq!(ending.unwrap(), Ending::Done(()));
        assert!(soak.tally.recoveries > 0 && !soak.tally.is_wrong);
        let ledger = soak.ledger();
        drop(soak);
        drop(device);
        drop(bound);
        assert_kept(&ledger);
    }
}

/// Does this three times in two seconds.
fn thrice(what: &str, disturb: impl Fn(&VfioDevice) + Sync) {
    disturbed_from_inside(what, 2, |device| {
        for _ in 0..3 {
            thread::sleep(OFF);
            disturb(device);
        }
    });
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_whose_memory_is_switched_off_through_vfio_is_brought_up_again() {
    thrice("memory, VFIO", |device| {
        device.set_memory_decode(false).unwrap();
        thread::sleep(OFF);
        device.set_memory_decode(true).unwrap();
    });
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_whose_bus_mastering_is_switched_off_through_vfio_is_brought_up_again() {
    thrice("bus mastering, VFIO", |device| {
        device.set_bus_master(false).unwrap();
    });
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_is_reset_through_vfio_is_brought_up_again() {
    thrice("reset, VFIO", |device| device.reset().unwrap());
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_is_put_to_sleep_through_vfio_is_brought_up_again_when_it_is_awake() {
    thrice("D3hot, VFIO", |device| {
        sleep_through_vfio(device, true);
        thread::sleep(OFF);
        sleep_through_vfio(device, false);
    });
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_to_which_all_of_this_happens_at_random_moments_loses_nothing() {
    let outside = Outside::new(DRIVE.parse().unwrap());
    disturbed_from_inside("at random", 8, |device| {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(7) {
            let random = started.elapsed().subsec_nanos() / 100;
            let short = Duration::from_millis(u64::from(random / 6 % 250));
            thread::sleep(short);
            let rest = || thread::sleep(short / 4);
            match random % 6 {
                0 => device.reset().unwrap(),
                1 => outside.reset().unwrap(),
                2 => device.set_bus_master(false).unwrap(),
                3 => {
                    device.set_memory_decode(false).unwrap();
                    rest();
                    device.set_memory_decode(true).unwrap();
                }
                4 => {
                    outside.command(MEMORY, false).unwrap();
                    rest();
                    outside.command(MEMORY, true).unwrap();
                }
                _ => {
                    sleep_through_vfio(device, true);
                    rest();
                    sleep_through_vfio(device, false);
                }
            }
        }
    });
}

/// Puts a device into D3hot, or wakes it.
fn sleep_through_vfio(device: &VfioDevice, on: bool) {
    let config = device.config();
    // PMCSR is 4 bytes after the header of the capability with the id 1 (PCI Power Management 1.2, 3.2).
    let mut at = usize::from(config.try_read8(0x34).unwrap());
    while config.try_read8(at).unwrap() != 1 {
        at = usize::from(config.try_read8(at + 1).unwrap());
        assert_ne!(at, 0, "a drive has a power management capability");
    }
    let pmcsr = config.try_read16(at + 4).unwrap() & !3;
    let state = if on { 3 } else { 0 };
    config.try_write16(at + 4, pmcsr | state).unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_does_not_come_back_is_a_sentence_in_the_end() {
    let bound = Bound::new(DRIVE);
    let (mode, options) = loads()[0];
    let device = bound.open_in(mode);
    let (sender, has_begun) = mpsc::channel();
    let tell = |_: &str| {
        let _ = sender.send(());
    };
    let mut soak = Soak::new(&device, options, (0, 2048), Duration::from_secs(9), tell);
    let patience = Duration::from_secs(1);
    let ending = thread::scope(|scope| {
        let device = &device;
        scope.spawn(move || {
            has_begun.recv().unwrap();
            sleep_through_vfio(device, true);
        });
        until_gone(device, patience, &mut soak)
    });
    let error = ending.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    let expected = "0000:04:00.0 was lost, and is not back within 1s";
    assert_eq!(error.to_string(), expected);
    sleep_through_vfio(&device, false);
}

/// How a load ended whose drive goes, and how long that took.
fn ends(load: Load, go: impl FnOnce()) -> (Ended, Duration) {
    let asked = Instant::now();
    go();
    let ended = load.ends(LIMIT);
    (ended, asked.elapsed())
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_is_removed_is_let_go_of_and_has_what_was_acknowledged() {
    for (mode, options) in loads() {
        let bound = Bound::new(DRIVE);
        let drive = Outside::new(bound.address);
        let load = load(DRIVE, mode, options, "30");
        let (ended, after) = ends(load, || drive.remove().unwrap());
        println!(
            "removed, {mode}, {options:?}: {after:.1?}\n{}{}",
            ended.output, ended.error
        );
        let sentence = "nvme: 0000:04:00.0 was let go of: its removal was requested\n";
        assert_eq!((ended.status, &*ended.error), (3, sentence));
        drive.becomes(false);
        // It is not bound to anything any more.
        mem::forget(bound);
        drive.rescan();
        assert_kept(&fs::read_to_string(LEDGER).unwrap());
    }
}

/// A drive of 64 MiB in memory of QEMU's, plugged in, made of `image`.
fn plug(image: &str) -> Hot {
    let mut qmp = Qmp::connect().unwrap();
    // That of an earlier one, which stays.
    qmp.human("drive_del hot-drive").unwrap();
    let drive = format!("drive_add 0 if=none,id=hot-drive,{image},file.size=67108864");
    let said = qmp.human(&drive).unwrap();
    assert_eq!(said.trim(), "OK");
    let properties = json!({ "drive": "hot-drive", "serial": "hot" });
    Hot::plug(qmp, "nvme", &properties)
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_is_unplugged_is_let_go_of() {
    for (mode, options) in loads() {
        let mut hot = plug("file.driver=null-co,format=raw,snapshot=on");
        let load = load(Hot::ADDRESS, mode, options, "30");
        let (ended, after) = ends(load, || {
            hot.ask();
            hot.gone();
        });
        println!(
            "unplugged, {mode}, {options:?}: {after:.1?}\n{}{}",
            ended.output, ended.error
        );
        let sentence = "nvme: 0000:02:00.0 was let go of: its removal was requested\n";
        assert_eq!((ended.status, &*ended.error), (3, sentence));
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_forgets_what_it_acknowledged_is_found_out() {
    // It reads as zeros, whatever was written.
    let mut hot = plug("file.driver=null-co,file.read-zeroes=on,format=raw");
    let (mode, options) = loads()[0];
    let ended = load(Hot::ADDRESS, mode, options, "5").ends(LIMIT);
    assert_eq!(ended.status, 5, "{ended:?}");
    let sentence = "nvme: the drive 0000:02:00.0 has other data than write ";
    assert!(ended.error.starts_with(sentence), "{ended:?}");
    hot.ask();
    hot.gone();
}

mod pciehp {
    use super::*;

    /// What this machine has behind a port of its own: see docs/lab.md.
    const PULLED_OUT: &str = "0000:08:00.0";

    #[test]
    #[ignore = "needs the lab"]
    fn a_drive_that_is_pulled_out_is_lost() {
        let bound = Bound::new(PULLED_OUT);
        let drive = Outside::new(bound.address);
        let slot = Slot::of(bound.address);
        let (mode, options) = loads()[1];
        let load = load(PULLED_OUT, mode, options, "30");
        let (ended, after) = ends(load, || slot.cut_power());
        println!(
            "pulled out, {mode}, {options:?}: {after:.1?}\n{}{}",
            ended.output, ended.error
        );
        assert_eq!(
            (ended.status, &*ended.error),
            (4, "nvme: 0000:08:00.0 was pulled out\n")
        );
        drive.becomes(false);
        mem::forget(bound);
    }
}
