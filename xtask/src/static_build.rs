//! Programs for the guest, which has no shared libraries: linked statically, in a target folder of their own, so that
//! their flags do not throw away what ordinary builds made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Result};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// The top of the checkout.
pub fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Builds the `outboard` command.
pub fn outboard() -> Result<PathBuf> {
    program("outboard-tools", "outboard")
}

/// Builds the bench that runs in the guest.
pub fn lab_bench() -> Result<PathBuf> {
    program("outboard-bench", "outboard-bench-lab")
}

/// Builds a program of the guide.
pub fn guide(step: &str) -> Result<PathBuf> {
    program("outboard-guide", step)
}

/// Builds the program `name` of `package`, optimised.
fn program(package: &str, name: &str) -> Result<PathBuf> {
    let messages = build(&["build", "--release", "--package", package, "--bin", name])?;
    program_in(&messages)
        .ok_or_else(|| format!("cargo built {name} and did not say where it is").into())
}

/// The program that cargo made, by its messages.
pub fn program_in(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .find_map(|message| executable(message, false))
}

/// Builds the test targets called `lab` of all packages.
pub fn lab_tests() -> Result<Vec<PathBuf>> {
    let messages = build(&["test", "--no-run", "--workspace", "--test", "lab"])?;
    let tests = messages
        .lines()
        .filter_map(|message| executable(message, true));
    Ok(tests.collect())
}

/// The folder that everything is built in.
pub fn target_folder() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from);
    let target =
        std::path::absolute(target).context(|| "cannot tell where cargo's target folder is")?;
    Ok(target.join("lab"))
}

/// Runs cargo and returns its messages, each a line of JSON.
fn build(arguments: &[&str]) -> Result<String> {
    let mut command = cargo();
    command
        .args(arguments)
        .args([
            "--quiet",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(target_folder()?)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        // It is a fifth of the size then, and is read from the initial file system in each run.
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().context(|| "cannot start cargo")?;
    if !output.status.success() {
        return Err(format!(
            "the guest's programs cannot be built; the reason is above ({})",
            crate::program::line(&command)
        )
        .into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The executable that a message of cargo's is about, if it is one, and a test if `test`.
fn executable(message: &str, test: bool) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let of_test = message.get("profile")?.get("test")?.as_bool()?;
    let path = message.get("executable")?.as_str()?;
    (of_test == test).then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::{PathBuf, executable};

    #[test]
    fn only_messages_about_the_wanted_executables_count() {
        let test = r#"{"profile":{"test":true},"executable":"/t/deps/lab"}"#;
        let program = r#"{"profile":{"test":false},"executable":"/t/outboard"}"#;
        let library = r#"{"profile":{"test":false},"executable":null}"#;
        let messages = [
            test,
            program,
            library,
            r#"{"reason":"build-finished"}"#,
            "text",
        ];
        let found = |wanted| {
            messages
                .into_iter()
                .filter_map(|message| executable(message, wanted))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(true), [PathBuf::from("/t/deps/lab")]);
        assert_eq!(found(false), [PathBuf::from("/t/outboard")]);
    }
}
