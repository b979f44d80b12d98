//! What puts rules, and the drivers that they name, into the initramfs: a file for the program that makes it.

use super::{PersistRule, file_name};
use crate::{
    FileChange, Host,
    etc_file::{change, ours},
    host::{names, read},
};
use io_core::{Error, ErrorKind, Result};
use std::{collections::BTreeSet, fmt, path::PathBuf, str::FromStr};

/// The second line of a script, and the first one of any other file.
const MARK: &str = "# Made by `outboard persist`: what the initramfs has to have besides. Written anew with each rule.";

/// Where rules are, in the system and in the initramfs.
const RULES: &str = "/etc/udev/rules.d";

/// What makes the initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initramfs {
    /// Fedora's, Red Hat's, SUSE's.
    Dracut,
    /// Debian's, Ubuntu's.
    InitramfsTools,
    /// Arch's.
    Mkinitcpio,
}

impl Initramfs {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dracut, Self::InitramfsTools, Self::Mkinitcpio];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dracut => "dracut",
            Self::InitramfsTools => "initramfs-tools",
            Self::Mkinitcpio => "mkinitcpio",
        }
    }

    /// The command that makes the initramfs anew, of all kernels.
    #[must_use]
    pub const fn rebuild(self) -> &'static str {
        match self {
            Self::Dracut => "sudo dracut --regenerate-all --force",
            Self::InitramfsTools => "sudo update-initramfs -u -k all",
            Self::Mkinitcpio => "sudo mkinitcpio -P",
        }
    }

    /// What shows that it is there, below `/etc`.
    const fn traces(self) -> &'static [&'static str] {
        match self {
            Self::Dracut => &["dracut.conf", "dracut.conf.d"],
            Self::InitramfsTools => &["initramfs-tools"],
            Self::Mkinitcpio => &["mkinitcpio.conf", "mkinitcpio.conf.d"],
        }
    }

    /// Our file, below `/etc`.
    const fn file(self) -> &'static str {
        match self {
            Self::Dracut => "dracut.conf.d/outboard-persist.conf",
            Self::InitramfsTools => "initramfs-tools/hooks/outboard-persist",
            Self::Mkinitcpio => "mkinitcpio.conf.d/outboard-persist.conf",
        }
    }

    /// What our file says, for rules that are to be in the initramfs; `None` without any.
    fn contents(self, rules: &[PersistRule]) -> Option<String> {
        let rules: Vec<_> = rules.iter().filter(|rule| rule.initramfs).collect();
        let drivers: BTreeSet<&str> = rules.iter().map(|rule| rule.driver.as_str()).collect();
        let drivers = drivers.into_iter().collect::<Vec<_>>().join(" ");
        let files: BTreeSet<_> = rules.iter().map(|rule| file_name(&rule.path)).collect();
        let paths: Vec<_> = files.iter().map(|file| format!("{RULES}/{file}")).collect();
        let paths = paths.join(" ");
        (!rules.is_empty()).then(|| match self {
            Self::Dracut => {
                format!("{MARK}\nadd_drivers+=\" {drivers} \"\ninstall_items+=\" {paths} \"\n")
            }
            Self::InitramfsTools => hook(&drivers, &paths),
            Self::Mkinitcpio => format!("{MARK}\nMODULES+=({drivers})\nFILES+=({paths})\n"),
        })
    }
}

/// A script that initramfs-tools runs (initramfs-tools(7)), asking for what it depends on first.
fn hook(drivers: &str, paths: &str) -> String {
    format!(
        "#!/bin/sh\n{MARK}\n\
         if [ \"$1\" = prereqs ]; then\n    exit 0\nfi\n\
         . /usr/share/initramfs-tools/hook-functions\n\
         for driver in {drivers}; do\n    manual_add_modules \"$driver\"\ndone\n\
         mkdir -p \"$DESTDIR{RULES}\"\n\
         for rule in {paths}; do\n    [ ! -e \"$rule\" ] || cp -p \"$rule\" \"$DESTDIR$rule\"\ndone\n"
    )
}

impl fmt::Display for Initramfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Initramfs {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("there are {names}"))
    }
}

impl Host {
    /// What makes the initramfs of this machine.
    ///
    /// # Errors
    ///
    /// There is a trace of none, or of several.
    pub fn initramfs(&self) -> Result<Initramfs> {
        let all = Initramfs::ALL.into_iter();
        let found: Vec<_> = all
            .filter(|one| {
                one.traces()
                    .iter()
                    .any(|name| self.etc().join(name).exists())
            })
            .collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Error::new(
                ErrorKind::Unsupported,
                "it is not known what makes the initramfs of this machine: there is neither dracut, initramfs-tools nor \
                 mkinitcpio",
            )
            .with_hint("put the rule and the driver's module into it by hand: docs/persist.md says how")),
            several => {
                let names: Vec<_> = several.iter().map(|one| one.name()).collect();
                let message = format!("there are {} on this machine", names.join(" and "));
                Err(Error::new(ErrorKind::InvalidInput, message)
                    .with_hint(format!("say which one: --initramfs={}", names.join(" or --initramfs="))))
            }
        }
    }

    /// Whose initramfs has to be made anew after these changes, which have not been made yet.
    #[must_use]
    pub fn persist_rebuild(&self, changes: &[FileChange]) -> Vec<Initramfs> {
        let goes_in = |text: Option<&str>| {
            let rule = text.and_then(PersistRule::parse);
            rule.is_some_and(|rule| rule.initramfs)
        };
        let rule_goes_in = |change: &FileChange| {
            let now = ours(&change.path).ok().flatten();
            goes_in(now.as_deref()) || goes_in(change.contents.as_deref())
        };
        let mut all = Initramfs::ALL.to_vec();
        all.retain(|one| {
            let file = self.initramfs_file(*one);
            changes.iter().any(|change| change.path == file)
                || (self.has_initramfs_file(*one) && changes.iter().any(rule_goes_in))
        });
        all
    }

    /// What it takes that the initramfs gets those of these rules that it is to have: of `chosen`, and of whatever had some
    /// before.
    pub(super) fn initramfs_changes(
        &self,
        rules: Vec<PersistRule>,
        chosen: Option<Initramfs>,
    ) -> Result<Vec<FileChange>> {
        let mut changes = Vec::new();
        for one in Initramfs::ALL {
            if chosen == Some(one) || self.has_initramfs_file(one) {
                changes.extend(change(self.initramfs_file(one), one.contents(&rules))?);
            }
        }
        Ok(changes)
    }

    /// Those for which there is a file of ours.
    pub(super) fn initramfs_in_use(&self) -> Vec<Initramfs> {
        let all = Initramfs::ALL.into_iter();
        all.filter(|one| self.has_initramfs_file(*one)).collect()
    }

    fn has_initramfs_file(&self, one: Initramfs) -> bool {
        ours(&self.initramfs_file(one)).is_ok_and(|text| text.is_some())
    }

    pub(super) fn initramfs_file(&self, one: Initramfs) -> PathBuf {
        self.etc().join(one.file())
    }

    /// Whether our file says what it has to.
    pub(super) fn initramfs_file_is_right(&self, one: Initramfs, rules: &[PersistRule]) -> bool {
        ours(&self.initramfs_file(one)).is_ok_and(|text| text == one.contents(rules))
    }

    /// The images of the running kernel's initramfs; all that there are, if none is called after it.
    pub(super) fn initramfs_images(&self) -> Vec<PathBuf> {
        let release = read(&self.proc().join("sys/kernel/osrelease")).unwrap_or_default();
        let mut images = names(self.boot()).unwrap_or_default();
        images.retain(|name| {
            let other = ["rescue", "kdump", ".old", ".bak"];
            let image = name.starts_with("initrd") || name.starts_with("initramfs");
            image && !other.iter().any(|word| name.contains(word))
        });
        images.sort_unstable();
        let of_this = |name: &String| !release.is_empty() && name.contains(&release);
        if images.iter().any(of_this) {
            images.retain(of_this);
        }
        images.iter().map(|name| self.boot().join(name)).collect()
    }
}
