//! What is said at the end of a run, and the status to exit with.

use std::fs;
use std::path::Path;

use crate::error::Result;
use crate::machine::Outcome;
use crate::program::last_lines;

/// The time was over.
const TIMED_OUT: u8 = 124;

/// QEMU, the guest or its kernel ended, or hangs, before the command did; or there was no guest at all.
pub const LOST: u8 = 125;

/// We were asked to stop; shells have this for Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How many lines of the console are shown at least.
const LINES: usize = 40;

/// What a kernel says when it gives up.
const PANIC: &str = "Kernel panic";

/// The status to exit with. If it is not the command's, this says on stderr what happened, with the end of the
/// `console` and of what QEMU said in its `log`. A shell, in an `interactive` run, may end by switching the guest off.
pub fn status(outcome: Outcome, interactive: bool, console: &Path, log: &Path) -> Result<u8> {
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let (console, log) = (read(console), read(log));
    match outcome {
        Outcome::Exit(code) => Ok(code),
        Outcome::Interrupted => Ok(INTERRUPTED),
        Outcome::Refused(status) => Err(format!(
            "QEMU did not start the machine ({status}). If it is the kernel, removing the cache helps \
             (~/.cache/outboard). It said:\n{}",
            last_lines(&log, LINES)
        )
        .into()),
        Outcome::TimedOut(limit) => {
            show("the console", &console);
            let seconds = limit.as_secs();
            eprintln!("xtask: the command was not done after {seconds} s, the guest was ended");
            Ok(TIMED_OUT)
        }
        Outcome::SwitchedOff { .. } if console.contains(PANIC) => Ok(lost(
            "the guest's kernel panicked; its last words are above",
            &console,
            &log,
        )),
        Outcome::SwitchedOff { up: true } if interactive => Ok(0),
        Outcome::SwitchedOff { .. } => Ok(lost(
            "the guest was switched off before the command ended",
            &console,
            &log,
        )),
        Outcome::Lost(sentence) => Ok(lost(&sentence, &console, &log)),
    }
}

fn lost(sentence: &str, console: &str, log: &str) -> u8 {
    show("what QEMU said", log);
    show("the console", console);
    eprintln!("xtask: {sentence}");
    LOST
}

fn show(name: &str, text: &str) {
    if !text.trim().is_empty() {
        eprintln!("--- the end of {name} ---\n{}\n---", end(text));
    }
}

/// The last lines, and all from a panic on.
fn end(text: &str) -> String {
    let panic = text.find(PANIC).and_then(|start| text.get(start..));
    let since_panic = panic.map_or(0, |panic| panic.lines().count());
    last_lines(text, LINES.max(since_panic))
}

#[cfg(test)]
mod tests {
    use super::{LINES, end};

    #[test]
    fn the_end_begins_with_the_panic_or_before() {
        let lines = |count| "a line\n".repeat(count);
        assert_eq!(end(&lines(100)).lines().count(), LINES);
        let long = format!("{}[ 1.0] Kernel panic - x\n{}", lines(100), lines(60));
        assert!(end(&long).starts_with("[ 1.0] Kernel panic - x\n"));
        let short = format!("{}Kernel panic - x\n{}", lines(100), lines(3));
        assert_eq!(end(&short).lines().count(), LINES);
    }
}
