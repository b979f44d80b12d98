//! A BAR of any kind.
#![expect(unsafe_code, reason = "makes views of mappings")]

use crate::{
    BarIo, Error, ErrorKind, Fault, IndirectIo, MappingName, Mmio, MmioRaw, Offset, Region,
    RegionError, RegionOps, Result, Width, mapping, sparse::Sparse,
};
use std::{any::Any, fmt};

/// A BAR of any kind: mapped into this process, as a whole or in parts, reached by calls, simulated, recorded.
///
/// Its view for drivers that run on all of them is [`io`](Self::io), whose accesses may fail. That of a mapped
/// BAR is [`mmio`](Self::mmio), whose accesses are single instructions.
///
/// ```
/// use io_core::{Bar, Io, sim::Ram};
///
/// let bar = Bar::called(Ram::new("BAR 0 of a simulated device", 0x100));
/// let io = bar.io::<0x40>()?;
/// io.try_write32(0x10, 7)?;
/// assert_eq!(io.try_read32(0x10)?, 7);
/// assert!(bar.mmio::<0x40>().is_err(), "it is not mapped");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Bar {
    access: Access,
}

enum Access {
    Mapped(Mapped),
    Sparse(Sparse),
    Called(Box<dyn RegionOps>),
}

/// # Invariants
///
/// `raw` is mapped, readable and writable, as long as `_owner` lives.
struct Mapped {
    raw: MmioRaw<Region>,
    // Dropped first.
    name: MappingName,
    map_again: Option<MapAgain>,
    _owner: Box<dyn Any + Send + Sync>,
}

/// Maps a BAR anew, in the place where it is.
type MapAgain = Box<dyn Fn() -> Result<()> + Send + Sync>;

impl Bar {
    /// The BAR that is mapped at `raw`, with the size that the device reports, and is to be called `name` in
    /// errors.
    ///
    /// # Safety
    ///
    /// As long as `owner` lives, the memory at `raw` is mapped for its whole size, readable and writable, and
    /// there is no Rust reference to any part of it. It is memory of a device, or at least none that Rust
    /// allocated: views of the BAR go to any thread, and access it without synchronisation.
    pub unsafe fn mapped(
        raw: MmioRaw<Region>,
        name: impl Into<String>,
        owner: impl Any + Send + Sync,
    ) -> Self {
        let access = Access::Mapped(Mapped {
            name: MappingName::new(raw.as_ptr().cast(), raw.size(), name),
            raw,
            map_again: None,
            _owner: Box::new(owner),
        });
        Self { access }
    }

    /// The same BAR, whose device may go away: an access to it that would raise SIGBUS and end the process reads all
    /// ones, or writes nowhere, and from then on [`is_lost`](Self::is_lost). `map_again` is for
    /// [`revive`](Self::revive): it maps all of the BAR anew, in the same place.
    ///
    /// A BAR that is not mapped stays as it is.
    ///
    /// # Errors
    ///
    /// It is not mapped from the start of a page on, or the kernel refuses the signal handler.
    ///
    /// # Safety
    ///
    /// The pages that the BAR is mapped in are the owner's alone, mapped until it is dropped: any of them may be replaced
    /// by private memory.
    pub unsafe fn survive(
        mut self,
        map_again: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        if let Access::Mapped(mapped) = &mut self.access {
            let (base, size) = (mapped.raw.as_ptr().cast(), mapped.raw.size());
            // SAFETY: the name is dropped before the owner; the caller has shown the rest.
            unsafe { mapped.name.guard(base, size) }.map_err(|error| {
                let name = mapping::name_of(mapped.raw.as_ptr().cast_const());
                let name = name.map_or_else(|| "a mapped BAR".to_owned(), |region| region.name);
                Error::from_os(format!("cannot guard {name} against SIGBUS"), error)
            })?;
            mapped.map_again = Some(Box::new(map_again));
        }
        Ok(self)
    }

    /// Says that the device of a lost BAR is there again, and maps it anew.
    ///
    /// Accesses that may fail and that have begun before are lost, however they end; one that fails meanwhile makes it lost
    /// again: [`is_lost`](Self::is_lost) has the last word.
    /// Whether the device answers, and what state it is in, is another question.
    ///
    /// # Errors
    ///
    /// It cannot be mapped, and stays lost.
    pub fn revive(&self) -> Result<()> {
        match &self.access {
            Access::Mapped(mapped) => mapped
                .name
                .revive(|| mapped.map_again.as_ref().map_or(Ok(()), |map| map())),
            Access::Sparse(sparse) => sparse.revive(),
            Access::Called(called) => called.revive(),
        }
    }

    /// The BAR that `ops` reaches.
    #[must_use]
    pub fn called(ops: impl RegionOps + 'static) -> Self {
        let access = Access::Called(Box::new(ops));
        Self { access }
    }

    /// The BAR that is mapped in parts: `areas`, each with its offset in the BAR, and `rest`, which reaches all of it.
    ///
    /// An access to an area is an instruction, and any other a call. [`io`](Self::io) serves both alike; as a whole it
    /// is not mapped.
    ///
    /// ```
    /// use io_core::{Bar, Io, sim::Ram};
    ///
    /// // A backend gives mapped areas; this one has none.
    /// let bar = Bar::sparse(Vec::new(), Ram::new("BAR 0 of a simulated device", 0x100));
    /// assert_eq!(bar.io::<0x40>()?.try_read32(0x10)?, 0);
    /// let error = bar.mmio::<0x40>().unwrap_err();
    /// assert_eq!(error.to_string(), "BAR 0 of a simulated device is mapped in parts only");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sparse(areas: Vec<(usize, Self)>, rest: impl RegionOps + 'static) -> Self {
        let access = Access::Sparse(Sparse::new(areas, Box::new(rest)));
        Self { access }
    }

    /// Says that the device behind a mapped BAR is lost, or that it is there again. Accesses that may fail report
    /// [`Fault::Lost`] while it is lost. A BAR that is reached by calls knows by itself.
    pub fn set_lost(&self, lost: bool) {
        match &self.access {
            Access::Mapped(mapped) => mapped.name.set_lost(lost),
            Access::Sparse(sparse) => sparse.set_lost(lost),
            Access::Called(called) => called.set_lost(lost),
        }
    }

    /// Whether the device behind a mapped BAR was said to be lost, or an access to it has met nobody: see
    /// [`survive`](Self::survive).
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match &self.access {
            Access::Mapped(mapped) => mapped.name.is_lost(),
            Access::Sparse(sparse) => sparse.is_lost(),
            Access::Called(called) => called.is_lost(),
        }
    }

    /// The size in bytes, as the device reports it.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.access {
            Access::Mapped(mapped) => mapped.raw.size(),
            Access::Sparse(sparse) => sparse.size(),
            Access::Called(called) => called.size(),
        }
    }

    /// The address and size of a BAR that is mapped, which promise nothing: they may outlive the mapping.
    ///
    /// # Errors
    ///
    /// It is not mapped, or has less than `SIZE` bytes.
    pub fn raw<const SIZE: usize>(&self) -> Result<MmioRaw<Region<SIZE>>> {
        Ok(self.mmio()?.as_raw())
    }

    /// The BAR as a region of at least `SIZE` bytes, by accesses that may fail.
    ///
    /// # Errors
    ///
    /// The BAR has less than `SIZE` bytes.
    pub fn io<const SIZE: usize>(&self) -> Result<BarIo<'_, Region<SIZE>>, RegionError> {
        match &self.access {
            Access::Mapped(mapped) => mapped.view().map(BarIo::mapped),
            Access::Sparse(sparse) => IndirectIo::new(sparse).map(BarIo::called),
            Access::Called(ops) => IndirectIo::new(ops.as_ref()).map(BarIo::called),
        }
    }

    /// The BAR as a region of at least `SIZE` bytes, if it is mapped.
    ///
    /// # Errors
    ///
    /// It is not mapped, or has less than `SIZE` bytes.
    pub fn mmio<const SIZE: usize>(&self) -> Result<Mmio<'_, Region<SIZE>>> {
        match &self.access {
            Access::Mapped(mapped) => Ok(mapped.view()?),
            Access::Sparse(sparse) => Err(not_mapped(sparse, "is mapped in parts only")),
            Access::Called(called) => Err(not_mapped(called.as_ref(), "cannot be mapped")),
        }
    }

    /// Calls `f` with what reaches it.
    fn with_ops<R>(&self, f: impl FnOnce(&dyn RegionOps) -> R) -> R {
        match &self.access {
            Access::Mapped(mapped) => f(&mapped.whole()),
            Access::Sparse(sparse) => f(sparse),
            Access::Called(called) => f(called.as_ref()),
        }
    }
}

/// A BAR of any kind can be reached by calls, so that it can stand behind a [`Watchdog`](crate::Watchdog) or a
/// [`Recorder`](crate::sim::Recorder).
impl RegionOps for Bar {
    fn name(&self) -> String {
        self.with_ops(|ops| ops.name())
    }

    fn size(&self) -> usize {
        self.size()
    }

    fn widest(&self) -> Width {
        self.with_ops(|ops| ops.widest())
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        self.with_ops(|ops| ops.read(at, bytes))
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.with_ops(|ops| ops.write(at, bytes))
    }

    fn is_lost(&self) -> bool {
        self.is_lost()
    }

    fn set_lost(&self, lost: bool) {
        self.set_lost(lost);
    }

    fn revive(&self) -> Result<()> {
        self.revive()
    }
}

/// Why there is no view of a BAR as mapped memory.
fn not_mapped(region: &dyn RegionOps, why: &str) -> Error {
    let message = format!("{} {why}", region.name());
    Error::new(ErrorKind::Unsupported, message).with_hint("Bar::io reaches it all the same")
}

impl fmt::Debug for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_tuple("Bar");
        match &self.access {
            Access::Mapped(mapped) => output.field(&mapped.raw),
            Access::Sparse(sparse) => output.field(sparse),
            Access::Called(called) => output.field(called),
        };
        output.finish()
    }
}

impl Mapped {
    fn whole(&self) -> Mmio<'_, Region> {
        // SAFETY: by the invariant, it is mapped as long as `self` is borrowed; who made the BAR has shown
        // that there are no references to it, and that Rust did not allocate it.
        unsafe { Mmio::from_raw(self.raw) }
    }

    fn view<const SIZE: usize>(&self) -> Result<Mmio<'_, Region<SIZE>>, RegionError> {
        let raw = MmioRaw::new_region(self.raw.as_ptr().cast(), self.raw.size())?;
        // SAFETY: as for `whole`.
        Ok(unsafe { Mmio::from_raw(raw) })
    }
}
