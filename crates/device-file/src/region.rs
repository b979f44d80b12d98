//! A region that is reached by calls.

use crate::RegionFile;
use io_core::{Fault, Offset, RegionOps, Width};
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// A region of a device in a file: each access is one system call of that width.
#[derive(Debug)]
pub struct FileRegion<F> {
    file: Arc<F>,
    start: u64,
    writable: bool,
    size: usize,
    name: String,
    widest: Width,
}

impl<F> FileRegion<F> {
    /// The `size` bytes at `start` in the file, to be called `name`, which take accesses up to `widest`.
    #[must_use]
    pub fn new(file: &Arc<F>, (start, size): (u64, usize), name: String, widest: Width) -> Self {
        Self {
            file: Arc::clone(file),
            start,
            writable: true,
            size,
            name,
            widest,
        }
    }

    /// The same, but writes are [refused](Fault::ReadOnly).
    #[must_use]
    pub fn read_only(self) -> Self {
        Self {
            writable: false,
            ..self
        }
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
