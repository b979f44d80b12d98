//! `cargo xtask bench`: io-core's accessors and copies, `outboard list`, and in the lab what real VFIO does, each beside a
//! named rival.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::assembly::target_folder;
use crate::bench_row::{Row, table};
use crate::error::{Context, Result};
use crate::static_build::cargo;
use crate::{bench_lab, bench_list, instructions, program, register_build};

/// The name of the row about the time that a build takes.
const REGISTER_BUILD: &str = "definitions of registers";

/// Compare accessors and copies with their rivals: time as a ratio, and instructions
///
/// Fails (status 1) if a target about instructions is missed. Times depend on the machine and on what else it
/// does, so that they are shown and fail nothing. docs/performance.md says what is compared, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// In the lab, with its own kernel: what VFIO does with real devices, and nothing else (some minutes)
    #[arg(long)]
    lab: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Only what has this text in its name
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub only: String,
}

/// Builds the bench, runs it and prints what came of it.
pub fn run(options: &Options) -> Result<u8> {
    if options.lab {
        return bench_lab::run(options);
    }
    instructions::ensure()?;
    let bench = build()?;
    eprintln!("xtask: timing");
    let timed = program::run(Command::new(&bench).args(["time", &options.only]))?;
    let timed = String::from_utf8(timed)?;
    eprintln!("xtask: counting instructions (under valgrind; about a minute for all)");
    let mut rows = Vec::new();
    for line in timed.lines() {
        let row = serde_json::from_str(line).context(|| "the bench gave a row that is no JSON")?;
        rows.push(Row::new(&row)?.with_instructions(&bench)?);
    }
    if bench_list::is_wanted(&options.only) {
        rows.extend(bench_list::measure()?);
    }
    let registers = if REGISTER_BUILD.contains(&options.only) {
        eprintln!("xtask: building a crate with {REGISTER_BUILD}");
        Some(register_build::measure()?)
    } else {
        None
    };
    if rows.is_empty() && registers.is_none() {
        return Err(format!("no row has {:?} in its name", options.only).into());
    }
    if options.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let all = json!({ "schema": "outboard.bench/1", "machine": machine()?, "rows": rows,
            "register_build": registers.map(|times| times.json()) });
        println!("{all:#}");
    } else {
        println!("{}\n\n{}", machine()?, table(&rows));
        if let Some(times) = registers {
            println!("{}", times.text());
        }
    }
    Ok(u8::from(rows.iter().any(Row::fails)))
}

/// Builds the bench, optimised as what is shipped.
fn build() -> Result<PathBuf> {
    eprintln!("xtask: building the bench");
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--release"])
        .args(["--package", "outboard-bench"])
        .stdin(Stdio::null());
    program::run(&mut command)?;
    Ok(target_folder().join("release/outboard-bench"))
}

/// The processor and the compiler.
pub fn machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo").context(|| "cannot read /proc/cpuinfo")?;
    let of = |key| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(name, value)| (name.trim() == key).then(|| value.trim().to_owned()))
    };
    let processor = of("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let flags = of("flags").unwrap_or_default();
    let machine = if flags.split(' ').any(|flag| flag == "hypervisor") {
        " in a virtual machine"
    } else {
        ""
    };
    let rustc = program::run(Command::new("rustc").arg("--version"))?;
    let rustc = String::from_utf8_lossy(&rustc);
    let arch = std::env::consts::ARCH;
    Ok(format!("{processor}{machine}, {arch}, {}", rustc.trim()))
}
