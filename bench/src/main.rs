//! io-core's accessors and copies on a memory-backed mapping, each beside a named rival.
//!
//! `cargo xtask bench` builds this program and runs it; docs/performance.md says what is compared, and
//! how. It has two commands:
//!
//! - `time [TEXT]` times the rows (those with `TEXT` in their names), and prints each as a line of JSON;
//! - `count ROW SIDE PASSES` goes through one side of a row and prints nothing: something else counts its
//!   instructions.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that xtask and people run"
)]

mod accessors;
mod copies;
mod loops;
mod memory;
mod recorded;
mod row;
mod timing;

use std::process::ExitCode;

use memory::Memory;
use row::Row;

const USAGE: &str = "usage: outboard-bench time [TEXT] | count ROW SIDE PASSES";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["time"] => time(""),
        ["time", text] => time(text),
        ["count", row, side, passes] => count(row, side, passes),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("outboard-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// All rows, in the order in which they are shown.
fn rows() -> Vec<Row> {
    let mut rows = accessors::rows();
    rows.extend(copies::rows());
    rows.extend(recorded::rows());
    rows
}

fn time(text: &str) -> Result<(), String> {
    let memory = Memory::new().map_err(|error| format!("cannot map memory: {error}"))?;
    for row in rows().iter().filter(|row| row.name.contains(text)) {
        println!("{}", timing::time(row, &memory));
    }
    Ok(())
}

fn count(name: &str, side: &str, passes: &str) -> Result<(), String> {
    let memory = Memory::new().map_err(|error| format!("cannot map memory: {error}"))?;
    let rows = rows();
    let row = rows.iter().find(|row| row.name == name);
    let row = row.ok_or_else(|| format!("there is no row {name:?}"))?;
    let run = row.side(side);
    let run = run.ok_or_else(|| format!("{name:?} has no side {side:?}"))?;
    run(&memory, passes.parse().map_err(|_| USAGE)?);
    Ok(())
}
