//! Packages of Debian 13, fetched beside those of the machine and never installed: the source of a kernel, and a QEMU,
//! that Debian 12 does not have.
//!
//! apt does it, with lists and folders of its own; so signatures and checksums are checked as for any package. The
//! mirror is the one that the machine's own apt has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::{packages, program};

/// Debian 13.
const SUITE: &str = "trixie";

/// The key ring that Debian's apt has.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The folder where apt leaves the package files.
const ARCHIVES: &str = "cache/archives";

/// Fetches `packages`, and `all` that they depend on if asked for, and unpacks them into `tree`. The folder `scratch` is
/// for apt's files.
pub fn unpack(packages: &[&str], all: bool, scratch: &Path, tree: &Path) -> Result<()> {
    eprintln!("xtask: fetching {} of Debian 13", packages.join(", "));
    let apt = Apt::new(scratch)?;
    apt.run(&["update"])?;
    let archives = scratch.join(ARCHIVES);
    if all {
        let install = [
            "install",
            "--yes",
            "--download-only",
            "--no-install-recommends",
        ];
        apt.run(&[&install[..], packages].concat())?;
    } else {
        apt.run(&[&["download"], packages].concat())?;
    }
    packages::unpack(&archives, tree)
}

/// An apt that knows Debian 13 only, and that nothing is installed.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for each in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(each))?;
        }
        let sources = format!(
            "Types: deb\nURIs: {}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYS}\n",
            packages::mirror()?
        );
        fs::write(folder.join("debian.sources"), sources)?;
        fs::write(folder.join("status"), "")?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let set = |name: &str, path: &str| format!("{name}={}", self.folder.join(path).display());
        let mut apt = Command::new("apt-get");
        apt.args(["-o", &set("Dir::Etc::SourceList", "debian.sources")])
            .args(["-o", "Dir::Etc::SourceParts=/dev/null"])
            .args(["-o", &set("Dir::State", "state")])
            .args(["-o", &set("Dir::State::status", "status")])
            .args(["-o", &set("Dir::Cache", "cache")])
            // A user of apt's own could not write to these folders.
            .args(["-o", "APT::Sandbox::User="])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .current_dir(self.folder.join(ARCHIVES));
        program::run(&mut apt).map(drop).context(|| {
            "cannot get a package of Debian 13. If a key is missing, this helps: sudo apt-get install \
             debian-archive-keyring"
        })
    }
}
