//! A test that runs once more, as a user without privileges.

use std::{env, os::unix::process::CommandExt, process::Command};

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
