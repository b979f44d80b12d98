//! Distribution packages: what must be installed, and apt.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Context, Result};
use crate::program;

/// What the lab needs on a Debian machine that has only Rust and a C linker.
///
/// `pci.ids` gives `outboard list` its names in the guest; `xz-utils` unpacks kernels and their modules.
const LAB: [&str; 4] = ["qemu-system-x86", "busybox-static", "pci.ids", "xz-utils"];

/// Makes sure that all that the lab needs is installed.
pub fn ensure_lab() -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the lab runs on x86-64 machines only, for now".into());
    }
    ensure(&LAB)
}

/// Makes sure that `packages` are installed, by apt if we are root.
///
/// # Errors
///
/// The exact command to type, if we are not root; apt's own words, if it fails.
pub fn ensure(packages: &[&str]) -> Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    // Another apt may be at work.
    let wait = "--option=DPkg::Lock::Timeout=120";
    let install = ["install", "--yes", "--no-install-recommends", wait];
    let names = missing.join(" ");
    if !nix::unistd::geteuid().is_root() {
        return Err(format!(
            "these packages are needed and not installed: {names}. Please run: sudo apt-get update && \
             sudo apt-get install --no-install-recommends {names}"
        )
        .into());
    }
    eprintln!("xtask: installing {names}");
    apt_get(&[&install[..], &missing].concat(), Path::new("/"))
}

/// Fetches the package file of `package` into `folder`.
pub fn download(package: &str, folder: &Path) -> Result<()> {
    eprintln!("xtask: fetching {package}");
    apt_get(&["download", package], folder)
}

/// Unpacks the package files in `archives` into `tree`, and removes them; nothing is installed.
pub fn unpack(archives: &Path, tree: &Path) -> Result<()> {
    for file in fs::read_dir(archives).context(|| "cannot read the packages that were fetched")? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let mut extract = Command::new("dpkg-deb");
            program::run(extract.arg("--extract").arg(&path).arg(tree))?;
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The package that the meta package `meta` stands for at present.
pub fn resolve(meta: &str) -> Result<String> {
    let ask = || {
        let answer = program::run(Command::new("apt-cache").args(["depends", meta]))?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let depends = answer
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: "));
        depends.map(str::to_owned).ok_or_else(|| {
            format!("apt knows no package {meta}. Are the package lists of this machine complete?")
                .into()
        })
    };
    retry_after_update(ask)
}

/// The address that the machine's apt gets Debian from.
pub fn mirror() -> Result<String> {
    let format = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)";
    let ask = || {
        let targets =
            program::run(Command::new("apt-get").args(["indextargets", "--format", format]))?;
        let targets = String::from_utf8_lossy(&targets).into_owned();
        let of_debian = targets
            .lines()
            .find_map(|line| line.strip_prefix("Debian Debian main "));
        of_debian.map(str::to_owned).ok_or_else(|| {
            "this machine's apt knows no mirror of Debian (component main); one is needed, in \
             /etc/apt/sources.list.d"
                .into()
        })
    };
    retry_after_update(ask)
}

/// Those of `packages` that are not installed.
fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .output()
        .map_err(|error| {
            format!(
                "cannot ask dpkg-query what is installed ({error}). Debian's packages are needed: {}",
                packages.join(" ")
            )
        })?;
    // It fails when it does not know one of the packages, and still answers for the others.
    let known = String::from_utf8_lossy(&output.stdout);
    let installed = |package: &str| {
        known
            .lines()
            .any(|line| line.split_once(' ') == Some((package, "installed")))
    };
    Ok(packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect())
}

fn apt_get(arguments: &[&str], folder: &Path) -> Result<()> {
    retry_after_update(|| {
        program::run(
            Command::new("apt-get")
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .current_dir(folder),
        )
        .map(drop)
    })
}

/// Package lists are empty in a fresh container, and name files that are gone in an old one: both are
/// mended by an update.
fn retry_after_update<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    attempt().or_else(|error| {
        if !nix::unistd::geteuid().is_root() {
            return Err(format!("{error}\nPerhaps this helps: sudo apt-get update").into());
        }
        eprintln!("xtask: updating apt's package lists");
        program::run(Command::new("apt-get").arg("update"))
            .context(|| format!("{error}\nAn update did not help"))?;
        attempt()
    })
}
