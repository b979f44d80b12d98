//! What definitions of registers add to the time that a driver takes to build.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Context, Result};
use crate::static_build::{cargo, workspace};

/// How many registers there are, with five fields each.
const REGISTERS: usize = 1000;

/// What they are meant to stay below.
const TARGET: Duration = Duration::from_secs(5);

/// How long debug builds of a crate take, after what it depends on has been built.
#[derive(Clone, Copy, Debug)]
pub struct BuildTimes {
    /// With no registers.
    without: Duration,
    /// With [`REGISTERS`] of them.
    defined: Duration,
    /// With as many, each of which is also read, updated and printed.
    used: Duration,
}

impl BuildTimes {
    /// What the definitions alone add.
    fn added(&self) -> Duration {
        self.defined.saturating_sub(self.without)
    }

    /// What definitions and uses add.
    fn added_with_uses(&self) -> Duration {
        self.used.saturating_sub(self.without)
    }

    /// Whether the definitions add as little as they are meant to.
    fn met(&self) -> bool {
        self.added() < TARGET
    }

    /// As a sentence.
    pub fn text(&self) -> String {
        format!(
            "{REGISTERS} registers of five fields add {:.2} s to a debug build (target: less than {} s, {}); \
             with a read, an update and a print of each, {:.2} s",
            self.added().as_secs_f64(),
            TARGET.as_secs(),
            if self.met() { "met" } else { "missed" },
            self.added_with_uses().as_secs_f64()
        )
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        json!({
            "registers": REGISTERS,
            "seconds_added": self.added().as_secs_f64(),
            "seconds_added_with_uses": self.added_with_uses().as_secs_f64(),
            "target_seconds": TARGET.as_secs(),
            "met": self.met(),
        })
    }
}

/// Makes a crate in a temporary folder and builds it with and without registers.
pub fn measure() -> Result<BuildTimes> {
    let folder = tempfile::tempdir().context(|| "cannot make a folder for the crate")?;
    let folder = folder.path();
    let io_core = workspace().join("crates/io-core");
    let manifest = format!(
        "[package]\nname = \"driver\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         io_core = {{ package = \"outboard-io-core\", path = {io_core:?} }}\n\n[workspace]\n"
    );
    write(&folder.join("Cargo.toml"), &manifest)?;
    fs::create_dir(folder.join("src")).context(|| "cannot make a folder for the crate")?;
    // The first one builds io-core too.
    build(folder, &source(0, false))?;
    let without = build(folder, &source(0, false))?;
    let defined = build(folder, &source(REGISTERS, false))?;
    let used = build(folder, &source(REGISTERS, true))?;
    Ok(BuildTimes {
        without,
        defined,
        used,
    })
}

/// Builds the crate in `folder` of this source, and says how long that took.
fn build(folder: &Path, source: &str) -> Result<Duration> {
    write(&folder.join("src/lib.rs"), source)?;
    let start = Instant::now();
    let output = cargo()
        .current_dir(folder)
        .args(["build", "--offline", "--quiet"])
        // Cargo tells changed files by their times, which may be the same for two builds.
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .context(|| "cannot start cargo")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cannot build {}: {why}", folder.display()).into());
    }
    Ok(start.elapsed())
}

/// A driver's definitions of registers, and code that uses each of them if there are to be `accesses`.
fn source(registers: usize, accesses: bool) -> String {
    let mut source = "//! A driver.\npub use io_core::Io;\n".to_owned();
    for block in 0..registers / 20 {
        source += "io_core::register! {\n";
        for register in block * 20..(block + 1) * 20 {
            let (name, offset) = (format!("REGISTER_{register}"), register * 4);
            let _ = writeln!(
                source,
                "/// Register {register}.\npub {name}(u32) @ {offset:#x} {{\n\
                 /// What it does.\n31:24 kind;\n23:12 count;\n11:8 mode => Mode;\n\
                 /// Whether it does.\n1:1 ready => bool;\n0:0 enable => bool;\n}}"
            );
        }
        source += "}\n";
    }
    source += MODE;
    if accesses {
        source += "pub fn all(io: io_core::Mmio<'_, io_core::Region<0x1000>>) {\n";
        for register in 0..registers {
            let _ = writeln!(
                source,
                "io.update(REGISTER_{register}, |r| r.with_enable(true).with_const_count::<7>());\n\
                 println!(\"{{:?}}\", io.read(REGISTER_{register}));"
            );
        }
        source += "}\n";
    }
    source
}

/// A type that fields are converted into.
const MODE: &str = "
/// A mode.
pub struct Mode(u8);
impl From<io_core::Bounded<u32, 4>> for Mode {
    fn from(value: io_core::Bounded<u32, 4>) -> Self {
        Self(value.into())
    }
}
impl From<Mode> for io_core::Bounded<u32, 4> {
    fn from(mode: Mode) -> Self {
        Self::from_expr(u32::from(mode.0))
    }
}
";

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(|| format!("cannot write {}", path.display()))
}
