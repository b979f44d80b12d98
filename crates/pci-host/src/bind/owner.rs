//! Whose the nodes of a function are: given to a user when it is bound, and given back.

use crate::{Done, Entry, Execution, Host, Plan, bind::journal::Open};
use io_core::{Error, ErrorKind, Result};
use nix::sys::stat::{major, minor};
use std::{
    fmt,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

/// How often it is looked whether udev is through with a node.
const INTERVAL: Duration = Duration::from_millis(2);

/// The bits of a node's mode that say who may do what.
const PERMISSIONS: u32 = 0o7777;

/// To whom nodes are given: a user, a group of users behind a colon, or both; by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    user: Option<String>,
    group: Option<String>,
}

impl FromStr for Owner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let name =
            |name: &str| (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned());
        let bad = || {
            let message = format!("{text:?} is neither USER, USER:GROUP nor :GROUP");
            Error::new(ErrorKind::InvalidInput, message)
        };
        Ok(Self {
            user: match user {
                "" if group.is_some() => None,
                user => Some(name(user).ok_or_else(bad)?),
            },
            group: group.map(|group| name(group).ok_or_else(bad)).transpose()?,
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user.as_deref().unwrap_or_default())?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

/// Owner, group and mode of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The user.
    pub uid: u32,
    /// The group of users.
    pub gid: u32,
    /// What each may do.
    pub mode: u32,
}

impl Ownership {
    fn of(node: &Path) -> std::io::Result<Self> {
        let about = fs::metadata(node)?;
        Ok(Self {
            uid: about.uid(),
            gid: about.gid(),
            mode: about.mode() & PERMISSIONS,
        })
    }

    fn give(self, node: &Path) -> std::io::Result<()> {
        chown(node, Some(self.uid), Some(self.gid))?;
        fs::set_permissions(node, Permissions::from_mode(self.mode))
    }
}

/// That a node was given to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeChange {
    /// The node.
    pub path: PathBuf,
    /// Whose it was.
    pub before: Ownership,
    /// Whose it is.
    pub given: Ownership,
}

/// Shown as the shell commands that do the same.
impl fmt::Display for NodeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ownership { uid, gid, mode } = self.given;
        let node = self.path.display();
        write!(f, "chown {uid}:{gid} {node} && chmod {mode:o} {node}")
    }
}

impl NodeChange {
    /// The same, taken back; `None` if the node is gone, or somebody else has given it to others since.
    pub(crate) fn taken_back(&self) -> Option<Self> {
        let now = Ownership::of(&self.path).ok()?;
        (now == self.given && now != self.before).then(|| Self {
            path: self.path.clone(),
            before: self.given,
            given: self.before,
        })
    }

    pub(crate) fn make(&self) -> Result<()> {
        log::debug!("{self}");
        let made = self.given.give(&self.path);
        made.map_err(|e| {
            let message = format!("cannot give {} away", self.path.display());
            Error::from_os(message, e)
        })
    }
}

impl Plan {
    /// The same plan, after which the nodes of the function are somebody's. Udev makes them others' again once they are made anew.
    ///
    /// # Errors
    ///
    /// There is no such user or group.
    pub fn give_to(mut self, host: &Host, owner: &Owner) -> Result<Self> {
        self.owner = Some((owner.clone(), host.resolve(owner)?));
        Ok(self)
    }

    /// To whom the nodes are given.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref().map(|(owner, _)| owner)
    }
}

impl Host {
    /// Whether the nodes of the function are somebody else's than the plan says.
    pub(crate) fn are_to_be_given(&self, plan: &Plan, done: &Done) -> Result<bool> {
        let Some((_, owner)) = &plan.owner else {
            return Ok(false);
        };
        for node in self.nodes_of(&done.function) {
            if self.give_node(&node, *owner)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What it takes to give a node to somebody: `None` if it is theirs. What a group is given, all of it may read and write.
    pub(crate) fn give_node(&self, node: &Path, owner: Owned) -> Result<Option<NodeChange>> {
        let before = Ownership::of(node)
            .map_err(|e| Error::from_os(format!("cannot look at {}", node.display()), e))?;
        let given = owner.of(before);
        Ok((given != before).then(|| NodeChange {
            path: node.to_owned(),
            before,
            given,
        }))
    }

    /// Who that is.
    ///
    /// # Errors
    ///
    /// `/etc/passwd` or `/etc/group` does not have them.
    pub(crate) fn resolve(&self, owner: &Owner) -> Result<Owned> {
        let find = |what, file, name: &Option<String>| {
            let Some(name) = name else { return Ok(None) };
            let id = name.parse().ok().or_else(|| self.id_in(file, name));
            id.map(Some).ok_or_else(|| {
                let message = format!("there is no {what} {name} in /etc/{file}");
                Error::new(ErrorKind::NotFound, message)
                    .with_hint("one that comes over the network is named by its number")
            })
        };
        Ok(Owned {
            uid: find("user", "passwd", &owner.user)?,
            gid: find("group", "group", &owner.group)?,
        })
    }

    /// Waits until udev has handled a node, which may be another one's when it has: false if it was not through in time.
    /// Where no udev runs, there is nothing to wait for.
    pub(crate) fn wait_for_udev(&self, node: &Path, timeout: Duration) -> bool {
        let udev = self.udev_run();
        if !udev.join("control").exists() {
            return true;
        }
        let started = Instant::now();
        loop {
            let late = started.elapsed() >= timeout;
            if is_handled(&udev, node) {
                return true;
            }
            if late {
                return false;
            }
            thread::sleep(INTERVAL);
        }
    }
}

/// Whether udev has written down what it knows of a node, which it does once it has set its owner, since the node was made:
/// a node of the same number may have been there before.
fn is_handled(udev: &Path, node: &Path) -> bool {
    let Ok(about) = fs::metadata(node) else {
        return false;
    };
    let number = format!("c{}:{}", major(about.rdev()), minor(about.rdev()));
    let written = fs::metadata(udev.join("data").join(number)).and_then(|data| data.modified());
    match (written, about.created()) {
        (Ok(written), Ok(made)) => written >= made,
        // The kernel does not say when a node was made.
        (Ok(_), Err(_)) => !udev.join("queue").exists(),
        (Err(_), _) => false,
    }
}

/// A user, or a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owned {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Owned {
    fn of(self, before: Ownership) -> Ownership {
        Ownership {
            uid: self.uid.unwrap_or(before.uid),
            gid: self.gid.unwrap_or(before.gid),
            mode: if self.gid.is_some() { 0o660 } else { 0o600 },
        }
    }
}

impl Execution<'_> {
    /// Gives the nodes of a function to whom the plan says, each noted in the journal before.
    pub(crate) fn give_nodes(&self, plan: &Plan, done: &mut Done, entry: &mut Open) -> Result<()> {
        let Some((_, owner)) = &plan.owner else {
            return Ok(());
        };
        for node in self.host.nodes_of(&done.function) {
            if let Some(change) = self.host.give_node(&node, *owner)? {
                entry.gives(&change)?;
                change.make()?;
                done.nodes.push(change);
            }
        }
        Ok(())
    }

    /// Gives the nodes back that an entry has given away, those of them that are still there. The last one first.
    pub(crate) fn take_nodes_back(&self, entry: &Entry) -> Result<Vec<NodeChange>> {
        let ours = entry.nodes.iter().filter(|n| self.host.is_node(&n.path));
        let back = ours.rev().filter_map(NodeChange::taken_back);
        let mut done = Vec::new();
        for change in back {
            match change.make() {
                Ok(()) => done.push(change),
                // It has gone away with the driver meanwhile.
                Err(_) if !change.path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
