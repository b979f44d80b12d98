//! Each page of docs/guide shows its program as it is, and what it prints.

use std::{fs, path::Path, process::Command};

/// A step: its page, its program, and other files that the page shows.
type Step = (&'static str, &'static str, &'static [&'static str]);

const STEPS: [Step; 7] = [
    ("1-identify", env!("CARGO_BIN_EXE_identify"), &[]),
    ("2-open", env!("CARGO_BIN_EXE_open"), &[]),
    ("3-reach", env!("CARGO_BIN_EXE_reach"), &[]),
    (
        "4-name",
        env!("CARGO_BIN_EXE_name"),
        &["../edu/src/registers.rs"],
    ),
    ("5-wait", env!("CARGO_BIN_EXE_wait"), &[]),
    ("6-interrupt", env!("CARGO_BIN_EXE_interrupt"), &[]),
    ("7-copy", env!("CARGO_BIN_EXE_copy"), &[]),
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn each_page_shows_its_program_and_what_it_prints() {
    for (page, program, more) in STEPS {
        let output = Command::new(program).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{page}: {:?}", output.stderr);
        let text = read(&format!("../../docs/guide/{page}.md"));
        let (_, name) = page.split_once('-').unwrap();
        let own = format!("src/bin/{name}.rs");
        for file in more.iter().chain([&own.as_str()]) {
            let shown = format!("```rust\n{}```\n", read(file));
            assert!(
                text.contains(&shown),
                "{page}.md does not show {file} as it is"
            );
        }
        let shown = format!("```text\n{said}```\n");
        assert!(text.contains(&shown), "{page}.md does not show:\n{said}");
    }
}

#[test]
fn a_step_that_fails_says_why_and_what_to_do() {
    let (_, program, _) = STEPS[0];
    let output = Command::new(program).arg("00:1f.7").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "error: there is no PCI device 0000:00:1f.7 on this machine\n \
         hint: `outboard list` shows those that there are\n"
    );
}
