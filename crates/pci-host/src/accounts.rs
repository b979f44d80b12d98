//! The users and groups of the machine, as far as its own files have them.

use crate::{Grantee, Host};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

impl Host {
    /// The name of a group of users, if `/etc/group` has it: groups that come over the network are not looked for.
    #[must_use]
    pub fn group_name(&self, id: u32) -> Option<String> {
        self.name_in("group", id)
    }

    /// The name with this number in a file of `/etc`.
    fn name_in(&self, file: &str, id: u32) -> Option<String> {
        let text = fs::read_to_string(self.etc().join(file)).ok()?;
        let mut lines = text.lines().map(|line| line.split(':'));
        lines.find_map(|mut fields| {
            let name = fields.next()?;
            // Between them is the password.
            let its = fields.nth(1)?.parse() == Ok(id);
            its.then(|| name.to_owned())
        })
    }

    /// The number of this name in a file of `/etc`.
    pub(crate) fn id_in(&self, file: &str, name: &str) -> Option<u32> {
        let text = fs::read_to_string(self.etc().join(file)).ok()?;
        let mut lines = text.lines().map(|line| line.split(':'));
        lines.find_map(|mut fields| {
            let its = fields.next()? == name;
            let id = fields.nth(1)?.parse().ok()?;
            its.then_some(id)
        })
    }

    /// Whether a node is this user's, or this group's to read and write.
    #[must_use]
    pub fn is_node_of(&self, node: &Path, who: &Grantee) -> bool {
        match who {
            Grantee::Group(name) => self.group_of_node(node).as_ref() == Some(name),
            Grantee::User(name) => {
                let owner = fs::metadata(node).ok().map(|about| about.uid());
                owner.and_then(|id| self.name_in("passwd", id)).as_ref() == Some(name)
            }
        }
    }

    /// The group of users, other than root's, that may read and write a node.
    #[must_use]
    pub fn group_of_node(&self, node: &Path) -> Option<String> {
        const READ_AND_WRITE: u32 = 0o060;

        let metadata = fs::metadata(node).ok()?;
        let may = metadata.mode() & READ_AND_WRITE == READ_AND_WRITE;
        (may && metadata.gid() != 0)
            .then(|| self.group_name(metadata.gid()))
            .flatten()
    }
}
