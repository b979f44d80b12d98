//! Which QEMU runs the guest: the installed one, or that of Debian 13, unpacked beside it.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::lab::Options;
use crate::{cache, debian13, program};

/// What is started.
const PROGRAM: &str = "qemu-system-x86_64";

/// The package that has it.
const PACKAGE: &str = "qemu-system-x86";

/// The major version that Debian 13 has.
const OF_DEBIAN_13: u32 = 10;

/// The folder of libraries in the unpacked packages, and of QEMU's own modules in that.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// The command that starts a QEMU of at least the major version `least`, if it matters, as a child that dies when we do,
/// however that is.
pub fn command(least: Option<u32>, options: &Options) -> Result<Command> {
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL"]);
    let installed = installed();
    let Some(least) = least.filter(|least| installed.is_none_or(|installed| installed < *least))
    else {
        qemu.arg(PROGRAM).args(processor(options));
        return Ok(qemu);
    };
    if least > OF_DEBIAN_13 {
        return Err(format!(
            "there is no QEMU {least} to be had: Debian 13 has QEMU {OF_DEBIAN_13}. Install a newer one, and it is used"
        )
        .into());
    }
    let tree = cache::entry("qemu-debian-13", unpack)?;
    // It was linked to libraries that are newer than the machine's, so it is started by its own loader.
    qemu.arg(tree.join(LIBRARIES).join("ld-linux-x86-64.so.2"))
        .arg("--library-path")
        .arg(tree.join(LIBRARIES))
        .arg(tree.join("usr/bin").join(PROGRAM))
        .env("QEMU_MODULE_DIR", tree.join(LIBRARIES).join("qemu"));
    for data in ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"] {
        qemu.arg("-L").arg(tree.join(data));
    }
    qemu.args(processor(options));
    Ok(qemu)
}

/// Who plays the processors: one thread all of them. With a thread for each, QEMU loses the timer of one of them, and the
/// guest hangs: QEMU 10 in about one run of the lab tests in six, and QEMU 7.2 when both are busy for long.
fn processor(options: &Options) -> [&'static str; 4] {
    if options.kvm {
        ["-accel", "kvm", "-cpu", "host"]
    } else {
        ["-accel", "tcg,thread=single", "-cpu", "qemu64"]
    }
}

fn unpack(folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(folder)?;
    debian13::unpack(&[PACKAGE], true, scratch.path(), folder)
}

/// The major version of the installed one.
fn installed() -> Option<u32> {
    let said = program::run(Command::new(PROGRAM).arg("--version")).ok()?;
    major(&String::from_utf8_lossy(&said))
}

/// From `QEMU emulator version 7.2.19 (Debian ...)`.
fn major(said: &str) -> Option<u32> {
    let version = said.split_once(" version ")?.1;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_what_stands_before_the_first_dot() {
        // The first line of `qemu-system-x86_64 --version` on Debian 12.
        let said = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\n";
        assert_eq!(major(said), Some(7));
        assert_eq!(major("something else"), None);
    }
}
