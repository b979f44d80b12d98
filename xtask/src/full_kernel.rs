//! The lab's own kernel, `--kernel full`: built from Debian 13's source with the fragment `kernel/lab.config`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::{Context, Result};
use crate::{cache, debian13, packages, program};

/// The package of the source. It is of Linux 6.12, with the distribution's latest corrections.
const SOURCE: &str = "linux-source-6.12";

/// What is switched on, on top of next to nothing.
const FRAGMENT: &str = include_str!("../kernel/lab.config");

/// What a build needs on a Debian machine that has only Rust and a C linker.
const PACKAGES: [&str; 7] = [
    "bc",
    "bison",
    "flex",
    "gcc",
    "libc6-dev",
    "libelf-dev",
    "make",
];

/// The file for QEMU: the kernel proper, which it starts by the PVH protocol. All is built in.
pub fn ready() -> Result<PathBuf> {
    let folder = cache::entry(&cache_name(), build)?;
    Ok(folder.join("vmlinux"))
}

/// The cache entry is named after what it is made of.
fn cache_name() -> String {
    let hash = Sha256::digest(FRAGMENT);
    let hash: String = hash
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("kernel-{SOURCE}-{hash}")
}

fn build(folder: &Path) -> Result<()> {
    packages::ensure(&PACKAGES)?;
    let scratch = tempfile::tempdir_in(folder)?;
    let scratch = scratch.path();
    debian13::unpack(&[SOURCE], false, &scratch.join("apt"), scratch)?;
    eprintln!("xtask: building the lab's kernel, once; this takes some six minutes");
    let archive = scratch.join(format!("usr/src/{SOURCE}.tar.xz"));
    let mut tar = Command::new("tar");
    program::run(
        tar.arg("--extract")
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(scratch),
    )?;
    let source = scratch.join(SOURCE);
    fs::write(source.join("kernel/configs/lab.config"), FRAGMENT)?;
    make(&source, &["tinyconfig", "lab.config"])?;
    let config = fs::read_to_string(source.join(".config"))?;
    check(&config)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    make(&source, &["--jobs", &jobs.to_string(), "vmlinux"])?;
    fs::write(folder.join("config"), config)?;
    fs::copy(source.join("vmlinux"), folder.join("vmlinux"))?;
    Ok(())
}

/// It ends when we do, however that is.
fn make(source: &Path, arguments: &[&str]) -> Result<()> {
    let mut make = Command::new("setpriv");
    make.args(["--pdeathsig", "TERM", "make", "--silent", "--directory"])
        .arg(source)
        .args(arguments);
    program::run(&mut make)
        .map(drop)
        .context(|| "the lab's kernel cannot be built")
}

/// A symbol that another one keeps off would only be noticed by the test that needs it.
fn check(config: &str) -> Result<()> {
    let taken = |line: &&str| config.lines().any(|of_kernel| of_kernel == *line);
    let lost: Vec<&str> = FRAGMENT
        .lines()
        .filter(|line| line.ends_with("=y") && !taken(line))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the kernel's configuration does not take {}",
        lost.join(", ")
    )
    .into())
}
