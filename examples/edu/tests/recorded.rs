//! The command on recordings: of a simulated edu, and of those that the lab has recorded.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use edu::tour;
use io_core::{
    record::Recording,
    sim::{self, SimulatedDevice},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn replay(file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edu"));
    command.arg("--replay").arg(file).output().unwrap()
}

/// Asserts that the command says of the recording what was said when it was made, but for the first line, which says what
/// carries the device.
fn assert_replayed(file: &Path, said: &str) {
    let output = replay(file);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {error}", file.display());
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.contains(", by replay: "), "{first}");
    assert_eq!(rest, said.split_once('\n').unwrap().1);
    assert_eq!(error, "");
}

/// A recording of a simulated edu, and what was said.
fn recorded() -> (Vec<u8>, String) {
    let device = SimulatedDevice::new("0000:00:03.0".parse().unwrap(), sim::Edu::new());
    let recording = Recording::new(&device, Vec::new()).unwrap();
    let mut said = String::new();
    let how = ("simulation", "this is a test");
    tour(&recording, how, |line| said += &format!("{line}\n")).unwrap();
    (recording.finish().unwrap(), said)
}

#[test]
fn the_command_replays_what_was_recorded_and_says_where_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edu.rec");
    let (bytes, said) = recorded();
    fs::write(&file, &bytes).unwrap();
    assert_replayed(&file, &said);

    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let output = replay(&file);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("there was the place where it is cut off"),
        "{error}"
    );

    fs::write(&file, "no recording").unwrap();
    let error = String::from_utf8(replay(&file).stderr).unwrap();
    let message = format!(
        "edu: cannot replay {}\nbecause: this is not a recording\nhint: edu --record writes one\n",
        file.display()
    );
    assert_eq!(error, message);
}

/// `cargo xtask test` runs it after the lab, with the folder of what the lab's machine has left.
#[test]
#[ignore = "needs recordings from the lab"]
fn what_the_lab_has_recorded_replays_without_a_device() {
    let folder = PathBuf::from(std::env::var_os("OUTBOARD_RESULTS").unwrap());
    let files = fs::read_dir(&folder).unwrap();
    let recordings = files.map(|file| file.unwrap().path());
    let recordings = recordings.filter(|file| file.extension().is_some_and(|end| end == "rec"));
    let mut count = 0;
    for recording in recordings {
        let said = fs::read_to_string(recording.with_extension("txt")).unwrap();
        assert_replayed(&recording, &said);
        count += 1;
    }
    assert!(count > 0, "there is none in {}", folder.display());
}
