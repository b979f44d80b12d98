//! The arguments of the commands that change which driver a device has.

use crate::{completions, consent::Allow, units};
use clap::Args;
use pci_host::{Ids, Owner, Selector};
use std::{ffi::OsString, time::Duration};

/// Devices.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// The devices: 0000:01:00.0, 01:00.0, VID:DID[:SUBVID:SUBDID], path:…, serial:…, net:eth1, block:nvme0n1 or @alias
    #[arg(value_name = "DEV", add = completions::device(), required = true)]
    pub devices: Vec<Selector>,

    /// Take all devices with such ids, or such a serial number, where there are several
    #[arg(long)]
    pub all: bool,

    /// Refuse a device that does not have these ids, such as 8086:10d3
    #[arg(long, value_name = "VID:DID")]
    pub expect: Option<Ids>,
}

/// What is said of a change.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Go on although a device is used like this, as a refusal names it: route, mounted, group:0000:18:00.0, ...
    #[arg(long, value_name = "USE", value_delimiter = ',')]
    pub allow: Vec<Allow>,

    /// How many seconds to wait for the kernel at each step, and for the device node
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = units::seconds)]
    pub timeout: Duration,
}

/// How to bind.
#[derive(Debug, Args)]
pub struct HowArgs {
    /// The driver to bind to
    #[arg(long, default_value = "vfio-pci")]
    pub driver: String,

    /// Give the device's node to this user, or to this group of users
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<Owner>,

    /// Bind this other member of the IOMMU group too; may be given again
    #[arg(long, value_name = "DEV", add = completions::device())]
    pub with: Vec<Selector>,
}

/// The arguments of `bind`.
#[derive(Debug, Args)]
pub struct BindArgs {
    /// The devices.
    #[command(flatten)]
    pub devices: DevicesArgs,

    /// How to bind them.
    #[command(flatten)]
    pub how: HowArgs,

    /// What is said of it.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Show what would be written to /sys, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The arguments of `release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The devices.
    #[command(flatten)]
    pub devices: DevicesArgs,

    /// Give them to this driver of the kernel's own, whatever they had before
    #[arg(long, value_name = "DRIVER")]
    pub to: Option<String>,

    /// What is said of it.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Show what would be written to /sys, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The arguments of `undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// Which entry of the journal, by its number; later ones of the same device are taken back too
    #[arg(
        value_name = "ID",
        conflicts_with = "last",
        required_unless_present = "last"
    )]
    pub id: Option<u64>,

    /// The last entry
    #[arg(long)]
    pub last: bool,

    /// What is said of it.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Show what would be written to /sys, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The device.
    #[command(flatten)]
    pub device: super::DeviceArgs,

    /// How to bind it.
    #[command(flatten)]
    pub how: HowArgs,

    /// What is said of it.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// The program and its arguments
    #[arg(value_name = "CMD", required = true, last = true)]
    pub command: Vec<OsString>,
}
