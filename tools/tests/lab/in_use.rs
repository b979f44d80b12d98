//! What is in use is found, and refused: each way to use a device with the real thing. Neither changes anything.

#[path = "in_use/disk.rs"]
mod disk;
#[path = "in_use/interface.rs"]
mod interface;
#[path = "in_use/process.rs"]
mod process;
#[path = "in_use/screen.rs"]
mod screen;

use super::{ok, refusal::each_refuses, users::found};
use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Ends a program when this goes.
struct Running(Child);

impl Running {
    fn new(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        Self(command.args(args).stdin(Stdio::null()).spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Waits until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// All this is found of the device; for each of it, it is refused; and it is all there afterwards.
fn in_use(device: &str, expected: &[String]) {
    assert_eq!(found(device), expected);
    let mut codes: Vec<&str> = expected
        .iter()
        .map(|finding| finding.split_once(':').unwrap().0)
        .collect();
    codes.dedup();
    for code in codes {
        each_refuses(device, code);
    }
    assert_eq!(found(device), expected);
}

/// Nobody misses the device any more, and it can be had.
fn free(device: &str) {
    assert_eq!(found(device), Vec::<String>::new());
    ok(&["bind", device]);
    ok(&["release", device]);
}

/// With a NIC that has virtual functions.
mod qemu10 {
    use super::{each_refuses, found};
    use crate::users::Done;
    use std::fs;

    #[test]
    #[ignore = "needs the lab"]
    fn a_card_with_virtual_functions() {
        const IGB: &str = "0000:06:00.0";
        let file = format!("/sys/bus/pci/devices/{IGB}/sriov_numvfs");
        let two = Done::new(&format!("echo 2 > {file}"), &format!("echo 0 > {file}"));
        let expected = format!("vfs: {IGB} has 2 virtual functions, which go away with its driver");
        assert!(found(IGB).contains(&expected), "{:?}", found(IGB));
        each_refuses(IGB, "vfs");
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), "2");
        drop(two);
        super::free(IGB);
    }
}
