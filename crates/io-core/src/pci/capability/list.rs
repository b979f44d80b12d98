//! Walking the lists of capabilities.

use super::{Body, Capability, CapabilityId, Context};
use crate::pci::{
    Config,
    bits::{bits8, bits16},
    header::{capabilities_pointer, kind},
};
use std::{error, fmt, vec};

/// The end of what standard capabilities can lie in, and the start of the extended ones.
const EXTENDED: usize = 0x100;

/// The end of configuration space.
const END: usize = 0x1000;

/// The capabilities of a function, in the order of their list.
///
/// The walk visits no place twice and leaves nothing of what was read, so it ends on any bytes. If the
/// list is broken, [`error`](CapabilityList::error) says how, and what comes before that place is
/// here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityList<'a> {
    /// The capabilities that were found.
    pub capabilities: Vec<Capability<'a>>,
    /// Why there may be more that were not found.
    pub error: Option<ListError>,
}

impl<'a> CapabilityList<'a> {
    /// The first capability with this id.
    #[must_use]
    pub fn find(&self, id: CapabilityId) -> Option<&Capability<'a>> {
        self.capabilities.iter().find(|found| found.id == id)
    }
}

impl<'a> IntoIterator for CapabilityList<'a> {
    type Item = Capability<'a>;
    type IntoIter = vec::IntoIter<Capability<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.capabilities.into_iter()
    }
}

/// Where a list of capabilities is broken, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListError {
    /// Where the list led to: an offset in configuration space.
    pub offset: u16,
    /// What is wrong with that.
    pub kind: ListErrorKind,
}

/// How a list of capabilities can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListErrorKind {
    /// The list has been there before.
    Loop,
    /// No capability of this kind can be there: a header is, or capabilities of the other kind.
    Outside,
    /// All bits there are ones, as when the function has gone.
    AllOnes,
    /// That lies behind the end of what was read.
    Truncated,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.kind {
            ListErrorKind::Loop => "where it has been before",
            ListErrorKind::Outside => "where no capability of this list can be",
            ListErrorKind::AllOnes => "where all bits are ones",
            ListErrorKind::Truncated => "behind the end of what was read",
        };
        write!(
            f,
            "the list of capabilities leads to {:#04x}, {why}",
            self.offset
        )
    }
}

impl error::Error for ListError {}

/// What is at one place of a list.
enum Place {
    /// A capability.
    Capability(Entry),
    /// Nothing: the list ends here, and is whole.
    End,
    /// All ones.
    AllOnes,
}

/// The header of a capability.
struct Entry {
    id: CapabilityId,
    version: Option<u8>,
    next: u16,
}

/// The list of the standard capabilities.
pub(in crate::pci) fn list(config: Config<'_>) -> CapabilityList<'_> {
    let area = config.bytes().get(..EXTENDED).unwrap_or(config.bytes());
    let context = Context {
        bridge: kind(config) == Some(1),
        port: None,
    };
    let start = match config.is_absent() {
        true => 0,
        false => capabilities_pointer(config).unwrap_or(0) & 0xfc,
    };
    walk(area, u16::from(start), 0x40, context, |at| {
        let id = config.read8(at)?;
        let next = config.read8(at + 1)? & 0xfc;
        Some(match id {
            0xff => Place::AllOnes,
            _ => Place::Capability(Entry {
                id: CapabilityId::Standard(id),
                version: None,
                next: u16::from(next),
            }),
        })
    })
}

/// The list of the extended capabilities.
pub(in crate::pci) fn extended_list(config: Config<'_>) -> CapabilityList<'_> {
    // All ones at its start are no broken list: of a conventional function behind a bridge of PCI
    // Express, nothing answers there.
    let start = match config.read32(0x100) {
        _ if config.bytes().len() <= EXTENDED => 0,
        Some(u32::MAX) => 0,
        _ => 0x100,
    };
    let area = config.bytes().get(..END).unwrap_or(config.bytes());
    let standard = list(config);
    let express = standard.find(CapabilityId::PCI_EXPRESS);
    let context = Context {
        bridge: kind(config) == Some(1),
        port: match express.map(Capability::body) {
            Some(Ok(Body::PciExpress(express))) => Some(express.port_type),
            _ => None,
        },
    };
    walk(area, start, 0x100, context, |at| {
        let header = config.read32(at)?;
        let [low, high, ..] = header.to_le_bytes();
        Some(match header {
            0 => Place::End,
            u32::MAX => Place::AllOnes,
            _ => Place::Capability(Entry {
                id: CapabilityId::Extended(u16::from_le_bytes([low, high])),
                version: Some(bits8(header, 16, 4)),
                next: bits16(header, 20, 12) & 0xffc,
            }),
        })
    })
}

/// Walks a list of `area` from `start` on. No capability lies below `lowest`. `read` reads what is at
/// a place, if it is there.
fn walk<'a>(
    area: &'a [u8],
    start: u16,
    lowest: u16,
    context: Context,
    read: impl Fn(u16) -> Option<Place>,
) -> CapabilityList<'a> {
    let mut found: Vec<Capability<'a>> = Vec::new();
    let mut visited = [false; END / 4];
    let mut at = start;
    let error = loop {
        if at == 0 {
            break None;
        }
        let broken = |kind| Some(ListError { offset: at, kind });
        if at < lowest {
            break broken(ListErrorKind::Outside);
        }
        match visited.get_mut(usize::from(at / 4)) {
            Some(visited) if !*visited => *visited = true,
            _ => break broken(ListErrorKind::Loop),
        }
        let (Some(bytes), Some(place)) = (area.get(usize::from(at)..), read(at)) else {
            break broken(ListErrorKind::Truncated);
        };
        let entry = match place {
            Place::Capability(entry) => entry,
            Place::End => break None,
            Place::AllOnes => break broken(ListErrorKind::AllOnes),
        };
        found.push(Capability {
            id: entry.id,
            version: entry.version,
            offset: at,
            bytes,
            context,
        });
        at = entry.next;
    };
    cut(&mut found);
    CapabilityList {
        capabilities: found,
        error,
    }
}

/// Ends each capability where the next one in configuration space starts.
fn cut(found: &mut [Capability<'_>]) {
    let mut offsets: Vec<u16> = found.iter().map(|capability| capability.offset).collect();
    offsets.sort_unstable();
    for capability in found {
        let next = offsets.partition_point(|&offset| offset <= capability.offset);
        let len = offsets
            .get(next)
            .map(|next| usize::from(next - capability.offset));
        if let Some(bytes) = len.and_then(|len| capability.bytes.get(..len)) {
            capability.bytes = bytes;
        }
    }
}
