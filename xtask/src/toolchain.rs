//! The parts of the Rust toolchain that the tests need, and how rustup adds them.

use std::path::Path;
use std::process::Command;

use crate::program;
use crate::static_build::cargo;

/// The architecture that is only compiled for.
pub const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// A 32-bit architecture that is only compiled for.
pub const I686: &str = "i686-unknown-linux-gnu";

/// The oldest Rust that we promise to build with.
pub const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// A part that may be missing.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The formatter.
    Rustfmt,
    /// The linter.
    Clippy,
    /// The standard library for [`AARCH64`].
    Aarch64,
    /// The standard library for [`I686`].
    I686,
    /// A toolchain of version [`OLDEST`].
    Oldest,
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
            Self::I686 => &["target", "add", I686],
            Self::Oldest => &["toolchain", "install", OLDEST, "--profile=minimal"],
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
        program::run(&mut rustup).map_err(|error| {
            let error = error.to_string().replace('\n', " ");
            format!("{error}. Without rustup, it has to be installed by hand")
        })?;
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
            Self::Aarch64 => return has_library(AARCH64),
            Self::I686 => return has_library(I686),
            Self::Oldest => program::run(cargo_of(OLDEST).arg("--version")),
            // It builds the standard library for Miri on first use; with CI it does not ask whether it may.
            Self::Miri => program::run(
                cargo_of("nightly")
                    .args(["miri", "setup"])
                    .env("CI", "true"),
            ),
        };
        answer.is_ok()
    }
}

/// Whether the standard library for `target` is there.
fn has_library(target: &str) -> bool {
    let rustc = &mut Command::new("rustc");
    program::run(rustc.args(["--target", target, "--print", "target-libdir"]))
        .is_ok_and(|folder| Path::new(String::from_utf8_lossy(&folder).trim()).is_dir())
}

/// The cargo of another toolchain, in the checkout.
pub fn cargo_of(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]);
    command.current_dir(crate::static_build::workspace());
    command
}
