//! Whether the machine is what the rules want it to be.

use super::{Initramfs, PersistFile, PersistRule, list, rule::devpath};
use crate::{DevicePath, Host, PciFunction, host::read};
use io_core::Result;
use std::{
    fmt, fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// What kind of difference a [`Drift`] is. The words, by [`Display`](fmt::Display), are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DriftCode {
    /// The device of a rule is nowhere.
    Gone,
    /// The device of a rule is not in its place, and one with its ids is in another.
    Moved,
    /// Another device is in the place of a rule.
    Other,
    /// The device of a rule is with another driver, or with none.
    Bound,
    /// A file is not as it was written.
    Changed,
    /// The initramfs is older than the rules that it is to have, or is not told of them.
    Initramfs,
    /// The kernel was told to go without the rules.
    Off,
    /// driverctl has the device of a rule too.
    Driverctl,
}

impl DriftCode {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Moved => "moved",
            Self::Other => "other",
            Self::Bound => "bound",
            Self::Changed => "changed",
            Self::Initramfs => "initramfs",
            Self::Off => "off",
            Self::Driverctl => "driverctl",
        }
    }
}

impl fmt::Display for DriftCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A difference between what the rules want and what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// What kind of difference.
    pub code: DriftCode,
    /// The place of the rule, if it is about one.
    pub path: Option<DevicePath>,
    /// What differs, as a sentence without a full stop.
    pub sentence: String,
    /// What to do about it, as a clause.
    pub hint: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DriftReport {
    /// The differences.
    pub drifts: Vec<Drift>,
    /// What could not be looked at, as sentences.
    pub unknown: Vec<String>,
}

impl Host {
    /// How the machine differs from what the rules want.
    ///
    /// # Errors
    ///
    /// The machine does not show what it has to.
    pub fn persist_drift(&self) -> Result<DriftReport> {
        let files = self.persist_files()?;
        let rules: Vec<_> = files.iter().filter_map(|file| file.rule.clone()).collect();
        let functions = self.functions()?;
        let off = self.persist_is_off() && !rules.is_empty();
        let mut report = DriftReport::default();
        if off {
            report.drifts.push(Drift {
                code: DriftCode::Off,
                path: None,
                sentence: "the kernel was told outboard.persist=off, and no rule counts".to_owned(),
                hint: "start the machine without it".to_owned(),
            });
        }
        for file in &files {
            report.drifts.extend(changed(self, file));
            let Some(rule) = &file.rule else { continue };
            let there = self.function_at(&rule.path);
            let drift = match there.filter(|there| rule.ids.are_of(there)) {
                Some(there) => {
                    report.drifts.extend(twice(self, rule, &there)?);
                    (!off).then(|| bound(self, file, rule, &there)).flatten()
                }
                None => Some(missing(self, rule, &rules, &functions)),
            };
            report.drifts.extend(drift);
        }
        initramfs(self, &files, &rules, &mut report);
        Ok(report)
    }
}

/// A file that is not as it was written.
fn changed(host: &Host, file: &PersistFile) -> Option<Drift> {
    let name = file.file.display();
    let path = file.rule.as_ref().map(|rule| rule.path.clone());
    let (sentence, hint) = match &file.rule {
        None => (
            format!("{name} is somebody else's, or cannot be understood: it is left as it is"),
            "look at it, and give it another name if it is to stay".to_owned(),
        ),
        Some(rule) => {
            // Where the device is now tells whether somebody has turned the rule to another place.
            let there = host.persisted_function(rule);
            let now = there.and_then(|there| devpath(host, there.address));
            let turned = now.is_some_and(|now| now != rule.devpath);
            if file.as_written && !turned {
                return None;
            }
            (
                format!("{name} was changed by hand"),
                format!(
                    "look at it; outboard persist add path:{} writes it anew",
                    rule.path
                ),
            )
        }
    };
    Some(Drift {
        code: DriftCode::Changed,
        path,
        sentence,
        hint,
    })
}

/// A device that driverctl has too.
fn twice(host: &Host, rule: &PersistRule, there: &PciFunction) -> Result<Option<Drift>> {
    let address = there.address;
    let other = host.driverctl_override(address)?;
    Ok(other.map(|other| Drift {
        code: DriftCode::Driverctl,
        path: Some(rule.path.clone()),
        sentence: format!(
            "driverctl gives {address} to {} as well: {}",
            other.driver,
            other.file.display()
        ),
        hint: format!("one of the two has to decide: sudo driverctl unset-override {address}"),
    }))
}

/// A device that is not with the driver that it is to have.
fn bound(
    host: &Host,
    file: &PersistFile,
    rule: &PersistRule,
    there: &PciFunction,
) -> Option<Drift> {
    let PersistRule { path, driver, .. } = rule;
    if there.driver.as_ref() == Some(driver) {
        return None;
    }
    let newer = |(rule, start)| rule > start;
    let hint = if modified(&file.file).zip(started(host)).is_some_and(newer) {
        format!(
            "the rule is newer than this start of the machine: `outboard bind {} --driver {driver}` does it now",
            there.address
        )
    } else if there.driver.is_none() {
        format!(
            "the kernel's log may say why: sudo dmesg | grep {}",
            there.address
        )
    } else if rule.initramfs {
        "its driver is built into the kernel, or the initramfs has not been made anew".to_owned()
    } else {
        format!(
            "its driver was faster: it is in the initramfs, or built into the kernel. outboard persist add path:{path} \
             --initramfs"
        )
    };
    let with = match &there.driver {
        Some(other) => format!("with {other}"),
        None => "without a driver".to_owned(),
    };
    Some(Drift {
        code: DriftCode::Bound,
        path: Some(path.clone()),
        sentence: format!("{} is {with}, and not with {driver}", there.address),
        hint,
    })
}

/// A device that is not in its place.
fn missing(
    host: &Host,
    rule: &PersistRule,
    rules: &[PersistRule],
    functions: &[PciFunction],
) -> Drift {
    let PersistRule { path, ids, .. } = rule;
    let has_rule = |path: &DevicePath| rules.iter().any(|rule| rule.path == *path);
    let mut elsewhere: Vec<_> = functions.iter().filter(|f| ids.are_of(f)).collect();
    elsewhere.retain(|function| !has_rule(&host.device_path(function.address)));
    let other = host.function_at(path);
    let forget = format!("outboard persist remove path:{path}");
    let (code, sentence, hint) = match (elsewhere.as_slice(), other) {
        ([], None) => (
            DriftCode::Gone,
            format!("there is no device at path:{path}, and {ids} nowhere else"),
            format!("if it is gone for good: {forget}"),
        ),
        ([], Some(other)) => (
            DriftCode::Other,
            format!(
                "{} at path:{path} is {:04x}:{:04x}:{:04x}:{:04x}, and not {ids}: it is left to the kernel",
                other.address,
                other.vendor,
                other.device,
                other.subsystem_vendor,
                other.subsystem_device
            ),
            format!("if {ids} is gone for good: {forget}"),
        ),
        (several, _) => (
            DriftCode::Moved,
            format!(
                "{ids} is not at path:{path}; {} has these ids, and is left to the kernel",
                list(several.iter().map(|function| function.address))
            ),
            format!(
                "if that is it: {forget}, and outboard persist add {}",
                list(several.iter().take(1).map(|function| function.address))
            ),
        ),
    };
    Drift {
        code,
        path: Some(path.clone()),
        sentence,
        hint,
    }
}

/// Whether the initramfs has the rules that it is to have, as far as times can tell.
fn initramfs(host: &Host, files: &[PersistFile], rules: &[PersistRule], report: &mut DriftReport) {
    let makers = host.initramfs_in_use();
    for maker in &makers {
        if !host.initramfs_file_is_right(*maker, rules) {
            let file = host.initramfs_file(*maker);
            report.drifts.push(of_initramfs(
                format!("{} was changed by hand", file.display()),
                "add one of the rules once more: it is written anew",
            ));
        }
    }
    let wanted = |file: &&PersistFile| file.rule.as_ref().is_some_and(|rule| rule.initramfs);
    let wanted = files.iter().filter(wanted);
    let newest = wanted.filter_map(|file| modified(&file.file)).max();
    match (newest, makers.first()) {
        (None, _) => {}
        (Some(newest), Some(maker)) => old_images(host, *maker, newest, report),
        (Some(_), None) => report.drifts.push(of_initramfs(
            "nothing tells the initramfs of the rules that it is to have".to_owned(),
            "add one of them once more: outboard persist add DEV --initramfs",
        )),
    }
}

/// Images that are older than the rules, or than what tells of them.
fn old_images(host: &Host, maker: Initramfs, newest: SystemTime, report: &mut DriftReport) {
    let newest = modified(&host.initramfs_file(maker)).max(Some(newest));
    let images = host.initramfs_images();
    for image in &images {
        if modified(image) < newest {
            report.drifts.push(of_initramfs(
                format!(
                    "{} is older than the rules that it is to have",
                    image.display()
                ),
                maker.rebuild(),
            ));
        }
    }
    if images.is_empty() {
        report.unknown.push(format!(
            "no image of an initramfs was found in {}: whether it is older than the rules cannot be said",
            host.boot().display()
        ));
    }
}

fn of_initramfs(sentence: String, hint: &str) -> Drift {
    Drift {
        code: DriftCode::Initramfs,
        path: None,
        sentence,
        hint: hint.to_owned(),
    }
}

/// When a file was changed.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// When the machine started.
fn started(host: &Host) -> Option<SystemTime> {
    let stat = read(&host.proc().join("stat")).ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let since = Duration::from_secs(seconds.trim().parse().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}
