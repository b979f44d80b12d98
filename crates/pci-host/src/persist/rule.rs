//! A rule for udev, as it is written and read.

use crate::{DevicePath, Host, Ids, PciFunction};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use std::{fs, path::Component};

/// What the first line of a rule begins with.
const MARK: &str = "# Made by `outboard persist`: ";

/// That a device is to be bound at each start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PersistRule {
    /// The place that it has to be in.
    pub path: DevicePath,
    /// The ids that it has to have.
    pub ids: Ids,
    /// The driver that it is bound to.
    pub driver: String,
    /// Whether the initramfs is to have the rule too.
    pub initramfs: bool,
    /// The place as udev sees it: the folder of `/sys`, with `?` for what is numbered anew at each start.
    pub(super) devpath: String,
}

impl PersistRule {
    /// The rule for a function, where it is now.
    pub(super) fn of(
        host: &Host,
        function: &PciFunction,
        driver: &str,
        initramfs: bool,
    ) -> Result<Self> {
        let address = function.address;
        let devpath = devpath(host, address).ok_or_else(|| {
            let message = format!("it is not understood where {address} is in /sys/devices");
            Error::new(ErrorKind::Unsupported, message)
        })?;
        Ok(Self {
            path: host.device_path(address),
            ids: Ids {
                device: (function.vendor, function.device),
                subsystem: Some((function.subsystem_vendor, function.subsystem_device)),
            },
            driver: driver.to_owned(),
            initramfs,
            devpath,
        })
    }

    /// The file.
    ///
    /// Each condition is a line that leaves, so that whoever reads it sees them one by one. A device that has a driver by now
    /// is left to it: to take a driver away is more than to choose one, and needs somebody who looks.
    pub(super) fn text(&self) -> String {
        let Self {
            path,
            ids,
            driver,
            devpath,
            ..
        } = self;
        let (vendor, device) = ids.device;
        let (board_vendor, board) = ids.subsystem.unwrap_or_default();
        let level = self.level();
        let off = super::OFF.join("|");
        let leave = "GOTO=\"outboard_persist_end\"";
        format!(
            "{MARK}{path} {ids} {driver} {level} {devpath}\n\
             # `outboard persist remove path:{path}` removes it. Other rules belong into other files.\n\
             # outboard.persist=off on the kernel's command line switches all such rules off.\n\
             ACTION!=\"add\", {leave}\n\
             SUBSYSTEM!=\"pci\", {leave}\n\
             DEVPATH!=\"{devpath}\", {leave}\n\
             ATTR{{vendor}}!=\"0x{vendor:04x}\", {leave}\n\
             ATTR{{device}}!=\"0x{device:04x}\", {leave}\n\
             ATTR{{subsystem_vendor}}!=\"0x{board_vendor:04x}\", {leave}\n\
             ATTR{{subsystem_device}}!=\"0x{board:04x}\", {leave}\n\
             IMPORT{{cmdline}}=\"outboard.persist\"\n\
             ENV{{outboard.persist}}==\"{off}\", {leave}\n\
             # A driver that was faster keeps it; `outboard persist check` says so.\n\
             TEST==\"driver\", {leave}\n\
             ATTR{{driver_override}}=\"{driver}\"\n\
             # Loaded when all rules are through, or there already.\n\
             RUN{{builtin}}+=\"kmod load {driver}\"\n\
             ATTR{{[subsystem/pci]drivers_probe}}=\"$kernel\"\n\
             LABEL=\"outboard_persist_end\"\n"
        )
    }

    /// Where the rule is: `boot`, in the system; `initramfs`, there too.
    #[must_use]
    pub fn level(&self) -> &'static str {
        if self.initramfs { "initramfs" } else { "boot" }
    }

    /// The rule that a file of ours says it is.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.strip_prefix(MARK)?.split(' ');
        let rule = Self {
            path: words.next()?.parse().ok()?,
            ids: words.next()?.parse().ok()?,
            driver: words.next()?.to_owned(),
            initramfs: match words.next()? {
                "boot" => false,
                "initramfs" => true,
                _ => return None,
            },
            devpath: words.next()?.to_owned(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        (words.next().is_none() && rule.driver.chars().all(plain)).then_some(rule)
    }
}

/// Where a function is in `/sys/devices`, as a pattern of udev's: `*/pci0000:00/0000:00:1c.4/????:??:00.0`.
///
/// Every part has a fixed length, but for the beginning: a `?` stands for a slash as well.
pub(super) fn devpath(host: &Host, address: PciAddress) -> Option<String> {
    let link = fs::read_link(host.function_dir(address)).ok()?;
    let names = link.components().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => Some(""),
    });
    let names: Vec<&str> = names.collect::<Option<_>>()?;
    let is_function = |name: &&str| name.parse::<PciAddress>().is_ok();
    let root = names.iter().position(is_function)?;
    let bus = names.get(root.checked_sub(1)?)?;
    let mut pattern = format!("*/{bus}/{}", names.get(root)?);
    for name in names.get(root + 1..)? {
        pattern = format!("{pattern}/{}", without_bus(name)?);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-?".contains(c);
    pattern.get(1..)?.chars().all(plain).then_some(pattern)
}

/// A function, or the bus below one that opens a domain of its own (`pci10000:e0`), without what is numbered anew.
fn without_bus(name: &str) -> Option<String> {
    let unknown = |text: &str| "?".repeat(text.len());
    let mut parts = name.split(':');
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        (domain, bus, Some(slot), None) => {
            Some(format!("{}:{}:{slot}", unknown(domain), unknown(bus)))
        }
        (domain, bus, None, None) => {
            let domain = domain.strip_prefix("pci")?;
            Some(format!("pci{}:{}", unknown(domain), unknown(bus)))
        }
        _ => None,
    }
}
