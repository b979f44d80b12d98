//! Who may open a device besides root: a rule for udev and a limit of locked memory, as files in `/etc` that are ours.
//!
//! The rules of Outboard for udev say what is behind each node (docs/udev.md); a rule for one device matches that.

use crate::{
    DevicePath, FileChange, Host, Ids, PciFunction,
    etc_file::{change, ours, read},
    host::names_if_any,
};
use io_core::{Error, ErrorKind, Result};
use std::{
    fmt,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    str::FromStr,
};

/// What the first line of a file of ours begins with.
const MARK: &str = "# Made by `outboard access`: ";

/// Who is given a device: a user, or `:GROUP`, all members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// A user.
    User(String),
    /// All members of a group of users.
    Group(String),
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, ":{name}"),
        }
    }
}

impl FromStr for Grantee {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, group) = match text.strip_prefix(':') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        // In a rule and in a file's name other letters would mean something.
        if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(plain) {
            let message = format!("{text:?} is no user, and no group behind a colon");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let make = if group { Self::Group } else { Self::User };
        Ok(make(name.to_owned()))
    }
}

/// A device that has been given to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// Who may open it.
    pub to: Grantee,
    /// The place that it has to be in.
    pub path: DevicePath,
    /// The ids that it has to have.
    pub ids: Ids,
}

impl Grant {
    /// The rule for udev. `72-outboard.rules` adds the links.
    fn rule(&self) -> String {
        let Self { to, path, ids } = self;
        let whose = match to {
            Grantee::User(name) => format!("OWNER=\"{name}\", GROUP=\"root\", MODE=\"0600\""),
            Grantee::Group(name) => format!("OWNER=\"root\", GROUP=\"{name}\", MODE=\"0660\""),
        };
        format!(
            "{MARK}{to} {path} {ids}\n\
             # `outboard access revoke` removes it. Other rules belong into other files.\n\
             ENV{{OUTBOARD_FUNCTIONS}}==\"*,{path},{ids};*\", {whose}, ENV{{OUTBOARD}}=\"links\"\n"
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.strip_prefix(MARK)?.split(' ');
        Some(Self {
            to: words.next()?.parse().ok()?,
            path: words.next()?.parse().ok()?,
            ids: words.next()?.parse().ok()?,
        })
    }
}

impl Host {
    /// The devices that have been given to somebody, ordered by place.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn grants(&self) -> Result<Vec<Grant>> {
        let dir = self.udev_rules();
        let mut files = names_if_any(&dir)?;
        files.sort_unstable();
        let ours = files.iter().filter(|name| name.starts_with(RULES_START));
        let mut grants = Vec::new();
        for name in ours {
            let path = dir.join(name);
            let text = read(&path)?.unwrap_or_default();
            match Grant::parse(&text) {
                Some(grant) => grants.push(grant),
                None => log::info!("{} is not ours", path.display()),
            }
        }
        Ok(grants)
    }

    /// What it takes that `to` may open `function`, and lock so many KiB of memory for devices: nothing, if it is so already.
    ///
    /// # Errors
    ///
    /// There is no such user or group, the device has been given to another one, or a file of that name is not ours.
    pub fn plan_grant(
        &self,
        function: &PciFunction,
        to: &Grantee,
        memlock_kib: u64,
    ) -> Result<Vec<FileChange>> {
        self.check_exists(to)?;
        let grant = Grant {
            to: to.clone(),
            path: self.device_path(function.address),
            ids: Ids {
                device: (function.vendor, function.device),
                subsystem: Some((function.subsystem_vendor, function.subsystem_device)),
            },
        };
        let rules = self.rules_file(&grant.path);
        let now = ours(&rules)?;
        let former = now.as_deref().and_then(Grant::parse);
        if let Some(former) = former.filter(|former| former.to != *to) {
            let (address, former) = (function.address, former.to);
            let message = format!("{address} has been given to {former}");
            return Err(Error::new(ErrorKind::Busy, message).with_hint(format!(
                "a node has one owner: outboard access revoke {address} {former} comes first, or give it to a group"
            )));
        }
        let limits = self.limits_file(to);
        let who = match to {
            Grantee::User(name) => name.clone(),
            Grantee::Group(name) => format!("@{name}"),
        };
        let limit = format!("{MARK}memory that {to} may lock\n{who} - memlock {memlock_kib}\n");
        let mut files = vec![(rules, grant.rule()), (limits, limit)];
        if let Some(path) = self.service_limits_file(to) {
            let limit = format!(
                "{MARK}memory that {to} may lock in what systemd starts for them\n\
                 [Service]\nLimitMEMLOCK={memlock_kib}K\n"
            );
            files.push((path, limit));
        }
        let mut changes = Vec::new();
        for (path, contents) in files {
            changes.extend(change(path, Some(contents))?);
        }
        Ok(changes)
    }

    /// What it takes that `to` may not open the device at `path` any more. The limit of memory goes with the last device.
    ///
    /// # Errors
    ///
    /// It has been given to another one, or a file of that name is not ours.
    pub fn plan_revoke(&self, path: &DevicePath, to: &Grantee) -> Result<Vec<FileChange>> {
        let rules = self.rules_file(path);
        let grant = ours(&rules)?.as_deref().and_then(Grant::parse);
        let Some(grant) = grant else {
            return Ok(Vec::new());
        };
        if grant.to != *to {
            let message = format!(
                "path:{path} has been given to {}, and not to {to}",
                grant.to
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let remove = |path| FileChange {
            path,
            contents: None,
        };
        let mut changes = vec![remove(rules)];
        let mut others = self.grants()?;
        others.retain(|other| other.to == *to && other.path != *path);
        let limits = [Some(self.limits_file(to)), self.service_limits_file(to)];
        for path in limits.into_iter().flatten() {
            if others.is_empty() && ours(&path)?.is_some() {
                changes.push(remove(path));
            }
        }
        Ok(changes)
    }

    /// The nodes by which a function can be opened now: its group's, its own, that of UIO.
    #[must_use]
    pub fn nodes_of(&self, function: &PciFunction) -> Vec<PathBuf> {
        let group = function.iommu_group.map(|group| self.vfio_group(group));
        let cdev = self.vfio_cdev(function.address);
        let uio = self.uio_of(function.address).ok().flatten();
        let nodes = [group, cdev, uio.map(|uio| uio.node)];
        let nodes = nodes.into_iter().flatten();
        nodes.filter(|node| node.exists()).collect()
    }

    /// Makes nodes root's alone, as the kernel does.
    ///
    /// # Errors
    ///
    /// This user may not.
    pub fn take_back(&self, nodes: &[PathBuf]) -> Result<()> {
        for node in nodes {
            // First the permissions: nobody is let in meanwhile.
            fs::set_permissions(node, Permissions::from_mode(0o600))
                .and_then(|()| chown(node, Some(0), Some(0)))
                .map_err(|e| {
                    let message = format!("cannot take {} back", node.display());
                    Error::from_os(message, e)
                })?;
        }
        Ok(())
    }

    fn rules_file(&self, path: &DevicePath) -> PathBuf {
        let place = path.to_string().replace('/', "-");
        self.udev_rules()
            .join(format!("{RULES_START}{place}.rules"))
    }

    fn limits_file(&self, to: &Grantee) -> PathBuf {
        let name = match to {
            Grantee::User(name) => format!("outboard-user-{name}.conf"),
            Grantee::Group(name) => format!("outboard-group-{name}.conf"),
        };
        self.etc().join("security/limits.d").join(name)
    }

    /// The limit of what systemd itself starts for a user, a terminal of a desktop among it: it knows nothing of `limits.d`,
    /// which is read when somebody logs in (pam_limits(8)). It has no such file for a group of users (user@.service(5)).
    fn service_limits_file(&self, to: &Grantee) -> Option<PathBuf> {
        let Grantee::User(name) = to else {
            return None;
        };
        let user = self.account(name).ok()?.id;
        let folder = format!("systemd/system/user@{user}.service.d");
        Some(self.etc().join(folder).join("70-outboard.conf"))
    }

    /// Refuses who is not in `/etc/passwd` or `/etc/group`.
    fn check_exists(&self, to: &Grantee) -> Result<()> {
        let (file, kind, wanted) = match to {
            Grantee::User(name) => ("passwd", "user", name),
            Grantee::Group(name) => ("group", "group", name),
        };
        let path = self.etc().join(file);
        let text = read(&path)?.unwrap_or_default();
        let mut names = text.lines().filter_map(|line| line.split(':').next());
        if names.any(|name| name == wanted) {
            return Ok(());
        }
        let message = format!("there is no {kind} {wanted} in {}", path.display());
        Err(Error::new(ErrorKind::NotFound, message).with_hint(
            "udev starts before users that come over the network are known: give it to a group of this machine",
        ))
    }
}

/// How our files of rules are called: between those that say what is behind a node, and those that add the links.
const RULES_START: &str = "71-outboard-access-";
