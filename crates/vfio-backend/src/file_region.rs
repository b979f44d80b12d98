//! A region of a device, reached through the device's file.

use crate::{RegionInfo, device::DeviceFile, mapping::RegionFile};
use io_core::{Fault, Offset, RegionOps, Width};
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// A region of an open device that is reached through the device's file: each access is one system
/// call of that width.
///
/// VFIO shows some registers of configuration space as it wants them seen (BARs, interrupt vectors), the
/// rest as the device has them.
#[derive(Debug)]
pub(crate) struct FileRegion<F = DeviceFile> {
    file: Arc<F>,
    start: u64,
    writable: bool,
    size: usize,
    name: String,
    widest: Width,
}

impl<F> FileRegion<F> {
    /// The region that `info` describes, to be called `name`, which takes accesses up to `widest`.
    pub(crate) fn new(
        file: &Arc<F>,
        info: &RegionInfo,
        name: String,
        widest: Width,
    ) -> io_core::Result<Self> {
        Ok(Self {
            file: Arc::clone(file),
            start: info.offset,
            writable: info.writable,
            size: info.len()?,
            name,
            widest,
        })
    }

    /// The place in the file. Views have checked that it is in the region.
    fn place(&self, at: Offset) -> u64 {
        let at = u64::try_from(at.bytes()).unwrap_or(u64::MAX);
        self.start.saturating_add(at)
    }
}

impl<F: RegionFile> RegionOps for FileRegion<F> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> usize {
        self.size
    }

    fn widest(&self) -> Width {
        self.widest
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let file: &File = self.file.as_ref().as_ref();
        let done = file.read_at(bytes, self.place(at));
        whole(done, bytes.len())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        if !self.writable {
            return Err(Fault::ReadOnly);
        }
        let file: &File = self.file.as_ref().as_ref();
        let done = file.write_at(bytes, self.place(at));
        whole(done, bytes.len())
    }
}

/// Turns anything but a whole access into a fault.
fn whole(done: io::Result<usize>, len: usize) -> Result<(), Fault> {
    match done {
        Ok(done) if done == len => Ok(()),
        Ok(done) => Err(Fault::Short { done }),
        Err(error) => Err(error
            .raw_os_error()
            .map_or(Fault::Short { done: 0 }, Fault::from_errno)),
    }
}
