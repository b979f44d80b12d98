//! Runs other programs quietly: what they print is shown only when they fail.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Context, Result};

/// How many of a failed program's last lines are repeated.
const LINES_SHOWN: usize = 12;

/// Runs `command` to its end and returns what it wrote to stdout.
///
/// # Errors
///
/// A sentence with the command and the end of its stderr, if it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context(|| format!("cannot start `{}`", line(command)))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`{}` failed ({}):\n{}",
        line(command),
        output.status,
        last_lines(&said, LINES_SHOWN)
    )
    .into())
}

/// The last `count` lines of `text`.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The command as one would type it.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Command, last_lines, run};

    #[test]
    fn only_the_last_lines_are_kept() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
    }

    #[test]
    fn a_failure_names_the_command_and_repeats_its_stderr() {
        let error = run(Command::new("sh").args(["-c", "echo because >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`sh -c echo because >&2; exit 3` failed"));
        assert!(text.ends_with("because"));
    }
}
