//! UIO devices of any kind.

use crate::{
    UioInterrupt,
    open::{self, Open},
};
use device_file::{map, page_size};
use io_core::{Bar, Error, ErrorKind, Result};
use pci_host::{Host, UioInfo, UioMap};
use std::{fs::File, sync::Arc};

/// A UIO device, such as `/dev/uio0`, whatever it is of: a PCI function, or part of a system on a chip.
///
/// ```no_run
/// use io_core::Io;
/// use pci_host::Host;
/// use std::time::Duration;
/// use uio_backend::UioNode;
///
/// let node = UioNode::open(&Host::system(), "uio0")?;
/// let registers = node.map("registers")?;
/// registers.io::<0x10>()?.try_write32(0, 1)?;
/// let interrupt = node.interrupt()?;
/// while interrupt.wait(Duration::from_secs(1))?.is_none() {}
/// interrupt.enable()?; // for the next one
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UioNode {
    host: Host,
    info: UioInfo,
    file: Arc<NodeFile>,
}

/// The node's file, and the function that is open as long as it is.
#[derive(Debug)]
struct NodeFile {
    file: File,
    _function: Option<Arc<Open>>,
}

impl AsRef<File> for NodeFile {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

impl UioNode {
    /// Opens the UIO device called `name`, such as `uio0`.
    ///
    /// # Errors
    ///
    /// There is none, or this user may not open its node.
    pub fn open(host: &Host, name: &str) -> Result<Self> {
        Self::open_info(host, host.uio(name)?, None)
    }

    /// Opens the UIO device that `function` has, if it is one of a function.
    pub(crate) fn open_info(
        host: &Host,
        info: UioInfo,
        function: Option<&Arc<Open>>,
    ) -> Result<Self> {
        let file =
            open::open(&info.node).map_err(|e| open::cannot_open_node(host, &info.node, e))?;
        Ok(Self {
            host: host.clone(),
            info,
            file: Arc::new(NodeFile {
                file,
                _function: function.cloned(),
            }),
        })
    }

    /// What the machine showed of it when it was opened.
    #[must_use]
    pub fn info(&self) -> &UioInfo {
        &self.info
    }

    /// The map of this name, or of this number, such as `0`.
    ///
    /// The kernel tells the size of its pages only, which may be more than there is.
    ///
    /// # Errors
    ///
    /// There is no such map; the error names those that there are. Or the kernel does not map it.
    pub fn map(&self, name: &str) -> Result<Bar> {
        let named = |map: &&UioMap| map.name.as_deref() == Some(name);
        let maps = &self.info.maps;
        let numbered = |map: &&UioMap| name.parse() == Ok(map.index);
        let found = maps
            .iter()
            .find(named)
            .or_else(|| maps.iter().find(numbered));
        let Some(found) = found else {
            let message = format!("{} has no map {name:?}", self.info.name);
            let have: Vec<_> = maps.iter().map(describe).collect();
            return Err(Error::new(ErrorKind::NotFound, message).with_hint(
                match have.as_slice() {
                    [] => "it has no maps at all".to_owned(),
                    have => format!("its maps: {}", have.join(", ")),
                },
            ));
        };
        let size = found.size.saturating_sub(found.offset);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let name = format!("map {} of {}", describe(found), self.info.name);
        map(&self.file, (place(found), size), &name)
    }

    /// What is at this address of the machine's bus, if it is in a map with all of its bytes.
    pub(crate) fn map_at(&self, start: u64, size: usize, name: &str) -> Option<Result<Bar>> {
        let fits = |map: &&UioMap| {
            let bytes = map.size.checked_sub(map.offset);
            let begins = map.address.checked_add(map.offset) == Some(start);
            begins && bytes.is_some_and(|bytes| u64::try_from(size).is_ok_and(|size| size <= bytes))
        };
        let found = self.info.maps.iter().find(fits)?;
        Some(map(&self.file, (place(found), size), name))
    }

    /// Its interrupt, enabled.
    ///
    /// # Errors
    ///
    /// It has none.
    pub fn interrupt(&self) -> Result<UioInterrupt> {
        UioInterrupt::new(&self.host, &self.info)
    }
}

/// What a map is called.
fn describe(map: &UioMap) -> String {
    map.name.clone().unwrap_or_else(|| map.index.to_string())
}

/// Where a map starts in the node's file: each has a page of offsets (uio-howto.rst, "mmap()").
fn place(map: &UioMap) -> u64 {
    let page = u64::try_from(page_size()).unwrap_or(u64::MAX);
    u64::from(map.index)
        .saturating_mul(page)
        .saturating_add(map.offset)
}
