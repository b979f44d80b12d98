//! The arguments of `persist`.

use super::{DeviceArgs, DevicesArgs, LookArgs};
use crate::consent::Allow;
use clap::{Args, Subcommand};
use pci_host::Initramfs;

/// Binding that survives a restart.
#[derive(Debug, Subcommand)]
pub enum PersistCommand {
    /// Show the rules that there are, and what driverctl has
    List(LookArgs),
    /// Bind devices at each start of the machine, from the next one on
    ///
    /// A rule for udev gives the device to the driver before any driver of the kernel's own is tried. It holds for the device in
    /// that place with those ids. What the machine needs to start is refused: each reason is named, with the word by which
    /// --allow agrees to it. outboard.persist=off on the kernel's command line switches all rules off.
    Add(PersistAddArgs),
    /// Leave a device to the kernel from the next start on
    Remove(PersistRemoveArgs),
    /// Say what is not as the rules want it: exit status 6 if anything is
    Check(LookArgs),
}

/// The arguments of `persist add`.
#[derive(Debug, Args)]
pub struct PersistAddArgs {
    /// The devices.
    #[command(flatten)]
    pub devices: DevicesArgs,

    /// The driver to bind to
    #[arg(long, default_value = "vfio-pci")]
    pub driver: String,

    /// Put the rule into the initramfs too, where a driver there would be faster: what makes it on this machine, or
    /// dracut, initramfs-tools or mkinitcpio. Its command is printed, and not run
    #[arg(long, value_name = "MAKER", num_args = 0..=1, require_equals = true)]
    pub initramfs: Option<Option<Initramfs>>,

    /// Go on although the machine needs the device like this, as a refusal names it: network, display, mounted, ...
    #[arg(long, value_name = "USE", value_delimiter = ',')]
    pub allow: Vec<Allow>,

    /// Show the files, and write nothing
    #[arg(long)]
    pub print: bool,
}

/// The arguments of `persist remove`.
#[derive(Debug, Args)]
pub struct PersistRemoveArgs {
    /// The device; one that is gone or has moved by the path:... of the rule
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Show the files, and change nothing
    #[arg(long)]
    pub print: bool,
}
