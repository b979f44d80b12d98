//! A region whose accesses are written down.

use crate::{Fault, Offset, RegionOps, Result, Width, record};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

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

/// What is done with a region, and what came of it.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    Access {
        write: bool,
        at: Offset,
        bytes: &'a [u8],
        result: Result<(), Fault>,
    },
    IsLost(bool),
    SetLost(bool),
    Revive(&'a Result<()>),
}

/// Who is told what is done with a region, when it is over.
pub(crate) trait Tell: fmt::Debug + Send + Sync {
    fn tell(&self, told: Told<'_>);
}

/// A region behind which there is another, and of which somebody is told all that is done with it.
#[derive(Debug)]
pub(crate) struct Overheard<R, T> {
    pub(crate) inner: R,
    pub(crate) by: T,
}

impl<R: RegionOps, T: Tell> RegionOps for Overheard<R, T> {
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
        self.by.tell(Told::Access {
            write: false,
            at,
            bytes,
            result,
        });
        result
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        let result = self.inner.write(at, bytes);
        self.by.tell(Told::Access {
            write: true,
            at,
            bytes,
            result,
        });
        result
    }

    fn is_lost(&self) -> bool {
        let lost = self.inner.is_lost();
        self.by.tell(Told::IsLost(lost));
        lost
    }

    fn set_lost(&self, lost: bool) {
        self.inner.set_lost(lost);
        self.by.tell(Told::SetLost(lost));
    }

    fn revive(&self) -> Result<()> {
        let revived = self.inner.revive();
        self.by.tell(Told::Revive(&revived));
        revived
    }
}

/// A region behind which there is another, and which writes down every access to it, for a test to look at.
///
/// All that is done with a device goes to a file by [`record`](crate::record).
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
    region: Overheard<R, Accesses>,
}

#[derive(Debug, Default)]
struct Accesses(Mutex<Vec<Access>>);

impl Tell for Accesses {
    fn tell(&self, told: Told<'_>) {
        let Told::Access {
            write,
            at,
            bytes,
            result,
        } = told
        else {
            return;
        };
        let access = Width::from_bytes(bytes.len()).map(|width| Access {
            write,
            at,
            width,
            value: result.ok().map(|()| record::value(bytes)),
        });
        let mut accesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accesses.extend(access);
    }
}

impl<R: RegionOps> Recorder<R> {
    /// A recorder of accesses to `inner`: a region, or a reference or an `Arc` to one.
    #[must_use]
    pub fn new(inner: R) -> Self {
        let by = Accesses::default();
        Self {
            region: Overheard { inner, by },
        }
    }

    /// The accesses since the last time they were taken, in their order.
    pub fn take(&self) -> Vec<Access> {
        let accesses = &self.region.by.0;
        std::mem::take(&mut *accesses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<R: RegionOps> RegionOps for Recorder<R> {
    fn name(&self) -> String {
        self.region.name()
    }

    fn size(&self) -> usize {
        self.region.size()
    }

    fn widest(&self) -> Width {
        self.region.widest()
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        self.region.read(at, bytes)
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.region.write(at, bytes)
    }

    fn is_lost(&self) -> bool {
        self.region.is_lost()
    }

    fn set_lost(&self, lost: bool) {
        self.region.set_lost(lost);
    }

    fn revive(&self) -> Result<()> {
        self.region.revive()
    }
}
