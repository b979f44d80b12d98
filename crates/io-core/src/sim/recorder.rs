//! A region whose accesses are written down.

use crate::{Fault, Offset, RegionOps, Width};
use std::sync::{Mutex, PoisonError};

/// One access that was made to a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether it was a write.
    pub write: bool,
    /// Where it was.
    pub at: Offset,
    /// Its width.
    pub width: Width,
    /// What was written, or read; `None` if it did not get through.
    pub value: Option<u64>,
}

/// A region behind which there is another, and which writes down every access to it.
///
/// ```
/// use io_core::{IndirectIo, Io, Region, sim::{Ram, Recorder}};
///
/// let ram = Ram::new("BAR 0 of a simulated device", 0x40);
/// let recorder = Recorder::new(&ram);
/// let bar = IndirectIo::<Region>::new(&recorder)?;
/// bar.try_write16(0x10, 0xcafe)?;
/// let accesses = recorder.take();
/// assert_eq!(accesses.len(), 1);
/// assert_eq!((accesses[0].at.bytes(), accesses[0].value), (0x10, Some(0xcafe)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recorder<R> {
    inner: R,
    accesses: Mutex<Vec<Access>>,
}

impl<R: RegionOps> Recorder<R> {
    /// A recorder of accesses to `inner`: a region, or a reference or an `Arc` to one.
    #[must_use]
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            accesses: Mutex::default(),
        }
    }

    /// The accesses since the last time they were taken, in their order.
    pub fn take(&self) -> Vec<Access> {
        std::mem::take(&mut *self.accesses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(&self, write: bool, at: Offset, bytes: &[u8], result: Result<(), Fault>) {
        let mut value = [0; 8];
        for (to, from) in value.iter_mut().zip(bytes) {
            *to = *from;
        }
        let access = Width::from_bytes(bytes.len()).map(|width| Access {
            write,
            at,
            width,
            value: result.ok().map(|()| u64::from_le_bytes(value)),
        });
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        accesses.extend(access);
    }
}

impl<R: RegionOps> RegionOps for Recorder<R> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn widest(&self) -> Width {
        self.inner.widest()
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let result = self.inner.read(at, bytes);
        self.record(false, at, bytes, result);
        result
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        let result = self.inner.write(at, bytes);
        self.record(true, at, bytes, result);
        result
    }

    fn is_lost(&self) -> bool {
        self.inner.is_lost()
    }

    fn set_lost(&self, lost: bool) {
        self.inner.set_lost(lost);
    }

    fn revive(&self) -> crate::Result<()> {
        self.inner.revive()
    }
}
