//! Programs that send and receive frames on an interface, past its addresses: packet(7).

use crate::{
    Host,
    users::{Code, Finding, process},
};
use std::{collections::BTreeSet, fs};

/// A packet socket that is bound to an interface.
pub(super) struct Socket {
    /// The index of the interface.
    pub(super) interface: u32,
    /// Who has it, if that can be seen.
    owner: Option<process::Process>,
}

impl Socket {
    /// That somebody uses the interface, which is called `shown`.
    pub(super) fn finding(&self, shown: &str) -> Finding {
        let (who, hint) = match &self.owner {
            Some(owner) => (owner.to_string(), owner.hint()),
            None => (
                "a program".to_owned(),
                "root sees which one: sudo outboard users".to_owned(),
            ),
        };
        let sentence = format!("{who} has a packet socket on {shown}");
        Finding::new(Code::Packet, sentence, hint)
    }
}

/// All that are bound to one interface: such a program takes frames from there alone.
pub(super) fn sockets(host: &Host) -> Vec<Socket> {
    let file = fs::read_to_string(host.proc().join("net/packet")).unwrap_or_default();
    let bound: Vec<(u32, String)> = file.lines().filter_map(bound).collect();
    if bound.is_empty() {
        return Vec::new();
    }
    let links: BTreeSet<String> = bound.iter().map(|(_, link)| link.clone()).collect();
    let mut owners = process::with_descriptors(host, &links);
    let socket = |(interface, link): (u32, String)| Socket {
        interface,
        owner: owners.remove(&link),
    };
    bound.into_iter().map(socket).collect()
}

/// Of a line of `/proc/net/packet`: address, references, type, protocol, interface, running, memory, user, inode. What is
/// bound to none has interface 0.
fn bound(line: &str) -> Option<(u32, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, _, interface, _, _, _, inode] = words.as_slice() else {
        return None;
    };
    let interface = interface.parse().ok().filter(|index| *index != 0)?;
    Some((interface, format!("socket:[{inode}]")))
}
