//! How many instructions a program makes: callgrind counts them, the same each time.

use std::path::Path;
use std::process::Command;
use std::thread;

use crate::error::{Context, Result};
use crate::{packages, program};

/// Makes sure that valgrind is installed.
pub fn ensure() -> Result<()> {
    if program::run(Command::new("valgrind").arg("--version")).is_ok() {
        return Ok(());
    }
    packages::ensure(&["valgrind"])
}

/// The instructions that one pass of each of `sides` of a row of the bench takes.
///
/// That is the difference between a run of `passes` and one of twice as many, so that what comes before and after
/// does not count.
pub fn of_a_pass(bench: &Path, row: &str, sides: [&str; 2], passes: u32) -> Result<[f64; 2]> {
    let count = |side: &str| {
        let short = count(bench, row, side, passes).map_err(|error| error.to_string())?;
        let long = count(bench, row, side, 2 * passes).map_err(|error| error.to_string())?;
        Ok::<_, String>((long - short) / f64::from(passes))
    };
    let [ours, rival] = sides;
    thread::scope(|scope| {
        let ours = scope.spawn(|| count(ours));
        let rival = count(rival)?;
        let ours = ours.join().map_err(|_| "a thread panicked")??;
        Ok([ours, rival])
    })
}

/// The instructions of a whole run.
fn count(bench: &Path, row: &str, side: &str, passes: u32) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // Its report, which it writes to stderr otherwise.
        .arg("--log-fd=1")
        .arg(bench)
        .args(["count", row, side, &passes.to_string()]);
    let report = program::run(&mut valgrind)?;
    let report = String::from_utf8_lossy(&report);
    collected(&report).context(|| format!("`{}` gave no count", program::line(&valgrind)))
}

/// The number in callgrind's line `==1234== Collected : 5678`.
fn collected(report: &str) -> Result<f64> {
    let number = report
        .lines()
        .find_map(|line| line.split_once("Collected :"));
    let (_, number) = number.ok_or("it has no line \"Collected\"")?;
    Ok(number.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_stands_behind_collected() {
        // The end of what valgrind 3.19 prints.
        let report = "==95== Events    : Ir\n==95== Collected : 209764\n==95== \n==95== I   refs:      209,764\n";
        assert_eq!(collected(report).unwrap().to_string(), "209764");
        assert!(collected("==95== Events    : Ir\n").is_err());
    }
}
