//! A test that runs once more, as a user without privileges.

use lab_guest::Bound;
use std::os::unix::fs::chown;
use std::{env, os::unix::process::CommandExt, path::PathBuf, process::Command};

/// The user "nobody".
pub const NOBODY: u32 = 65534;

/// Set for who runs as nobody.
const MARK: &str = "OUTBOARD_NOBODY";

/// Whether this is the run as nobody, with what it was told.
pub fn told() -> Option<String> {
    env::var(MARK).ok()
}

/// Runs the test of this name once more as nobody, who may lock so many KiB of memory, and is told `word`.
pub fn run(test: &str, memlock: u32, word: &str) {
    let script = format!("ulimit -l {memlock} && exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(MARK, word)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let [said, error] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(said.contains("1 passed"), "{said}{error}");
}

/// The node of a function's group.
pub fn group(bound: &Bound) -> PathBuf {
    let function = bound.host.function(bound.address).unwrap();
    bound.host.vfio_group(function.iommu_group.unwrap())
}

/// Gives a user the nodes by which a function is opened: those of them that this kernel has.
pub fn give(bound: &Bound, user: u32) {
    let group = group(bound);
    let cdev = bound.host.vfio_cdev(bound.address);
    let nodes = [Some(group), cdev, Some(bound.host.iommufd())];
    for node in nodes.iter().flatten().filter(|node| node.exists()) {
        chown(node, Some(user), None).unwrap();
    }
}
