//! `cargo xtask test`: everything that must hold, in one go, with a summary.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::assembly;
use crate::error::{Context, Result};
use crate::program;
use crate::static_build::{self, cargo};
use crate::toolchain::{AARCH64, OLDEST, Part, cargo_of};

/// A big-endian machine that Miri knows.
const BIG_ENDIAN: &str = "s390x-unknown-linux-gnu";

/// How long one test program may take in the guest, in seconds.
const TEST_SECONDS: u32 = 120;

/// How long all lab tests in the guest may take.
const LAB_SECONDS: &str = "600";

/// Check formatting, lints, unit tests, documentation, undefined behaviour and the lab tests
///
/// A failure does not stop it; the summary tells what failed and what could not be checked. The last lines are
/// cargo's own summaries of all test programs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Do not boot the lab
    #[arg(long)]
    pub no_lab: bool,
    /// Only these steps
    #[arg(long, value_enum, value_name = "STEP", num_args = 1.., conflicts_with = "no_lab")]
    pub only: Vec<Step>,
    /// Arguments for the lab's test programs, such as a test's name or --nocapture
    #[arg(last = true, value_name = "ARGS")]
    pub lab_arguments: Vec<String>,
}

/// What is checked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// Formatting.
    Fmt,
    /// Lints.
    Clippy,
    /// Lints of what only aarch64 compiles.
    ClippyAarch64,
    /// That the oldest Rust we promise to build with does.
    OldestRust,
    /// Unit, integration and documentation tests.
    Test,
    /// Documentation.
    Doc,
    /// That examples which must not compile fail with the error that they name; only nightly compares it.
    ErrorCodes,
    /// The instructions that accessors become, on both architectures.
    Assembly,
    /// Undefined behaviour in io-core.
    Miri,
    /// The same as on a big-endian machine: numbers on a device stay little-endian.
    MiriBigEndian,
    /// Tests in a guest, and of the lab itself.
    Lab,
}

/// What came of a step.
enum Verdict {
    Ok,
    Failed(String),
    NotChecked(String),
}

/// A step's line in the summary.
struct Line {
    step: Step,
    verdict: Verdict,
    time: Duration,
}

/// Runs the steps. The status to exit with is 1 if any failed.
pub fn run(options: &Options) -> Result<u8> {
    // Now, because the tests build us anew in the same place.
    let xtask = std::env::current_exe()?;
    let mut lines = Vec::new();
    let mut results = Vec::new();
    for step in Step::value_variants().iter().copied() {
        let wanted = options.only.is_empty() || options.only.contains(&step);
        if !wanted || (options.no_lab && step == Step::Lab) {
            continue;
        }
        let start = Instant::now();
        let verdict = match step.part().map_or(Ok(()), Part::ensure) {
            Err(why) => Verdict::NotChecked(why),
            Ok(()) => match step.run(options, &xtask, &mut results) {
                Ok(()) => Verdict::Ok,
                Err(error) => Verdict::Failed(error.to_string()),
            },
        };
        let time = start.elapsed();
        lines.push(Line {
            step,
            verdict,
            time,
        });
    }
    println!();
    for line in &lines {
        println!("{line}");
    }
    println!();
    for result in results {
        println!("{result}");
    }
    let failed = |line: &Line| matches!(line.verdict, Verdict::Failed(_));
    Ok(u8::from(lines.iter().any(failed)))
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, why) = match &self.verdict {
            Verdict::Ok => ("ok", ""),
            Verdict::Failed(why) => ("FAILED", why.as_str()),
            Verdict::NotChecked(why) => ("not checked", why.as_str()),
        };
        let name = self.step.to_possible_value();
        let name = name.as_ref().map_or("", |name| name.get_name());
        let seconds = self.time.as_secs_f64();
        write!(formatter, "{name:14} {seconds:6.1} s  {word}")?;
        if why.is_empty() {
            Ok(())
        } else {
            write!(formatter, ": {why}")
        }
    }
}

impl Step {
    /// The part of the toolchain that it needs.
    fn part(self) -> Option<Part> {
        match self {
            Self::Fmt => Some(Part::Rustfmt),
            Self::Clippy => Some(Part::Clippy),
            Self::ClippyAarch64 | Self::Assembly => Some(Part::Aarch64),
            Self::OldestRust => Some(Part::Oldest),
            Self::ErrorCodes | Self::Miri | Self::MiriBigEndian => Some(Part::Miri),
            Self::Test | Self::Doc | Self::Lab => None,
        }
    }

    fn run(self, options: &Options, xtask: &Path, results: &mut Vec<String>) -> Result<()> {
        let everything = ["--workspace", "--all-targets"];
        let deny = ["--", "-D", "warnings"];
        let mut command = cargo();
        match self {
            Self::Fmt => command.args(["fmt", "--all", "--check"]),
            Self::Clippy => command.arg("clippy").args(everything).args(deny),
            Self::ClippyAarch64 => command
                .arg("clippy")
                .args(everything)
                .args(["--target", AARCH64])
                .args(deny),
            Self::OldestRust => {
                command = cargo_of(OLDEST);
                command.arg("check").args(everything)
            }
            Self::Test => command.args(["test", "--workspace", "--no-fail-fast"]),
            Self::Doc => command
                .args(["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
            Self::ErrorCodes => {
                command = cargo_of("nightly");
                command.args(["test", "--doc", "--package", "outboard-io-core"])
            }
            Self::Miri => miri(&mut command),
            Self::MiriBigEndian => miri(&mut command).args(["--target", BIG_ENDIAN]),
            Self::Assembly => return assembly::check(),
            Self::Lab => return lab(options, xtask, results),
        };
        stream(&mut command, results)
    }
}

/// Makes `command` the one that runs io-core's tests under Miri.
fn miri(command: &mut Command) -> &mut Command {
    *command = cargo_of("nightly");
    command
        .args(["miri", "test", "--package", "outboard-io-core"])
        .args(["--no-fail-fast", "--lib", "--tests"])
        .env("MIRIFLAGS", "-Zmiri-strict-provenance")
        // It does not optimise, and says so for each test program that asks it to.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
}

/// The lab tests of all packages in one guest, and then the tests of the lab itself.
fn lab(options: &Options, xtask: &Path, results: &mut Vec<String>) -> Result<()> {
    println!("xtask: building the lab tests");
    let tests = static_build::lab_tests()?;
    let before = results.len();
    let mut in_guest = stream(&mut guest(&tests, options, xtask)?, results);
    let ended = results.len() - before;
    if in_guest.is_ok() && (ended < tests.len() || tests.is_empty()) {
        let all = tests.len();
        in_guest = Err(format!("only {ended} of {all} test programs came to their end").into());
    }
    let mut host = cargo();
    host.args([
        "test",
        "--package",
        "xtask",
        "--no-fail-fast",
        "--test",
        "lab_host",
        "--",
        "--ignored",
    ])
    .args(&options.lab_arguments);
    let of_the_lab = stream(&mut host, results);
    in_guest.and(of_the_lab)
}

/// The command that runs `tests` in one guest.
fn guest(tests: &[PathBuf], options: &Options, xtask: &Path) -> Result<Command> {
    let arguments = shlex::try_join(options.lab_arguments.iter().map(String::as_str))?;
    let mut script = "status=0; ".to_owned();
    for test in tests {
        let test = shlex::try_quote(test.to_str().ok_or("cargo's target folder is not UTF-8")?)?;
        script += &format!(
            "echo {test}; timeout -s KILL {TEST_SECONDS} {test} --ignored --test-threads=1 {arguments} || status=1; "
        );
    }
    script += "exit $status";
    // It ends when we do, however that is.
    let mut lab = Command::new("setpriv");
    lab.args(["--pdeathsig", "TERM"])
        .arg(xtask)
        .args(["lab", "--timeout", LAB_SECONDS, "--share"])
        .arg(static_build::target_folder()?)
        .args(["--", "sh", "-c", &script]);
    Ok(lab)
}

/// Announces `command` and runs it, showing what it prints, and keeps the summary lines of test programs.
fn stream(command: &mut Command, results: &mut Vec<String>) -> Result<()> {
    println!("\nxtask: {}", program::line(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context(|| format!("cannot start `{}`", program::line(command)))?;
    let stdout = child.stdout.take().map(BufReader::new);
    for line in stdout.into_iter().flat_map(|stdout| stdout.split(b'\n')) {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if line.starts_with("test result:") {
            results.push(line);
        }
    }
    let status = child.wait()?;
    match status.code() {
        Some(0) => Ok(()),
        Some(124) => Err("it was not done in time".into()),
        Some(125) => Err("the lab's guest crashed or hangs, or could not be started".into()),
        _ => Err(status.to_string().into()),
    }
}
