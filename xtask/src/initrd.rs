//! The guest's initial file system: busybox, the kernel's modules, `outboard`, and what this run is to do.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::{install, program, udev};

const BUSYBOX: &str = "/bin/busybox";
const PCI_IDS: &str = "/usr/share/misc/pci.ids";
/// Root, and two users without privileges.
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000::/root:/bin/sh
bob:x:1001:1001::/root:/bin/sh
";
const GROUP: &str = "\
root:x:0:
alice:x:1000:
bob:x:1001:
";

const INIT: &str = include_str!("guest/init.sh");

/// What goes into the archive besides busybox, the init script and the names of PCI devices.
pub struct Contents<'a> {
    /// The folder of the kernel's modules.
    pub modules: Option<&'a Path>,
    /// The statically linked program.
    pub outboard: &'a Path,
    /// Whether systemd-udevd is there, with the distribution's rules and ours.
    pub udev: bool,
    /// The folder of files for `/etc` that a machine had before it was restarted; modules of devices' drivers are for udev to
    /// load then.
    pub etc: Option<&'a Path>,
    /// Shell assignments that the init script reads.
    pub config: String,
    /// Tag, mount mode and path of each shared folder, one a line.
    pub mounts: String,
    /// The shell script that is run in the guest's root.
    pub command: String,
}

/// Makes the archive in `folder`. This takes less than a tenth of a second, so nothing of it is cached.
pub fn build(folder: &Path, contents: &Contents<'_>) -> Result<PathBuf> {
    let tree = folder.join("initrd");
    fill(&tree, contents).context(|| "cannot put the guest's initial file system together")?;
    let archive = folder.join("initrd.cpio");
    // busybox's cpio, because it is there anyway.
    program::run(
        Command::new(BUSYBOX)
            .args([
                "sh",
                "-c",
                "cd \"$0\" && busybox find . | busybox cpio -o -H newc -R 0:0 >\"$1\"",
            ])
            .args([&tree, &archive]),
    )?;
    fs::remove_dir_all(tree)?;
    Ok(archive)
}

fn fill(tree: &Path, contents: &Contents<'_>) -> Result<()> {
    for folder in [
        "bin",
        "dev",
        "etc",
        "lab/modules",
        "lab/drivers",
        "proc",
        "root",
        "sys",
        "tmp",
        "lab/bin",
    ] {
        fs::create_dir_all(tree.join(folder))?;
    }
    fs::copy(BUSYBOX, tree.join("bin/busybox"))?;
    let applets = program::run(Command::new(BUSYBOX).arg("--list"))?;
    for applet in String::from_utf8_lossy(&applets).lines() {
        if applet != "busybox" {
            symlink("busybox", tree.join("bin").join(applet))?;
        }
    }
    fs::copy(contents.outboard, tree.join("lab/bin/outboard"))?;
    for module in contents
        .modules
        .map(fs::read_dir)
        .transpose()?
        .into_iter()
        .flatten()
    {
        put_module(tree, &module?, contents.etc.is_some())?;
    }
    fs::create_dir_all(tree.join("usr/share/misc"))?;
    fs::copy(PCI_IDS, tree.join("usr/share/misc/pci.ids"))?;
    fs::write(tree.join("etc/passwd"), PASSWD)?;
    fs::write(tree.join("etc/group"), GROUP)?;
    if contents.udev {
        udev::put_into(tree)?;
        for file in install::files(Path::new("/usr"), contents.outboard)? {
            file.install(tree)?;
        }
    }
    if let Some(etc) = contents.etc {
        // Links as links.
        let mut cp = Command::new("cp");
        program::run(cp.arg("--archive").arg(etc.join(".")).arg(tree.join("etc")))?;
    }
    fs::write(tree.join("lab/config"), &contents.config)?;
    fs::write(tree.join("lab/mounts"), &contents.mounts)?;
    fs::write(tree.join("lab/command"), &contents.command)?;
    fs::write(tree.join("init"), INIT)?;
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    Ok(())
}

/// What udev loads in a machine that was restarted, and nothing else there needs.
const BY_UDEV: [&str; 3] = ["e1000e", "nvme", "vfio_pci"];

/// Puts a module where the init script loads it, or where udev finds it.
fn put_module(tree: &Path, module: &fs::DirEntry, restarted: bool) -> Result<()> {
    let file = module.file_name();
    let name = file.to_string_lossy();
    // Without the number by which it is sorted.
    let own = name.split_once('-').map_or(&*name, |(_, own)| own);
    let stem = own.trim_end_matches(".ko");
    if restarted {
        fs::copy(module.path(), tree.join("lab/drivers").join(own))?;
    }
    if !(restarted && BY_UDEV.contains(&stem)) {
        fs::copy(module.path(), tree.join("lab/modules").join(&file))?;
    }
    Ok(())
}
