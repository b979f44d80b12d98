//! Regions that are reached by calls, one for each access.
#![expect(unsafe_code, reason = "implements a backend, and Send and Sync")]

use crate::{
    AccessError, AccessErrorKind, AccessWidth, CopyFault, Fault, Io, IoBackend, IoBase, IoCopyable,
    KnownSize, Mmio, MmioBackend, Region, RegionError, RegionName, TryIoCapable, Width, copy::Runs,
};
use std::{fmt, ptr::without_provenance_mut, sync::Arc};

/// How far something is from the start of its region, in bytes. It cannot be mistaken for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(usize);

impl Offset {
    pub(crate) const fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// A region that is reached by calls, one for each access: a BAR that cannot be mapped, configuration
/// space, a simulated device, a recorded one.
///
/// [`IndirectIo`] is its view. Every access that a view makes has been checked: it is in bounds of
/// [`size`](Self::size), naturally aligned, and of 1, 2, 4 or 8 bytes.
///
/// ```
/// use io_core::{Fault, IndirectIo, Io, Offset, Region, RegionOps};
///
/// /// A device whose registers hold their own offsets.
/// #[derive(Debug)]
/// struct Identity;
///
/// impl RegionOps for Identity {
///     fn name(&self) -> String {
///         "BAR 0 of the identity device".to_owned()
///     }
///     fn size(&self) -> usize {
///         0x100
///     }
///     fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
///         bytes.fill(0);
///         bytes[0] = at.bytes() as u8;
///         Ok(())
///     }
///     fn write(&self, _: Offset, _: &[u8]) -> Result<(), Fault> {
///         Err(Fault::ReadOnly)
///     }
/// }
///
/// let bar = IndirectIo::<Region>::new(&Identity)?;
/// assert_eq!(bar.try_read32(0x24), Ok(0x24));
/// assert_eq!(
///     bar.try_write8(0x24, 1).unwrap_err().to_string(),
///     "the access to 1 byte at offset 0x24 of BAR 0 of the identity device (0x100 bytes) failed: \
///      it cannot be written"
/// );
/// # Ok::<(), io_core::RegionError>(())
/// ```
pub trait RegionOps: fmt::Debug + Send + Sync {
    /// What the region is called in errors, such as "BAR 0 of 0000:01:00.0".
    fn name(&self) -> String;

    /// Its size in bytes, which does not change.
    fn size(&self) -> usize;

    /// The widest access that it takes.
    fn widest(&self) -> Width {
        Width::U64
    }

    /// Reads the whole of `bytes` with one access, in device byte order (little-endian).
    ///
    /// # Errors
    ///
    /// The access did not get through.
    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault>;

    /// Writes the whole of `bytes` with one access, in device byte order (little-endian).
    ///
    /// # Errors
    ///
    /// The access did not get through.
    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault>;

    /// Whether the device behind it is known to be lost, as [`Bar::is_lost`](crate::Bar::is_lost) has it. A region
    /// whose accesses say so themselves knows nothing more.
    fn is_lost(&self) -> bool {
        false
    }

    /// Says that the device is lost, or that it is there again, where that is not for the region to find out.
    fn set_lost(&self, _lost: bool) {}

    /// Maps anew what is mapped, as [`Bar::revive`](crate::Bar::revive) does.
    ///
    /// # Errors
    ///
    /// It cannot be mapped.
    fn revive(&self) -> crate::Result<()> {
        Ok(())
    }
}

/// The view of a region that is reached by calls, each of which may fail: it has the `try_` accessors
/// and no others.
///
/// ```compile_fail,E0277
/// use io_core::{IndirectIo, Io, Region};
/// fn id(bar: IndirectIo<'_, Region<4>>) -> u32 {
///     bar.read32::<0>() // could fail, and could not say so
/// }
/// ```
///
/// # Invariants
///
/// The address in `ptr` is the offset in the region, and what `ptr` points at lies within the region.
pub struct IndirectIo<'a, T: ?Sized> {
    pub(crate) ops: &'a dyn RegionOps,
    pub(crate) ptr: *mut T,
    pub(crate) widest: Width,
}

impl<'a, const SIZE: usize> IndirectIo<'a, Region<SIZE>> {
    /// The view of the whole region.
    ///
    /// # Errors
    ///
    /// The region has less than `SIZE` bytes.
    pub fn new(ops: &'a dyn RegionOps) -> Result<Self, RegionError> {
        Self::up_to(ops, Width::U64)
    }

    /// The same, by accesses up to this width.
    pub(crate) fn up_to(ops: &'a dyn RegionOps, widest: Width) -> Result<Self, RegionError> {
        let ptr = Region::try_from_raw_parts(without_provenance_mut(0), ops.size())?;
        let widest = widest.min(ops.widest());
        Ok(Self { ops, ptr, widest })
    }
}

impl<'a, T: ?Sized + KnownSize> IndirectIo<'a, T> {
    /// What reaches the region.
    #[must_use]
    pub fn ops(self) -> &'a dyn RegionOps {
        self.ops
    }

    fn offset(self) -> Offset {
        Offset(self.ptr.cast::<u8>().addr())
    }
}

// SAFETY: `ptr` is a number that nothing dereferences, and `ops` can be shared.
unsafe impl<T: ?Sized> Send for IndirectIo<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized> Sync for IndirectIo<'_, T> {}

impl<T: ?Sized> Clone for IndirectIo<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for IndirectIo<'_, T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for IndirectIo<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, at, size) = (self.ops.name(), self.offset().bytes(), T::size(self.ptr));
        write!(f, "IndirectIo({size:#x} bytes at {at:#x} of {name})")
    }
}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for IndirectIo<'a, T> {
    type Backend = IndirectBackend;
    type Target = T;

    fn as_view(self) -> Self {
        self
    }
}

/// The backend of [`IndirectIo`].
#[derive(Debug)]
pub enum IndirectBackend {}

// SAFETY: `as_ptr` gives the pointer in the view, which nothing dereferences.
unsafe impl IoBackend for IndirectBackend {
    type View<'a, T: ?Sized + KnownSize + 'a> = IndirectIo<'a, T>;

    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: IndirectIo<'a, T>) -> *mut T {
        view.ptr
    }

    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: IndirectIo<'a, T>,
        ptr: *mut U,
    ) -> IndirectIo<'a, U> {
        IndirectIo {
            ops: view.ops,
            ptr,
            widest: view.widest,
        }
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: IndirectIo<'a, T>) -> Option<RegionName> {
        Some(RegionName {
            name: view.ops.name(),
            offset: view.offset().bytes(),
        })
    }
}

macro_rules! capable {
    ($($ty:ty)*) => {$(
        impl TryIoCapable<$ty> for IndirectBackend {
            fn try_io_read(view: IndirectIo<'_, $ty>) -> Result<$ty, Fault> {
                let mut bytes = [0; size_of::<$ty>()];
                read(view, view.offset(), &mut bytes)?;
                Ok(<$ty>::from_le_bytes(bytes))
            }

            fn try_io_write(view: IndirectIo<'_, $ty>, value: $ty) -> Result<(), Fault> {
                write(view, view.offset(), &value.to_le_bytes())
            }
        }
    )*};
}
capable!(u8 u16 u32 u64);

fn read<T: ?Sized>(view: IndirectIo<'_, T>, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
    if bytes.len() > view.widest.bytes() {
        return Err(Fault::Width);
    }
    view.ops.read(at, bytes)
}

fn write<T: ?Sized>(view: IndirectIo<'_, T>, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > view.widest.bytes() {
        return Err(Fault::Width);
    }
    view.ops.write(at, bytes)
}

impl IoCopyable for IndirectBackend {
    unsafe fn copy_from_io(
        view: IndirectIo<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let mut rest = dst;
        each_access(view, width, |at, width| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(width);
            rest = later;
            read(view, at, now)
        })
    }

    unsafe fn copy_to_io(
        view: IndirectIo<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let mut rest = src;
        each_access(view, width, |at, width| {
            let (now, later) = rest.split_at(width);
            rest = later;
            write(view, at, now)
        })
    }

    unsafe fn fill_io(
        view: IndirectIo<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let unit = [byte; 8];
        each_access(view, width, |at, width| {
            let (bytes, _) = unit.split_at(width);
            write(view, at, bytes)
        })
    }
}

/// Makes the accesses that cover what `view` shows, each of so many bytes.
fn each_access(
    view: IndirectIo<'_, [u8]>,
    width: AccessWidth,
    mut access: impl FnMut(Offset, usize) -> Result<(), Fault>,
) -> Result<(), CopyFault> {
    let start = view.offset().bytes();
    let mut done = 0;
    for run in Runs::new(start, view.ptr.len(), width, view.widest) {
        for _ in 0..run.count {
            access(Offset(start + done), run.width.bytes()).map_err(|fault| CopyFault {
                done,
                width: run.width,
                fault,
            })?;
            done += run.width.bytes();
        }
    }
    Ok(())
}

/// A mapped region can be reached by calls too, so that it can stand behind a
/// [`Recorder`](crate::sim::Recorder).
impl<const SIZE: usize> RegionOps for Mmio<'_, Region<SIZE>> {
    fn name(&self) -> String {
        let name = MmioBackend::name(*self).map(|region| region.name);
        name.unwrap_or_else(|| "a mapped region".to_owned())
    }

    fn size(&self) -> usize {
        Io::size(*self)
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let at = at.bytes();
        let read = match bytes.len() {
            1 => self.try_read8(at).map(|v| put(bytes, v.to_le_bytes())),
            2 => self.try_read16(at).map(|v| put(bytes, v.to_le_bytes())),
            4 => self.try_read32(at).map(|v| put(bytes, v.to_le_bytes())),
            8 => self.try_read64(at).map(|v| put(bytes, v.to_le_bytes())),
            _ => return Err(Fault::Width),
        };
        read.map_err(|error| fault(&error))
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        let at = at.bytes();
        let written = match *bytes {
            [b0] => self.try_write8(at, b0),
            [b0, b1] => self.try_write16(at, u16::from_le_bytes([b0, b1])),
            [b0, b1, b2, b3] => self.try_write32(at, u32::from_le_bytes([b0, b1, b2, b3])),
            _ => match bytes.try_into() {
                Ok(bytes) => self.try_write64(at, u64::from_le_bytes(bytes)),
                Err(_) => return Err(Fault::Width),
            },
        };
        written.map_err(|error| fault(&error))
    }
}

/// Fills `bytes` with as many.
fn put<const N: usize>(bytes: &mut [u8], value: [u8; N]) {
    bytes.copy_from_slice(&value);
}

/// The fault behind the error of an access that was in order.
fn fault(error: &AccessError) -> Fault {
    match error.kind() {
        AccessErrorKind::Fault(fault) => fault,
        _ => Fault::Short { done: 0 },
    }
}

macro_rules! behind {
    ($($pointer:ty)*) => {$(
        impl<T: RegionOps + ?Sized> RegionOps for $pointer {
            fn name(&self) -> String {
                (**self).name()
            }

            fn size(&self) -> usize {
                (**self).size()
            }

            fn widest(&self) -> Width {
                (**self).widest()
            }

            fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
                (**self).read(at, bytes)
            }

            fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
                (**self).write(at, bytes)
            }

            fn is_lost(&self) -> bool {
                (**self).is_lost()
            }

            fn set_lost(&self, lost: bool) {
                (**self).set_lost(lost);
            }

            fn revive(&self) -> crate::Result<()> {
                (**self).revive()
            }
        }
    )*};
}
behind!(&T Box<T> Arc<T>);
