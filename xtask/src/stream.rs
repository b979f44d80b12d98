//! Runs test programs visibly, and keeps their summaries.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::error::{Context, Result};
use crate::program;

/// What a shell reports of a program that wrote to a closed pipe: 128 + SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// Prints a line. Where nobody reads any more, as behind `| head`, this is the end.
pub fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(CLOSED_PIPE);
    }
}

/// Announces `command` and runs it, showing what it prints, and keeps the summary lines of test programs.
pub fn stream(command: &mut Command, results: &mut Vec<String>) -> Result<()> {
    say(&format!("\nxtask: {}", program::line(command)));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context(|| format!("cannot start `{}`", program::line(command)))?;
    let stdout = child.stdout.take().map(BufReader::new);
    for line in stdout.into_iter().flat_map(|stdout| stdout.split(b'\n')) {
        let line = String::from_utf8_lossy(&line?).into_owned();
        say(&line);
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
