//! systemd-udevd for the guest, with the rules that distributions have: of Debian 13, unpacked and not installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::{cache, debian13, program};

/// The daemon, what says which module is for which device, and what makes groups and folders for it. Here and there "standalone" means that no systemd comes along.
const PACKAGES: [&str; 4] = [
    "udev",
    "kmod",
    "systemd-standalone-sysusers",
    "systemd-standalone-tmpfiles",
];

/// What is kept of the packages: the programs, their libraries and the rules.
const KEPT: [&str; 9] = [
    "usr/bin/kmod",
    "usr/sbin/depmod",
    "usr/bin/udevadm",
    "usr/bin/systemd-sysusers",
    "usr/bin/systemd-tmpfiles",
    "usr/lib/systemd/systemd-udevd",
    "usr/lib/udev",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
];

/// Among what is kept: databases of keyboards and vendors, tables of character sets, and what else is large and unused.
const LEFT_OUT: [&str; 4] = [
    "usr/lib/udev/hwdb.d",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/lib/x86_64-linux-gnu/security",
];

/// Puts it into the guest's `tree`.
pub fn put_into(tree: &Path) -> Result<()> {
    let kept = cache::entry("udev-kmod-debian-13", fill)?;
    // Links as links.
    let copy = |from: &Path| {
        let mut cp = Command::new("cp");
        program::run(cp.arg("--archive").arg(from).arg(tree)).map(drop)
    };
    copy(&kept.join("usr"))?;
    // Programs and rules have these as the names of their folders.
    for name in ["lib", "lib64"] {
        symlink(Path::new("usr").join(name), tree.join(name))?;
    }
    Ok(())
}

fn fill(folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(folder)?;
    let all = scratch.path().join("all");
    fs::create_dir(&all)?;
    debian13::unpack(&PACKAGES, true, &scratch.path().join("apt"), &all)?;
    for path in LEFT_OUT {
        let path = all.join(path);
        if path.exists() {
            fs::remove_dir_all(path)?;
        }
    }
    for path in KEPT {
        let target: PathBuf = folder.join(path);
        let from = all.join(path);
        let cannot = || format!("Debian 13's packages have no {path}");
        fs::create_dir_all(target.parent().unwrap_or(folder))?;
        fs::rename(from, target).context(cannot)?;
    }
    Ok(())
}
