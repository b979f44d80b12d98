//! The users and groups of the machine, as far as its own files have them.

use crate::Host;
use std::{fs, os::unix::fs::MetadataExt, path::Path};

impl Host {
    /// The name of a group of users, if `/etc/group` has it: groups that come over the network are not looked for.
    #[must_use]
    pub fn group_name(&self, id: u32) -> Option<String> {
        let groups = fs::read_to_string(self.etc().join("group")).ok()?;
        let mut groups = groups.lines().map(|line| line.split(':'));
        groups.find_map(|mut fields| {
            let name = fields.next()?;
            // Between them is the password.
            let its = fields.nth(1)?.parse() == Ok(id);
            its.then(|| name.to_owned())
        })
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
