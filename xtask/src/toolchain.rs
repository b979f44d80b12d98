//! The parts of the Rust toolchain that the tests need, and how rustup adds them.

use std::path::Path;
use std::process::Command;

use crate::program;
use crate::static_build::cargo;

/// The architecture that is only compiled for.
pub const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// A part that may be missing.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The formatter.
    Rustfmt,
    /// The linter.
    Clippy,
    /// The standard library for [`AARCH64`].
    Aarch64,
    /// A nightly toolchain with Miri.
    Miri,
}

impl Part {
    /// Makes sure that it is there.
    ///
    /// # Errors
    ///
    /// Why it is not, in one line: then what needs it cannot be checked.
    pub fn ensure(self) -> Result<(), String> {
        if self.works() {
            return Ok(());
        }
        let arguments: &[&str] = match self {
            Self::Rustfmt => &["component", "add", "rustfmt"],
            Self::Clippy => &["component", "add", "clippy"],
            Self::Aarch64 => &["target", "add", AARCH64],
            Self::Miri => &[
                "toolchain",
                "install",
                "nightly",
                "--profile=minimal",
                "--component=miri,rust-src",
            ],
        };
        let mut rustup = Command::new("rustup");
        rustup.args(arguments);
        eprintln!("xtask: {}", program::line(&rustup));
        program::run(&mut rustup).map_err(|error| error.to_string().replace('\n', " "))?;
        if self.works() {
            Ok(())
        } else {
            Err(format!(
                "`{}` succeeded and did not help",
                program::line(&rustup)
            ))
        }
    }

    fn works(self) -> bool {
        let answer = match self {
            Self::Rustfmt => program::run(cargo().args(["fmt", "--version"])),
            Self::Clippy => program::run(cargo().args(["clippy", "--version"])),
            Self::Aarch64 => {
                let rustc = &mut Command::new("rustc");
                program::run(rustc.args(["--target", AARCH64, "--print", "target-libdir"]))
            }
            // It builds the standard library for Miri on first use; with CI it does not ask whether it may.
            Self::Miri => program::run(nightly_cargo().args(["miri", "setup"]).env("CI", "true")),
        };
        match (self, answer) {
            (Self::Aarch64, Ok(folder)) => {
                Path::new(String::from_utf8_lossy(&folder).trim()).is_dir()
            }
            (_, answer) => answer.is_ok(),
        }
    }
}

/// The nightly toolchain's cargo, in the checkout.
pub fn nightly_cargo() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    command.current_dir(crate::static_build::workspace());
    command
}
