//! `cargo xtask lab`: boots QEMU with the standard devices and runs a command in the guest.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::board::{self, Iommu};
use crate::error::{Context, Result};
use crate::extras::{self, Extra};
use crate::initrd::{self, Contents};
use crate::kernel::{self, Kernel};
use crate::machine::Machine;
use crate::topology;
use crate::{channels, ending, guest, packages, qemu, run_folder, static_build};

/// The file of the serial console.
const CONSOLE: &str = "console.log";

/// Run a command as root in a virtual machine with PCI devices, and exit with its status
///
/// 124: the time was over. 125: the lab could not be made ready, or QEMU, the guest or its kernel crashed or hangs;
/// the end of the console is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The kernel: the distribution's (`stock`); the lab's own (`full`), which is newer and has iommufd, VFIO's cdev,
    /// no-IOMMU mode and AER injection; or a bzImage with everything built in
    #[arg(long, value_name = "stock|full|PATH", default_value = "stock")]
    pub kernel: kernel::Choice,
    /// The IOMMU
    #[arg(long, value_enum, default_value_t = Iommu::Intel)]
    pub iommu: Iommu,
    /// Devices to add, separated by commas; the first one is at 0000:06:00.0, the next at 0000:07:00.0, ...
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    pub devices: Vec<Extra>,
    /// The least major version of QEMU; Debian 13's, 10, is fetched if the installed one is older
    #[arg(long, value_name = "N")]
    pub qemu_version: Option<u32>,
    /// Let the guest command QEMU, for hot-plug: QMP is at the virtio port outboard.qmp. It is then no barrier between
    /// the command and the host
    #[arg(long)]
    pub qmp: bool,
    /// More arguments for QEMU, quoted as for a shell; may be repeated
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub qemu: Vec<String>,
    /// A folder that the guest sees, read-only, at the same path; may be repeated
    #[arg(long, value_name = "HOSTDIR")]
    pub share: Vec<PathBuf>,
    /// A folder that the guest may write to, at the same path; made if missing. `ivshmem.mem`, the memory behind
    /// 0000:00:10.0, and `console.log` are put there too
    #[arg(long, value_name = "HOSTDIR")]
    pub out: Option<PathBuf>,
    /// The guest's files: busybox only, or the host's with changes kept in memory
    #[arg(long, value_enum, default_value_t = Rootfs::Minimal)]
    pub rootfs: Rootfs,
    /// Run systemd-udevd in the guest, Debian 13's, with the distribution's rules and those of Outboard, which is installed in
    /// /usr
    #[arg(long)]
    pub udev: bool,
    /// Start as a machine that was restarted: with the files of this folder in /etc, and with udev loading the drivers of
    /// devices
    #[arg(long, value_name = "HOSTDIR", requires = "udev")]
    pub restarted: Option<PathBuf>,
    /// More words for the kernel's command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub append: Option<String>,
    /// Use KVM instead of emulating the processor
    #[arg(long)]
    pub kvm: bool,
    /// Let the guest's clock count instructions, a nanosecond each: what takes long is what has many, whatever else the
    /// host does. It is slower
    #[arg(long, conflicts_with = "kvm")]
    pub count: bool,
    /// How many seconds the command may take
    #[arg(long, value_name = "S")]
    pub timeout: Option<u64>,
    /// The command and its arguments; without one, a shell in this terminal
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The root file system of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rootfs {
    /// busybox and `outboard`.
    Minimal,
    /// The host's, read-only, under an overlay in memory.
    Host,
}

/// Boots the guest, runs the command and returns the status to exit with.
pub fn run(options: &Options) -> Result<u8> {
    let interactive = options.command.is_empty();
    if interactive && !std::io::stdin().is_terminal() {
        return Err("a shell needs a terminal; please give a command after --".into());
    }
    if options.iommu == Iommu::Virtio && matches!(options.kernel, kernel::Choice::Stock) {
        return Err(
            "the distribution's kernel does not know virtio-iommu: please add --kernel full".into(),
        );
    }
    if options.udev && options.rootfs == Rootfs::Host {
        return Err("--udev is for the guest's own files: please leave --rootfs host out".into());
    }
    packages::ensure_lab()?;
    let kernel = kernel::ready(&options.kernel)?;
    let outboard = static_build::outboard()?;
    let run = run_folder::make()?;
    let folder = run.path();
    let (out, _lock) = out_folder(options, folder)?;
    let mut qemu = prepare(options, folder, &out, &kernel, &outboard)?;
    let log = folder.join("qemu.log");
    qemu.stderr(fs::File::create(&log)?);
    if interactive {
        eprintln!("xtask: booting; leave the guest's shell with exit, or end QEMU with Ctrl-A x");
        qemu.stdin(Stdio::inherit());
    } else {
        qemu.stdin(Stdio::null());
    }
    let machine = Machine::start(&mut qemu, folder)?;
    let outcome = machine.watch(options.timeout.map(Duration::from_secs))?;
    ending::status(outcome, interactive, &out.join(CONSOLE), &log)
}

/// Where the memory of ivshmem-plain and the console go, which no other run may use meanwhile.
fn out_folder(options: &Options, folder: &Path) -> Result<(PathBuf, Option<Flock<fs::File>>)> {
    let Some(out) = options.out.as_deref() else {
        return Ok((folder.to_owned(), None));
    };
    let cannot = || format!("cannot use {}", out.display());
    fs::create_dir_all(out).context(cannot)?;
    let lock = Flock::lock(
        fs::File::open(out).context(cannot)?,
        FlockArg::LockExclusiveNonblock,
    )
    .map_err(|(_, errno)| match errno {
        Errno::EAGAIN => format!("{}: another lab is using it", cannot()),
        errno => format!("{}: {errno}", cannot()),
    })?;
    Ok((std::path::absolute(out).context(cannot)?, Some(lock)))
}

/// Makes the machine's files, and its command line.
fn prepare(
    options: &Options,
    folder: &Path,
    out: &Path,
    kernel: &Kernel,
    outboard: &Path,
) -> Result<Command> {
    let shares = guest::shares(options)?;
    let memory = out.join("ivshmem.mem");
    // The memory starts as zeroes; and whatever a link of this name points to is not ours to write to.
    for old in [&memory, &out.join(CONSOLE)] {
        match fs::remove_file(old) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context(|| format!("cannot remove {}", old.display()));
            }
            _ => {}
        }
    }
    let initrd = initrd::build(
        folder,
        &Contents {
            modules: kernel.modules.as_deref(),
            outboard,
            udev: options.udev,
            etc: options.restarted.as_deref(),
            config: guest::config(options),
            mounts: guest::mounts(&shares),
            command: guest::command(&options.command, &guest::facts(options))?,
        },
    )?;
    // igb is since QEMU 8.
    let igb = options.devices.contains(&Extra::Igb).then_some(8);
    let mut qemu = qemu::command(options.qemu_version.max(igb), options)?;
    qemu.args(board::arguments(options))
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initrd)
        .args(console(&out.join(CONSOLE), options.command.is_empty())?)
        .args(topology::devices(folder, &memory)?)
        .args(extras::devices(&options.devices, folder)?)
        .args(topology::ports(folder, &channels::NAMES)?)
        .args(topology::shares(&shares)?);
    if options.qmp {
        qemu.args(topology::qmp(folder)?);
    }
    for arguments in &options.qemu {
        let words = shlex::split(arguments);
        qemu.args(
            words.ok_or_else(|| {
                format!("--qemu '{arguments}' has a quote without its other half")
            })?,
        );
    }
    Ok(qemu)
}

/// The serial console: a file, or this terminal as well.
fn console(file: &Path, interactive: bool) -> Result<Vec<String>> {
    let file = topology::value(file)?;
    let words = if interactive {
        let chardev = format!("stdio,id=console,mux=on,signal=off,logfile={file}");
        vec![
            "-chardev".to_owned(),
            chardev,
            "-mon".to_owned(),
            "chardev=console".to_owned(),
        ]
    } else {
        vec![
            "-chardev".to_owned(),
            format!("file,id=console,path={file}"),
        ]
    };
    Ok([
        words,
        vec!["-serial".to_owned(), "chardev:console".to_owned()],
    ]
    .concat())
}
