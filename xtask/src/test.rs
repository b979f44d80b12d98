//! `cargo xtask test`: everything that must hold, in one go, with a summary.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::assembly;
use crate::error::Result;
use crate::lab_tests;
use crate::static_build::{cargo, target_folder};
use crate::stream::{say, stream};
use crate::toolchain::{AARCH64, I686, OLDEST, Part, cargo_of};

/// A big-endian machine that Miri knows.
const BIG_ENDIAN: &str = "s390x-unknown-linux-gnu";

/// What a 32-bit machine can use.
const ON_32_BITS: [&str; 3] = ["outboard-io-core", "outboard-pci-host", "outboard-firmware"];

/// Check formatting, lints, unit tests, documentation, undefined behaviour and the lab tests
///
/// A failure does not stop it; the summary tells what failed and what could not be checked. The last lines are
/// cargo's own summaries of all test programs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Do not boot the lab
    #[arg(long)]
    pub no_lab: bool,
    /// Boot it with the lab's own kernel too, with other IOMMUs, and with QEMU 10; the first time takes some minutes more
    #[arg(long, conflicts_with = "no_lab")]
    pub full: bool,
    /// Only these steps
    #[arg(long, value_enum, value_name = "STEP", num_args = 1.., conflicts_with_all = ["no_lab", "full"])]
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
    /// Lints of what a 32-bit machine compiles, without VFIO: vfio-bindings is for 64-bit machines only.
    #[value(name = "clippy-i686")]
    ClippyI686,
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
    /// All ways in which threads can meet where they share more than data.
    Loom,
    /// Undefined behaviour in io-core.
    Miri,
    /// The same as on a big-endian machine: numbers on a device stay little-endian.
    MiriBigEndian,
    /// Tests in a guest, and of the lab itself.
    Lab,
    /// Tests in guests with the lab's own kernel, other IOMMUs and QEMU 10; what --full adds.
    LabFull,
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
        if !step.is_wanted(options) {
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
    say("");
    for line in &lines {
        say(&line.to_string());
    }
    say("");
    for result in &results {
        say(result);
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
    fn is_wanted(self, options: &Options) -> bool {
        match self {
            _ if !options.only.is_empty() => options.only.contains(&self),
            Self::Lab => !options.no_lab,
            Self::LabFull => options.full,
            _ => true,
        }
    }

    /// The part of the toolchain that it needs.
    fn part(self) -> Option<Part> {
        match self {
            Self::Fmt => Some(Part::Rustfmt),
            Self::Clippy => Some(Part::Clippy),
            Self::ClippyAarch64 | Self::Assembly => Some(Part::Aarch64),
            Self::ClippyI686 => Some(Part::I686),
            Self::OldestRust => Some(Part::Oldest),
            Self::ErrorCodes | Self::Miri | Self::MiriBigEndian => Some(Part::Miri),
            Self::Test | Self::Doc | Self::Loom | Self::Lab | Self::LabFull => None,
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
            Self::ClippyI686 => command
                .arg("clippy")
                .args(ON_32_BITS.iter().flat_map(|name| ["--package", name]))
                .args(["--all-targets", "--target", I686])
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
            Self::Loom => command
                .args([
                    "test",
                    "--package",
                    "outboard-io-core",
                    "--test",
                    "revocable",
                ])
                // Not in the place of what is built without it.
                .arg("--target-dir")
                .arg(target_folder()?.with_file_name("loom"))
                .env("RUSTFLAGS", "--cfg loom"),
            Self::Miri => miri(&mut command),
            Self::MiriBigEndian => miri(&mut command).args(["--target", BIG_ENDIAN]),
            Self::Assembly => return assembly::check(),
            Self::Lab => {
                let arguments = &options.lab_arguments;
                let in_guest = lab_tests::run(lab_tests::STOCK, arguments, xtask, results);
                return in_guest.and(stream(&mut of_the_lab(options), results));
            }
            Self::LabFull => {
                let arguments = &options.lab_arguments;
                return lab_tests::run(lab_tests::FULL, arguments, xtask, results);
            }
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

/// The tests of the lab itself, each with guests of its own.
fn of_the_lab(options: &Options) -> Command {
    let mut command = cargo();
    command
        .args(["test", "--package", "xtask", "--no-fail-fast"])
        .args(["--test", "lab_host", "--", "--ignored"])
        .args(&options.lab_arguments);
    command
}
