//! `outboard bind` and `release` beside the tools of others: in a guest with the distribution's kernel and the host's files.

use std::path::Path;

use crate::bench_row::Row;
use crate::error::Result;
use crate::{bench_lab, cache, packages};

/// The name of the row that this is about; the other one is "release".
const NAME: &str = "bind";

/// The tools of others, and modprobe, which they call. Debian 12 and 13 have no package of SPDK, whose setup.sh is left out.
const PACKAGES: [&str; 4] = ["driverctl", "dpdk", "kmod", "libkmod2"];

/// What the tools need besides.
const NEEDED: [&str; 3] = ["iproute2", "pciutils", "python3"];

/// Whether a row of these has that text in its name.
pub fn is_wanted(only: &str) -> bool {
    NAME.contains(only) || "release".contains(only)
}

/// Runs the bench in the guest, and returns the rows.
pub fn measure(bench: &Path) -> Result<Vec<Row>> {
    packages::ensure(&NEEDED)?;
    let others = cache::entry("binders-debian", fill)?;
    let others = others
        .to_str()
        .ok_or("the cache has a name that is no text")?;
    eprintln!("xtask: binding and releasing in the lab (some minutes)");
    let guest = ["--rootfs", "host", "--share", others];
    let (_, rows) = bench_lab::in_guest(&guest, &[NAME, others], bench)?;
    Ok(rows)
}

/// Fetches the packages and unpacks them; nothing is installed.
fn fill(folder: &Path) -> Result<()> {
    for package in PACKAGES {
        packages::download(package, folder)?;
    }
    packages::unpack(folder, folder)
}
