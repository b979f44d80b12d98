//! A load on an edu that is reset, switched off, removed, unplugged and pulled out meanwhile: by somebody else, while the
//! command `edu` runs, or by a thread of the program that has it.
#![expect(
    clippy::print_stdout,
    reason = "docs/device-loss.md has what these tests print"
)]

use edu::soak::Soak;
use io_core::{ErrorKind, PciDevice, event::Ending, recovery::until_gone};
use lab_guest::{Bound, Ended, Hot, Load, Outside, Qmp, Slot, modes};
use serde_json::json;
use std::{
    io, mem,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use vfio_backend::{IommuMode, VfioDevice};

/// One on the root bus, and one behind a root port: see docs/lab.md.
const ON_ROOT_BUS: &str = "0000:00:03.0";
const BEHIND_PORT: &str = "0000:01:00.0";

/// How long a load may take to end when it has to.
const LIMIT: Duration = Duration::from_secs(40);
/// How long something is off.
const OFF: Duration = Duration::from_millis(200);

/// Bits of Command (PCI Local Bus 3.0 section 6.2.2).
const MEMORY: u16 = 1 << 1;

/// The command, with a load of so many seconds.
fn load(address: &str, mode: IommuMode, seconds: &str) -> Load {
    let mode = mode.to_string();
    let arguments = [address, "--backend", &mode, "--soak", seconds];
    let load = Load::start(env!("CARGO_BIN_EXE_edu"), &arguments);
    thread::sleep(OFF);
    load
}

/// A load that somebody else disturbs has to recover from it.
fn disturbed(what: &str, address: &str, disturb: impl Fn(Outside) -> io::Result<()>) {
    for mode in modes() {
        let bound = Bound::new(address);
        let load = load(address, mode, "2");
        for _ in 0..3 {
            disturb(Outside::new(bound.address)).unwrap();
            thread::sleep(OFF);
        }
        let ended = load.ends(LIMIT);
        println!("{what}, {mode}:\n{}{}", ended.output, ended.error);
        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.output.contains("recovered after"), "{ended:?}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_whose_memory_somebody_else_switches_off_is_brought_up_again() {
    for address in [ON_ROOT_BUS, BEHIND_PORT] {
        disturbed("memory", address, |edu| {
            edu.command(MEMORY, false)?;
            thread::sleep(OFF);
            edu.command(MEMORY, true)
        });
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_that_somebody_else_resets_is_brought_up_again() {
    for mode in modes() {
        let bound = Bound::new(BEHIND_PORT);
        let load = load(BEHIND_PORT, mode, "3");
        for _ in 0..5 {
            Outside::new(bound.address).reset().unwrap();
            thread::sleep(OFF);
        }
        let ended = load.ends(LIMIT);
        println!("reset, {mode}:\n{}{}", ended.output, ended.error);
        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.output.contains("recovered after"), "{ended:?}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_cannot_be_put_to_sleep_nor_reset_on_the_root_bus() {
    for address in [ON_ROOT_BUS, BEHIND_PORT] {
        let edu = Outside::new(address.parse().unwrap());
        let error = edu.d3hot(true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "no such capability");
    }
    let methods = Outside::new(ON_ROOT_BUS.parse().unwrap()).folder();
    assert!(!methods.join("reset").exists());
}

/// A load in this process, which a thread of it disturbs three times when it has begun.
fn disturbed_from_inside(what: &str, address: &str, disturb: impl Fn(&VfioDevice) + Sync) {
    for mode in modes() {
        let bound = Bound::new(address);
        let device = bound.open_in(mode);
        let (sender, has_begun) = mpsc::channel();
        let tell = |said: &str| {
            println!("{what}, {mode}: {said}");
            let _ = sender.send(());
        };
        let mut soak = Soak::new(&device, Duration::from_secs(2), tell);
        let ending = thread::scope(|scope| {
            let (device, disturb) = (&device, &disturb);
            scope.spawn(move || {
                has_begun.recv().unwrap();
                for _ in 0..3 {
                    thread::sleep(OFF);
                    disturb(device);
                }
            });
            until_gone(device, Duration::from_secs(20), &mut soak)
        });
        println!("{what}, {mode}: {:?}", soak.tally);
        assert_eq!(ending.unwrap(), Ending::Done(()));
        assert!(soak.tally.recoveries > 0 && !soak.tally.is_wrong);
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_whose_memory_is_switched_off_through_vfio_is_brought_up_again() {
    disturbed_from_inside("memory, VFIO", ON_ROOT_BUS, |device| {
        device.set_memory_decode(false).unwrap();
        thread::sleep(OFF);
        device.set_memory_decode(true).unwrap();
    });
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_whose_bus_mastering_is_switched_off_through_vfio_is_brought_up_again() {
    disturbed_from_inside("bus mastering, VFIO", ON_ROOT_BUS, |device| {
        device.set_bus_master(false).unwrap();
    });
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_that_is_reset_through_vfio_is_brought_up_again() {
    disturbed_from_inside("reset, VFIO", BEHIND_PORT, |device| device.reset().unwrap());
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_that_does_not_come_back_is_a_sentence_in_the_end() {
    let bound = Bound::new(ON_ROOT_BUS);
    let device = bound.open().unwrap();
    let (sender, has_begun) = mpsc::channel();
    let tell = |_: &str| {
        let _ = sender.send(());
    };
    let mut soak = Soak::new(&device, Duration::from_secs(9), tell);
    let ending = thread::scope(|scope| {
        let device = &device;
        let off = scope.spawn(move || {
            has_begun.recv().unwrap();
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(3) {
                device.set_memory_decode(false).unwrap();
            }
        });
        let ending = until_gone(device, Duration::from_secs(1), &mut soak);
        off.join().unwrap();
        ending
    });
    let error = ending.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    let expected = "0000:00:03.0 was lost, and is not back within 1s";
    assert_eq!(error.to_string(), expected);
}

/// How a load ended whose device goes, and how long that took.
fn ends(load: Load, go: impl FnOnce()) -> (Ended, Duration) {
    let asked = Instant::now();
    go();
    let ended = load.ends(LIMIT);
    (ended, asked.elapsed())
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_that_is_removed_is_let_go_of() {
    for mode in modes() {
        let bound = Bound::new(BEHIND_PORT);
        let edu = Outside::new(bound.address);
        let load = load(BEHIND_PORT, mode, "30");
        let (ended, after) = ends(load, || edu.remove().unwrap());
        println!(
            "removed, {mode}: {after:.1?}\n{}{}",
            ended.output, ended.error
        );
        let sentence = "edu: 0000:01:00.0 was let go of: its removal was requested\n";
        assert_eq!((ended.status, &*ended.error), (3, sentence));
        edu.becomes(false);
        // It is not bound to anything any more.
        mem::forget(bound);
        edu.rescan();
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_edu_that_is_unplugged_is_let_go_of() {
    for mode in modes() {
        let mut hot = Hot::plug(Qmp::connect().unwrap(), "edu", &json!({}));
        let load = load(Hot::ADDRESS, mode, "30");
        let (ended, after) = ends(load, || {
            hot.ask();
            hot.gone();
        });
        println!(
            "unplugged, {mode}: {after:.1?}\n{}{}",
            ended.output, ended.error
        );
        let sentence = "edu: 0000:02:00.0 was let go of: its removal was requested\n";
        assert_eq!((ended.status, &*ended.error), (3, sentence));
    }
}

mod pciehp {
    use super::*;

    /// What this machine has behind a port of its own: see docs/lab.md.
    const PULLED_OUT: &str = "0000:09:00.0";

    #[test]
    #[ignore = "needs the lab"]
    fn an_edu_that_is_pulled_out_is_lost() {
        let bound = Bound::new(PULLED_OUT);
        let edu = Outside::new(bound.address);
        let slot = Slot::of(bound.address);
        let load = load(PULLED_OUT, modes()[0], "30");
        let (ended, after) = ends(load, || slot.cut_power());
        println!("pulled out: {after:.1?}\n{}{}", ended.output, ended.error);
        let sentence = "edu: 0000:09:00.0 was pulled out\n";
        assert_eq!((ended.status, &*ended.error), (4, sentence));
        edu.becomes(false);
        mem::forget(bound);
    }
}
