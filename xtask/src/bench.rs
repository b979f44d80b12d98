//! `cargo xtask bench`: io-core's accessors and copies, each beside a named rival.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::assembly::target_folder;
use crate::error::{Context, Result};
use crate::static_build::cargo;
use crate::{instructions, program, register_build};

/// What a count may be off by, for one access.
const SLACK: f64 = 0.01;

/// The name of the row about the time that a build takes.
const REGISTER_BUILD: &str = "definitions of registers";

/// How many passes are counted at least, and at most.
const LEAST: u32 = 16;
const MOST: u32 = 1 << 14;

/// Compare accessors and copies with their rivals: time as a ratio, and instructions
///
/// Fails (status 1) if a target about instructions is missed. Times depend on the machine and on what else it
/// does, so that they are shown and fail nothing. docs/performance.md says what is compared, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only what has this text in its name
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

/// Builds the bench, runs it and prints what came of it.
pub fn run(options: &Options) -> Result<u8> {
    instructions::ensure()?;
    let bench = build()?;
    eprintln!("xtask: timing");
    let timed = program::run(Command::new(&bench).args(["time", &options.only]))?;
    let timed = String::from_utf8(timed)?;
    eprintln!("xtask: counting instructions (under valgrind; about a minute for all)");
    let mut rows = Vec::new();
    for line in timed.lines() {
        let row = serde_json::from_str(line).context(|| "the bench gave a row that is no JSON")?;
        rows.push(Row::new(&row, &bench)?);
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
    let failed = |row: &Row| row.target.counts() && row.met == Some(false);
    Ok(u8::from(rows.iter().any(failed)))
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

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    /// At most this many instructions more than the rival, for one access.
    MoreInstructions(f64),
    /// At most this many times the rival's time.
    Time(f64),
    /// Nothing.
    Nothing,
}

impl Target {
    fn new(row: &Value) -> Self {
        let target = row.get("target");
        let of = |key| target.and_then(|target| target.get(key)?.as_f64());
        of("more_instructions")
            .map(Self::MoreInstructions)
            .or_else(|| of("time").map(Self::Time))
            .unwrap_or(Self::Nothing)
    }

    /// Whether it is one about instructions.
    fn counts(self) -> bool {
        matches!(self, Self::MoreInstructions(_))
    }

    fn is_met(self, time_ratio: f64, more_instructions: f64) -> Option<bool> {
        match self {
            Self::MoreInstructions(more) => Some(more_instructions <= more + SLACK),
            Self::Time(ratio) => Some(time_ratio <= ratio),
            Self::Nothing => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::MoreInstructions(0.0) => "1.00 instr.".to_owned(),
            Self::MoreInstructions(more) => format!("+{more} instr."),
            Self::Time(ratio) => format!("{ratio:.2} time"),
            Self::Nothing => "-".to_owned(),
        }
    }
}

/// A line of the table. Times are nanoseconds, and like the instructions of one access, or of one copy.
#[derive(Clone, Debug)]
struct Row {
    what: String,
    rival: String,
    times: [f64; 2],
    ratio: f64,
    quartiles: [f64; 2],
    instructions: [f64; 2],
    target: Target,
    met: Option<bool>,
}

impl Row {
    /// What the bench says of a row, with its instructions counted.
    fn new(row: &Value, bench: &Path) -> Result<Self> {
        let text = |key: &str| Some(row.get(key)?.as_str()?.to_owned());
        let number = |pointer: &str| {
            let number = row.pointer(pointer).and_then(Value::as_f64);
            number.ok_or_else(|| format!("a row of the bench has no {pointer}: {row}"))
        };
        let what = text("what").ok_or("a row of the bench has no name")?;
        let rival = text("rival").ok_or("a row of the bench has no rival")?;
        let accesses = number("/accesses")?;
        // As many as take a moment where nothing is counted.
        let passes = row
            .get("passes")
            .and_then(Value::as_u64)
            .and_then(|n| u32::try_from(n).ok());
        let passes = passes
            .ok_or("a row of the bench has no number of passes")?
            .clamp(LEAST, MOST);
        let instructions = instructions::of_a_pass(bench, &what, ["ours", &rival], passes)?;
        let [ours, theirs] = instructions.map(|pass| pass / accesses);
        let (ratio, target) = (number("/time_ratio")?, Target::new(row));
        Ok(Self {
            what,
            rival,
            times: [number("/nanoseconds/ours")?, number("/nanoseconds/rival")?],
            ratio,
            quartiles: [
                number("/time_ratio_quartiles/0")?,
                number("/time_ratio_quartiles/1")?,
            ],
            instructions: [ours, theirs],
            target,
            met: target.is_met(ratio, ours - theirs),
        })
    }

    fn json(&self) -> Value {
        let [ours, rival] = self.instructions;
        let target = match self.target {
            Target::MoreInstructions(more) => json!({ "more_instructions": more }),
            Target::Time(ratio) => json!({ "time_ratio": ratio }),
            Target::Nothing => Value::Null,
        };
        json!({
            "what": self.what,
            "rival": self.rival,
            "nanoseconds": { "ours": self.times[0], "rival": self.times[1] },
            "time_ratio": self.ratio,
            "time_ratio_quartiles": self.quartiles,
            "instructions": { "ours": ours, "rival": rival, "more": ours - rival },
            "target": target,
            "met": self.met,
        })
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "WHAT",
        "RIVAL",
        "OURS ns",
        "RIVAL ns",
        "RATIO",
        "QUARTILES",
        "OURS instr.",
        "RIVAL instr.",
        "TARGET",
        "MET",
    ]);
    for row in rows {
        let (low, high) = (row.quartiles[0], row.quartiles[1]);
        let met = row
            .met
            .map_or("-", |met| if met { "met" } else { "missed" });
        table.add_row([
            row.what.clone(),
            row.rival.clone(),
            short(row.times[0]),
            short(row.times[1]),
            format!("{:.3}", row.ratio),
            format!("{low:.3}-{high:.3}"),
            short(row.instructions[0]),
            short(row.instructions[1]),
            row.target.text(),
            met.to_owned(),
        ]);
    }
    for column in 2..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.trim().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A number of nanoseconds or instructions: of many, the fractions say nothing.
fn short(number: f64) -> String {
    if number < 100.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

/// The processor and the compiler.
fn machine() -> Result<String> {
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

#[cfg(test)]
mod tests {
    use super::{Target, json};

    #[test]
    fn a_target_about_instructions_is_judged_by_them_alone() {
        let target = Target::new(&json!({ "target": { "more_instructions": 2 } }));
        assert_eq!(target, Target::MoreInstructions(2.0));
        assert_eq!(target.is_met(9.0, 2.0), Some(true));
        assert_eq!(target.is_met(0.5, 3.0), Some(false));
    }

    #[test]
    fn a_target_about_time_is_judged_by_the_ratio() {
        let target = Target::new(&json!({ "target": { "time": 1.05 } }));
        assert_eq!(target.is_met(1.05, 9.0), Some(true));
        assert_eq!(target.is_met(1.06, 0.0), Some(false));
    }

    #[test]
    fn without_a_target_nothing_is_missed() {
        let target = Target::new(&json!({ "target": null }));
        assert_eq!(target.is_met(9.0, 9.0), None);
    }
}
