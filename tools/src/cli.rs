//! The command line.

mod binding;
mod persist;

pub use binding::{BindArgs, ChangeArgs, DevicesArgs, HowArgs, ReleaseArgs, RunArgs, UndoArgs};
pub use persist::{PersistAddArgs, PersistCommand, PersistRemoveArgs};

use crate::{change, completions, failure, units};
use clap::{Args, Parser, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use io_core::{AccessWidth, Width, pci::PciAddress};
use pci_host::{Grantee, Host, Ids, Selector};
use std::path::PathBuf;

/// Drivers for real PCI devices, outside the kernel.
#[derive(Debug, Parser)]
#[command(name = "outboard", version, after_help = failure::EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Print the result, or the error (unless of the command line), as one JSON object
    #[arg(long, global = true)]
    pub json: bool,

    /// Say on standard error what is done on the way
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the PCI devices of this machine
    List(ListArgs),
    /// Show all that is known of a device
    Show(ShowArgs),
    /// Show the IOMMU groups: what has to be bound together, and why
    Groups(GroupsArgs),
    /// Show who uses a device: file systems, networks, processes
    Users(UsersArgs),
    /// Say what is missing on this machine, or of a device, to drive devices, and what mends it
    Doctor(DoctorArgs),
    /// Bind devices to vfio-pci, away from the kernel's own driver
    ///
    /// A device that is in use is refused: each use is named, with the word by which --allow agrees to it. What is changed is
    /// written to a journal first, so that `release` and `undo` can take it back whatever happens.
    Bind(BindArgs),
    /// Bind a device, run a program, and give the device back when the program has ended
    ///
    /// The program finds the device in OUTBOARD_DEVICE and its node in OUTBOARD_NODE. The exit status is the program's,
    /// 128 + n if signal n ended it; 120 to 127 if the device or the program is the trouble.
    Run(RunArgs),
    /// Give devices back to the driver that they had
    Release(ReleaseArgs),
    /// Take a bind back, by what the journal says of it
    Undo(UndoArgs),
    /// Show the journal: what was bound and can be taken back
    Log,
    /// Bind devices at each start of the machine, by udev
    Persist {
        /// What to do.
        #[command(subcommand)]
        command: PersistCommand,
    },
    /// Let users open a device without root, by udev
    Access {
        /// What to do.
        #[command(subcommand)]
        command: AccessCommand,
    },
    /// Work with firmware
    Fw {
        /// What to do with it.
        #[command(subcommand)]
        command: FwCommand,
    },
    /// Print the script by which a shell completes commands and devices
    ///
    /// For bash: outboard completions bash | sudo tee /usr/share/bash-completion/completions/outboard
    Completions {
        /// The shell
        shell: completions::Shell,
    },
    /// Print the JSON Schema of what a command prints with --json, or the names of all
    Schema {
        /// The command: list, fw.load, ...; or error
        name: Option<String>,
    },
    /// Write the manual pages, which say what --help says, into a folder
    Man {
        /// The folder, which is made if it is missing
        folder: PathBuf,
    },
}

/// What to do with firmware.
#[derive(Debug, Subcommand)]
pub enum FwCommand {
    /// Write a file into a BAR, read it back and compare
    ///
    /// The device must be bound to vfio-pci. The kernel may reset it when it is opened and when it is
    /// closed again; then what was loaded does not stay.
    Load(LoadArgs),
}

/// Who may open a device.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Give a device to a user, for good: a rule for udev and a limit of locked memory
    ///
    /// It holds for the device in that place, with those ids. The rules of Outboard for udev have to be installed.
    Grant(GrantArgs),
    /// Take it back
    Revoke(RevokeArgs),
    /// Show what has been given to whom
    Show {
        /// Only this device
        #[arg(value_name = "DEV", add = completions::device())]
        device: Option<Selector>,
    },
}

/// The arguments of `access grant`.
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// The user, or :GROUP
    #[arg(value_name = "USER")]
    pub to: Grantee,

    /// How much memory they may lock, for all their devices: 64M, 1G
    #[arg(long, default_value = "1G", value_name = "SIZE", value_parser = units::number)]
    pub memlock: usize,

    /// Another device of the same IOMMU group, which is given away too; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub with: Vec<PciAddress>,

    /// Show the files, and write nothing
    #[arg(long)]
    pub print: bool,
}

/// The arguments of `access revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The device; one that is gone by its path:...
    #[command(flatten)]
    pub device: DeviceArgs,

    /// The user, or :GROUP
    #[arg(value_name = "USER")]
    pub to: Grantee,

    /// Show the files, and change nothing
    #[arg(long)]
    pub print: bool,
}

/// One device.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// The device: 0000:01:00.0, 01:00.0, VID:DID[:SUBVID:SUBDID], path:…, serial:…, net:eth1, block:nvme0n1 or @alias
    #[arg(value_name = "DEV", add = completions::device())]
    pub device: Selector,

    /// Refuse it if it does not have these ids, such as 8086:10d3
    #[arg(long, value_name = "VID:DID")]
    pub expect: Option<Ids>,
}

/// Where it is looked.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// Look at a copy of a machine's /sys, /dev, /proc and /etc in this folder
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

impl LookArgs {
    /// The machine.
    pub fn host(&self) -> Host {
        self.root.as_ref().map_or_else(change::system, Host::at)
    }
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only these devices: 0000:01:00.0, 01:00.0, VID:DID[:SUBVID:SUBDID], path:…, serial:…, net:…, block:… or @alias
    #[arg(value_name = "DEV", add = completions::device())]
    pub devices: Vec<Selector>,

    /// Only those of this class: the first digits of its number (02, 0108), or a part of its name (ethernet)
    #[arg(long, value_parser = |class: &str| Ok::<_, String>(class.to_lowercase()))]
    pub class: Option<String>,

    /// Only those that this driver has, or none
    #[arg(long)]
    pub driver: Option<String>,

    /// Only those in this IOMMU group
    #[arg(long, value_name = "N")]
    pub group: Option<u32>,

    /// Where it is looked.
    #[command(flatten)]
    pub look: LookArgs,
}

/// The arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Where it is looked.
    #[command(flatten)]
    pub look: LookArgs,
}

/// The arguments of `groups`.
#[derive(Debug, Args)]
pub struct GroupsArgs {
    /// Only that of this device, which is named as for `show`
    #[arg(value_name = "DEV", add = completions::device())]
    pub device: Option<Selector>,

    /// Where it is looked.
    #[command(flatten)]
    pub look: LookArgs,
}

/// The arguments of `users`.
#[derive(Debug, Args)]
pub struct UsersArgs {
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Where it is looked.
    #[command(flatten)]
    pub look: LookArgs,
}

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The device, which is named as for `show`; without one, only the machine
    #[arg(value_name = "DEV")]
    pub device: Option<Selector>,

    /// Who is to drive it [default: who runs this]
    #[arg(long)]
    pub user: Option<String>,

    /// How much memory the driver is to give devices: 4096, 0x1000 or 64M
    #[arg(long, default_value = "64M", value_parser = units::number)]
    pub memory: usize,

    /// Where it is looked.
    #[command(flatten)]
    pub look: LookArgs,
}

/// The arguments of `fw load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// The file to load, as it is
    pub file: PathBuf,

    /// The BAR to load it into, 0 to 5
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub bar: u8,

    /// Where in the BAR, in bytes: 4096, 0x1000 or 4K
    #[arg(long, default_value = "0", value_parser = units::number)]
    pub offset: usize,

    /// The width of each access in bytes [default: the widest that is aligned]
    #[arg(long, value_name = "BYTES", value_parser = width_parser())]
    pub width: Option<Width>,

    /// Fill the last access up with zeros, if the file is no whole number of them
    #[arg(long, requires = "width")]
    pub pad: bool,

    /// Check what can be checked without opening the device, and stop there
    #[arg(long)]
    pub dry_run: bool,
}

impl LoadArgs {
    /// Which accesses the load is made of.
    pub fn access_width(&self) -> AccessWidth {
        match self.width {
            None => AccessWidth::Auto,
            Some(width) if self.pad => AccessWidth::Padded(width),
            Some(width) => AccessWidth::Exact(width),
        }
    }
}

fn width_parser() -> impl TypedValueParser<Value = Width> {
    PossibleValuesParser::new(["1", "2", "4", "8"]).try_map(|bytes| {
        let width = bytes.parse().ok().and_then(Width::from_bytes);
        width.ok_or("the width is 1, 2, 4 or 8 bytes")
    })
}
