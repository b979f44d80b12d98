//! Binding that survives a restart: a rule for udev a device, which names its place and its ids.
//!
//! At each start udev tells of every device before it loads that device's module. The rule sets `driver_override` then, so that
//! no driver of the kernel's own is ever tried, and has the driver for user space loaded. A device in another place, or another
//! one in this place, matches no rule, and is left to the kernel.

mod danger;
mod drift;
mod driverctl;
mod initramfs;
mod rule;

pub use drift::{Drift, DriftCode, DriftReport};
pub use driverctl::DriverctlOverride;
pub use initramfs::Initramfs;
pub use rule::PersistRule;

use crate::{
    DevicePath, FileChange, Host, PciFunction,
    etc_file::{change, ours, read},
    host::names_if_any,
};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use std::path::PathBuf;

/// What `outboard.persist` on the kernel's command line says to switch all rules off.
pub(crate) const OFF: [&str; 3] = ["0", "no", "off"];

/// How files of rules are called. Nothing but letters, digits, dots and dashes is in the name: initramfs-tools and others
/// skip what has.
const RULES_START: &str = "60-outboard-persist-";
const RULES_END: &str = ".rules";

/// A file that is called like one of our rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PersistFile {
    /// Where it is.
    pub file: PathBuf,
    /// The rule in it; `None` if it is not ours, or cannot be understood any more.
    pub rule: Option<PersistRule>,
    /// Whether it is as it was written.
    pub as_written: bool,
}

impl Host {
    /// The files of rules, ordered by place, those that are not ours last.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    pub fn persist_files(&self) -> Result<Vec<PersistFile>> {
        let dir = self.udev_rules();
        let files = names_if_any(&dir)?;
        let mut found = Vec::new();
        for name in files {
            if !name.starts_with(RULES_START) || !name.ends_with(RULES_END) {
                continue;
            }
            let file = dir.join(&name);
            let text = read(&file)?.unwrap_or_default();
            // Somebody else's file stays somebody else's, whatever it says.
            let rule = ours(&file)
                .is_ok()
                .then(|| PersistRule::parse(&text))
                .flatten();
            let rule = rule.filter(|rule| file_name(&rule.path) == name);
            let as_written = rule.as_ref().is_some_and(|rule| rule.text() == text);
            found.push(PersistFile {
                file,
                rule,
                as_written,
            });
        }
        found.sort_by_key(|file| {
            let path = file.rule.as_ref().map(|rule| rule.path.clone());
            (path.is_none(), path, file.file.clone())
        });
        Ok(found)
    }

    /// The rules that there are.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn persisted(&self) -> Result<Vec<PersistRule>> {
        let files = self.persist_files()?;
        Ok(files.into_iter().filter_map(|file| file.rule).collect())
    }

    /// What it takes that these functions are bound to `driver` from the next start on; in the initramfs too, if one is
    /// named. Nothing, if it is so already.
    ///
    /// Whether the machine needs them to start is not asked here: [`Host::needed_at_start`].
    ///
    /// # Errors
    ///
    /// A function cannot be bound to that driver at a start, driverctl has it already, or a file of that name is not ours.
    pub fn plan_persist(
        &self,
        functions: &[PciFunction],
        driver: &str,
        initramfs: Option<Initramfs>,
    ) -> Result<Vec<FileChange>> {
        self.module_for(driver)?;
        let mut rules = self.persisted()?;
        let mut changes = Vec::new();
        for function in functions {
            self.refuse_at_start(function)?;
            let rule = PersistRule::of(self, function, driver, initramfs.is_some())?;
            changes.extend(change(self.rule_file(&rule.path), Some(rule.text()))?);
            rules.retain(|other| other.path != rule.path);
            rules.push(rule);
        }
        changes.extend(self.initramfs_changes(rules, initramfs)?);
        Ok(changes)
    }

    /// What it takes that the device at `path` is left to the kernel from the next start on. Nothing, if there is no rule.
    ///
    /// # Errors
    ///
    /// A file of that name is not ours.
    pub fn plan_forget(&self, path: &DevicePath) -> Result<Vec<FileChange>> {
        let mut changes = Vec::new();
        changes.extend(change(self.rule_file(path), None)?);
        let mut rules = self.persisted()?;
        rules.retain(|rule| rule.path != *path);
        changes.extend(self.initramfs_changes(rules, None)?);
        Ok(changes)
    }

    /// Whether the kernel was told at this start to go without the rules.
    #[must_use]
    pub fn persist_is_off(&self) -> bool {
        let line = read(&self.proc().join("cmdline")).ok().flatten();
        let line = line.unwrap_or_default();
        let mut said = line
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("outboard.persist="));
        // As for udev, the last one counts.
        said.next_back().is_some_and(|value| OFF.contains(&value))
    }

    /// Refuses what a rule cannot be made for.
    fn refuse_at_start(&self, function: &PciFunction) -> Result<()> {
        let address = function.address;
        if function.is_bridge {
            let message = format!("{address} is a bridge, which the kernel needs itself");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if let Some(physical) = self.physical_function(address) {
            let message = format!("{address} is a virtual function, and there is none at a start");
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint(format!(
                "the driver of {physical} makes it, and the kernel has bound it before udev hears of it: outboard bind {address}, \
                 when it is there"
            )));
        }
        match self.driverctl_override(address)? {
            Some(other) => {
                let (file, driver) = (other.file.display(), &other.driver);
                let message = format!("driverctl gives {address} to {driver}: {file}");
                let hint = format!(
                    "one of the two has to decide: sudo driverctl unset-override {address}"
                );
                Err(Error::new(ErrorKind::Busy, message).with_hint(hint))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn rule_file(&self, path: &DevicePath) -> PathBuf {
        self.udev_rules().join(file_name(path))
    }

    /// The function that a rule is for, if it is there.
    #[must_use]
    pub fn persisted_function(&self, rule: &PersistRule) -> Option<PciFunction> {
        let there = self.function_at(&rule.path)?;
        rule.ids.are_of(&there).then_some(there)
    }

    /// Whatever function is in this place.
    fn function_at(&self, path: &DevicePath) -> Option<PciFunction> {
        self.select(&crate::Selector::Path(path.clone())).ok()
    }
}

/// The name of the file with the rule for the device at `path`.
fn file_name(path: &DevicePath) -> String {
    let place = path.to_string().replace([':', '/'], "-");
    format!("{RULES_START}{place}{RULES_END}")
}

/// Functions for people.
fn list(addresses: impl IntoIterator<Item = PciAddress>) -> String {
    let all: Vec<_> = addresses.into_iter().map(|a| a.to_string()).collect();
    all.join(" and ")
}
