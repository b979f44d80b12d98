//! What `cargo xtask lab` promises, seen from the host. Each test boots a guest.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// `cargo xtask lab` with its temporary files in `folder`.
fn lab(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .arg("lab")
        .env("TMPDIR", folder)
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// No process has a file of the run on its command line, and its files are gone.
fn assert_nothing_left(folder: &Path) {
    let name = folder.to_str().unwrap();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!text(&line).contains(name), "left: {}", text(&line));
    }
    let runs = fs::read_dir(folder).unwrap().flatten();
    let left: Vec<_> = runs
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("outboard-lab-")
        })
        .collect();
    assert!(left.is_empty(), "left: {left:?}");
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "it said:\n{said}");
}

#[test]
#[ignore = "boots the lab"]
fn output_files_and_status_come_out_of_the_guest_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (share, out) = (folder.path().join("a b"), folder.path().join("new/out"));
    fs::create_dir(&share).unwrap();
    let bytes: Vec<u8> = (0u32..700_000)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    fs::write(share.join("bytes"), &bytes).unwrap();
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("ivshmem.mem"), "of an earlier run").unwrap();
    let script = r#"
        [ -t 1 ] && echo "stdout is a terminal" >&2
        cat bytes
        cp bytes "$OUT"
        touch bytes 2>/dev/null && echo "the share is writable" >&2
        command -v outboard >&2
        exit 37"#;
    let output = lab(folder.path())
        .current_dir(&share)
        .args([Path::new("--share"), &share, Path::new("--out"), &out])
        .args(["--timeout", "100", "--", "env"])
        .arg(format!("OUT={}", out.display()))
        .args(["sh", "-c", script])
        .output()
        .unwrap();
    assert_code(&output, 37);
    assert!(
        output.stdout == bytes,
        "{} bytes came out",
        output.stdout.len()
    );
    assert!(fs::read(out.join("bytes")).unwrap() == bytes);
    assert_eq!(text(&output.stderr), "/lab/bin/outboard\n");
    let memory = fs::read(out.join("ivshmem.mem")).unwrap();
    assert_eq!(memory.len(), 64 << 20);
    assert!(memory.iter().all(|byte| *byte == 0));
    assert_nothing_left(folder.path());
}

#[test]
#[ignore = "boots the lab"]
fn a_panic_of_the_guest_s_kernel_is_status_125_and_shows_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let output = lab(folder.path())
        .args([
            "--iommu",
            "none",
            "--",
            "sh",
            "-c",
            "echo before; echo c >/proc/sysrq-trigger",
        ])
        .output()
        .unwrap();
    assert_code(&output, 125);
    assert_eq!(text(&output.stdout), "before\n");
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("Kernel panic - not syncing: sysrq triggered crash"),
        "{stderr}"
    );
    assert!(
        stderr.ends_with("the guest's kernel panicked; its last words are above\n"),
        "{stderr}"
    );
    assert_nothing_left(folder.path());
}

#[test]
#[ignore = "boots the lab"]
fn a_command_that_takes_too_long_is_status_124() {
    let folder = tempfile::tempdir().unwrap();
    let output = lab(folder.path())
        .args([
            "--timeout",
            "2",
            "--",
            "sh",
            "-c",
            "echo before; sleep 1000",
        ])
        .output()
        .unwrap();
    assert_code(&output, 124);
    assert_eq!(text(&output.stdout), "before\n");
    assert_nothing_left(folder.path());
}

#[test]
#[ignore = "boots the lab"]
fn in_the_host_s_root_its_programs_run_and_its_files_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "the host's").unwrap();
    let script = r#"
        dpkg-query --show --showformat='${Status}\n' busybox-static
        command -v outboard
        echo "the guest's" >"$1" && cat "$1"
        no-such-program"#;
    let output = lab(folder.path())
        .args(["--rootfs", "host", "--", "sh", "-c", script, "sh"])
        .arg(&file)
        .output()
        .unwrap();
    assert_code(&output, 127);
    assert_eq!(
        text(&output.stdout),
        "install ok installed\n/lab/bin/outboard\nthe guest's\n"
    );
    assert!(text(&output.stderr).contains("no-such-program: not found"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "the host's");
    assert_nothing_left(folder.path());
}

#[test]
#[ignore = "boots the lab"]
fn an_interrupt_ends_the_guest() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = lab(folder.path())
        .args(["--", "sleep", "1000"])
        .spawn()
        .unwrap();
    // Until QEMU has made its memory; the guest itself need not be up.
    let started = || {
        fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .any(|run| run.path().join("ivshmem.mem").exists())
    };
    while !started() {
        assert!(run.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(run.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_nothing_left(folder.path());
}
