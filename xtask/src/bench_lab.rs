//! `cargo xtask bench --lab`: what VFIO does with the lab's devices, beside rivals in the same boot.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bench::{self, Options};
use crate::bench_row::{Row, table};
use crate::error::{Context, Result};
use crate::{bench_bind, program, static_build};

/// The guest: the full kernel, three drives that are alike, and room to map 1 GiB.
const GUEST: [&str; 6] = [
    "--kernel",
    "full",
    "--devices",
    "nvme,nvme",
    "--qemu",
    "-m 3072",
];

/// How long all rows may take, in seconds.
const SECONDS: &str = "1800";

/// Builds the bench, runs it in two guests and prints what came of it: one for time, and one that counts.
pub fn run(options: &Options) -> Result<u8> {
    let bench = static_build::lab_bench()?;
    eprintln!("xtask: timing in the lab (about five minutes for all)");
    let (kernel, timed) = in_guest(&GUEST, &["time", &options.only], &bench)?;
    let binds = if bench_bind::is_wanted(&options.only) {
        bench_bind::measure(&bench)?
    } else {
        Vec::new()
    };
    if timed.is_empty() && binds.is_empty() {
        return Err(format!("no row of the lab has {:?} in its name", options.only).into());
    }
    eprintln!("xtask: counting instructions in the lab (about three minutes for all)");
    let counting = [&GUEST[..], &["--count"]].concat();
    let (_, counted) = in_guest(&counting, &["count", &options.only], &bench)?;
    let timed = timed.into_iter().map(|row| row.with_counts_of(&counted));
    let rows: Vec<Row> = timed.chain(binds).collect();
    let machine = format!("{}; {}", bench::machine()?, guest(&kernel)?);
    if options.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let all = json!({ "schema": "outboard.bench-lab/1", "machine": machine, "rows": rows });
        println!("{all:#}");
    } else {
        println!("{machine}\n\n{}", table(&rows));
    }
    Ok(0)
}

/// Runs the bench in a guest with these options. Returns the guest's kernel, and the rows.
pub fn in_guest(options: &[&str], words: &[&str], bench: &Path) -> Result<(String, Vec<Row>)> {
    // It ends when we do, however that is.
    let mut lab = Command::new("setpriv");
    lab.args(["--pdeathsig", "TERM"])
        .arg(std::env::current_exe()?)
        .args(["lab", "--timeout", SECONDS])
        .args(options)
        .arg("--share")
        .arg(static_build::target_folder()?)
        .arg("--")
        .arg(bench)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = lab.output().context(|| "cannot start the lab")?;
    if !output.status.success() {
        let line = program::line(&lab);
        return Err(format!("the bench failed in the lab; the reason is above ({line})").into());
    }
    let (mut rows, mut kernel) = (Vec::new(), String::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let row: Value =
            serde_json::from_str(line).context(|| "the bench gave a row that is no JSON")?;
        match row.get("kernel").and_then(Value::as_str) {
            Some(name) => name.clone_into(&mut kernel),
            None => rows.push(Row::new(&row)?),
        }
    }
    Ok((kernel, rows))
}

/// What the guest is.
fn guest(kernel: &str) -> Result<String> {
    let version = program::run(Command::new("qemu-system-x86_64").arg("--version"))?;
    let version = String::from_utf8_lossy(&version).into_owned();
    let version = version
        .split_whitespace()
        .nth(3)
        .unwrap_or("of unknown version");
    Ok(format!(
        "in a guest of QEMU {version} with 2 emulated processors, 3 GiB, Intel's IOMMU, Linux {kernel}"
    ))
}
