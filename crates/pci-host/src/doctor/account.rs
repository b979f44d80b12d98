//! A user of the machine.

use crate::{Host, host::names};
use io_core::{Error, ErrorKind, Result};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// A user, as `/etc/passwd` and `/etc/group` have it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The name.
    pub name: String,
    /// The number.
    pub id: u32,
    /// The numbers of the groups.
    pub groups: Vec<u32>,
}

impl Account {
    /// Whether the user may read and write a node.
    pub(super) fn may_use(&self, node: &Path) -> bool {
        let Ok(metadata) = fs::metadata(node) else {
            return false;
        };
        let shift = match metadata {
            _ if self.id == 0 => return true,
            ref m if m.uid() == self.id => 6,
            ref m if self.groups.contains(&m.gid()) => 3,
            _ => 0,
        };
        metadata.mode() >> shift & 0o6 == 0o6
    }
}

impl Host {
    /// The user of this name. Users that come over the network are not looked for.
    ///
    /// # Errors
    ///
    /// `/etc/passwd` has none.
    pub fn account(&self, name: &str) -> Result<Account> {
        let file = |file: &str| fs::read_to_string(self.etc().join(file)).unwrap_or_default();
        let users = file("passwd");
        let user = users.lines().find_map(|line| {
            // name:password:user:group:...
            let mut fields = line.split(':');
            let (is, _, id, group) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let numbers = (id.parse().ok()?, group.parse().ok()?);
            (is == name).then_some(numbers)
        });
        let Some((id, group)) = user else {
            let message = format!(
                "there is no user {name} in {}",
                self.etc().join("passwd").display()
            );
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let all = file("group");
        let member_of = all.lines().filter_map(|line| {
            // name:password:group:members
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, group, members] = fields.as_slice() else {
                return None;
            };
            members
                .split(',')
                .any(|member| member == name)
                .then(|| group.parse().ok())?
        });
        let groups = std::iter::once(group).chain(member_of).collect();
        Ok(Account {
            name: name.to_owned(),
            id,
            groups,
        })
    }

    /// How many bytes of memory this process, or else one of the user's, may lock; `None` if no process says so.
    pub(super) fn lock_limit(&self, user: Option<&Account>) -> Option<u64> {
        let process = match user {
            None => "self".to_owned(),
            Some(user) => self.newest_process(user.id)?.to_string(),
        };
        let limits = fs::read_to_string(self.proc().join(process).join("limits")).ok()?;
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max locked memory"))?;
        match line.split_whitespace().next()? {
            "unlimited" => Some(u64::MAX),
            bytes => bytes.parse().ok(),
        }
    }

    fn newest_process(&self, user: u32) -> Option<u32> {
        let all = names(self.proc()).unwrap_or_default();
        let all = all.iter().filter_map(|name| name.parse::<u32>().ok());
        let its = all.filter(|process| {
            let status = fs::read_to_string(self.proc().join(process.to_string()).join("status"));
            let status = status.unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
            ids.and_then(|ids| ids.split_whitespace().next()) == Some(&user.to_string())
        });
        its.max()
    }
}
