//! Completion in a real shell, and the manual pages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

const OUTBOARD: &str = env!("CARGO_BIN_EXE_outboard");

fn outboard(arguments: &[&str]) -> String {
    let output = Command::new(OUTBOARD).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bash gives for this line, whose words it would take apart as `words`.
fn completed(line: &str, words: &[&str]) -> Vec<String> {
    let script = r#"
        outboard() { "$OUTBOARD" "$@"; }
        source <("$OUTBOARD" completions bash)
        COMP_LINE=$1 COMP_POINT=${#1}
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _outboard
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash", line])
        .args(words);
    let output = bash.env("OUTBOARD", OUTBOARD).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {error}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_devices_although_these_have_colons() {
    assert_eq!(completed("outboard rel", &["outboard", "rel"]), ["release"]);
    let devices = fs::read_dir("/sys/bus/pci/devices");
    let mut devices: Vec<String> = devices
        .map(|all| {
            all.map(|d| d.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    devices.sort();
    let all = completed("outboard show ", &["outboard", "show", ""]);
    let (of_machine, options) = all.split_at(devices.len());
    assert_eq!(of_machine, devices);
    assert!(
        options.iter().all(|option| option.starts_with("--")),
        "{options:?}"
    );

    let behind = |prefix: &str| -> Vec<String> {
        let rest = devices
            .iter()
            .filter_map(|device| device.strip_prefix(prefix));
        rest.map(str::to_owned).collect()
    };
    if devices.iter().all(|device| device.starts_with("0000:")) {
        // bash puts what it gets in the place of the last word, which begins behind the colon.
        let shown = completed(
            "outboard show 0000:",
            &["outboard", "show", "0000", ":", ""],
        );
        assert_eq!(shown, behind("0000:"));
        let words = ["outboard", "show", "0000", ":", "00", ":", ""];
        let shown = completed("outboard show 0000:00:", &words);
        assert_eq!(shown, behind("0000:00:"));
        // A word behind a device is a word of its own.
        let words = [
            "outboard", "fw", "load", "0000", ":", "00", ":", "02.0", "--b",
        ];
        let shown = completed("outboard fw load 0000:00:02.0 --b", &words);
        assert_eq!(shown, ["--bar"]);
    }
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "elvish", "fish", "zsh"] {
        let script = outboard(&["completions", shell]);
        assert!(script.contains("outboard"), "{shell}: {script}");
    }
}

#[test]
fn each_command_has_a_manual_page_with_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let pages = outboard(&["man", folder.path().to_str().unwrap()]);
    for (page, has) in [
        ("outboard.1", "Exit status"),
        ("outboard-bind.1", "dry\\-run"),
        ("outboard-fw-load.1", "\\-\\-bar"),
    ] {
        assert!(pages.lines().any(|line| line == page), "{pages}");
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(has), "{page} has no {has}:\n{text}");
    }
}

/// What `doctor` prints to a pipe with these variables.
fn doctor(variables: &[(&str, &str)]) -> String {
    let mut doctor = Command::new(OUTBOARD);
    doctor
        .arg("doctor")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE");
    let output = doctor.envs(variables.iter().copied()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// <https://no-color.org> and <https://bixense.com/clicolors>.
#[test]
fn colours_are_for_terminals_and_not_where_no_color_is_set() {
    let escape = '\u{1b}';
    assert!(!doctor(&[]).contains(escape));
    assert!(doctor(&[("CLICOLOR_FORCE", "1")]).contains(escape));
    assert!(!doctor(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains(escape));
}

#[test]
fn what_fails_is_said_on_standard_error_alone() {
    let output = Command::new(OUTBOARD)
        .args(["show", "ff:1f.7"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("error: there is no PCI device"),
        "{error}"
    );
}
