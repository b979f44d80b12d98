//! System memory or device memory, chosen at run time.
#![expect(
    unsafe_code,
    reason = "passes the safety conditions of a backend on to the one behind it"
)]

use crate::{
    AccessError, AccessWidth, CopyFault, Fault, Io, IoBackend, IoBase, IoCapable, IoCopyable,
    KnownSize, Mmio, MmioBackend, Region, RegionName, SysMem, SysMemBackend, TryIoCapable, Width,
    barrier,
};
use std::fmt;

/// System memory or device memory: the C kernel's `struct iosys_map`, with a size and a lifetime.
///
/// Firmware goes into a BAR on one device and into a buffer that the device fetches on another. Code
/// that takes a `SysOrIoMap` serves both, and each access is made the way its memory needs:
/// volatile accesses of a declared width into a BAR, `memcpy` into system memory.
///
/// ```
/// use io_core::{AccessWidth, CopyFault, Fault, Io, MmioRaw, Mmio, Region, SysMem, SysOrIoMap};
///
/// fn upload(to: SysOrIoMap<'_, Region>, image: &[u8]) -> Result<(), io_core::AccessError> {
///     to.copy_from_slice(0, image, AccessWidth::Auto)
/// }
///
/// let (mut bar, mut buffer) = ([0u64; 2], [0u64; 2]);
/// let raw = MmioRaw::new_region(bar.as_mut_ptr().cast(), 16)?;
/// let region = Region::try_from_raw_parts(buffer.as_mut_ptr().cast(), 16)?;
/// // SAFETY: `bar` is live, and nothing else uses it, for as long as the view is used.
/// upload(unsafe { Mmio::from_raw(raw) }.into(), b"firmware")?;
/// // SAFETY: the same holds for `buffer`.
/// upload(unsafe { SysMem::from_raw(region) }.into(), b"firmware")?;
/// assert_eq!(bar, buffer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub enum SysOrIoMap<'a, T: ?Sized> {
    /// Device memory.
    Io(Mmio<'a, T>),
    /// System memory.
    Sys(SysMem<'a, T>),
}

impl<'a, T: ?Sized + KnownSize> SysOrIoMap<'a, T> {
    /// The view, if it is of device memory.
    #[inline]
    #[must_use]
    pub fn as_io(self) -> Option<Mmio<'a, T>> {
        match self {
            Self::Io(view) => Some(view),
            Self::Sys(_) => None,
        }
    }

    /// The view, if it is of system memory.
    #[inline]
    #[must_use]
    pub fn as_sys(self) -> Option<SysMem<'a, T>> {
        match self {
            Self::Io(_) => None,
            Self::Sys(view) => Some(view),
        }
    }

    /// Whether both are of the same kind, at the same address and of the same size.
    #[must_use]
    pub fn same_location<U: ?Sized + KnownSize>(self, other: SysOrIoMap<'_, U>) -> bool {
        match (self, other) {
            (Self::Io(one), SysOrIoMap::Io(two)) => {
                (one.as_raw().addr(), one.size()) == (two.as_raw().addr(), two.size())
            }
            (Self::Sys(one), SysOrIoMap::Sys(two)) => {
                (one.as_ptr().addr(), one.size()) == (two.as_ptr().addr(), two.size())
            }
            _ => false,
        }
    }
}

impl SysOrIoMap<'_, Region> {
    /// Makes sure that what was written before has arrived, by one read of `width` at `offset`.
    ///
    /// A write to a device may be on its way still when the next instruction runs; a read from the same
    /// device waits for it (PCI Local Bus 3.0 section 3.2.5). Choose an offset that may be read without
    /// side effects. System memory needs no such read, and none is made.
    ///
    /// # Errors
    ///
    /// The read does not fit in the region, or is not aligned.
    pub fn flush(self, offset: usize, width: Width) -> Result<(), AccessError> {
        let Self::Io(view) = self else {
            return Ok(());
        };
        // Ordered, so that what is accessed after it comes after it.
        match width {
            Width::U8 => view.try_read8(offset).map(drop),
            Width::U16 => view.try_read16(offset).map(drop),
            Width::U32 => view.try_read32(offset).map(drop),
            Width::U64 => view.try_read64(offset).map(drop),
        }
    }
}

impl<'a, T: ?Sized> From<Mmio<'a, T>> for SysOrIoMap<'a, T> {
    #[inline]
    fn from(view: Mmio<'a, T>) -> Self {
        Self::Io(view)
    }
}

impl<'a, T: ?Sized> From<SysMem<'a, T>> for SysOrIoMap<'a, T> {
    #[inline]
    fn from(view: SysMem<'a, T>) -> Self {
        Self::Sys(view)
    }
}

impl<T: ?Sized> Clone for SysOrIoMap<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for SysOrIoMap<'_, T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for SysOrIoMap<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(view) => view.fmt(f),
            Self::Sys(view) => view.fmt(f),
        }
    }
}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for SysOrIoMap<'a, T> {
    type Backend = SysOrIoBackend;
    type Target = T;

    #[inline]
    fn as_view(self) -> Self {
        self
    }
}

/// The backend of [`SysOrIoMap`].
#[derive(Debug)]
pub enum SysOrIoBackend {}

// SAFETY: both of the backends behind it keep to it.
unsafe impl IoBackend for SysOrIoBackend {
    type View<'a, T: ?Sized + KnownSize + 'a> = SysOrIoMap<'a, T>;

    #[inline]
    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: SysOrIoMap<'a, T>) -> *mut T {
        match view {
            SysOrIoMap::Io(view) => MmioBackend::as_ptr(view),
            SysOrIoMap::Sys(view) => SysMemBackend::as_ptr(view),
        }
    }

    #[inline]
    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: SysOrIoMap<'a, T>,
        ptr: *mut U,
    ) -> SysOrIoMap<'a, U> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            SysOrIoMap::Io(view) => unsafe { MmioBackend::project_view(view, ptr) }.into(),
            // SAFETY: as above.
            SysOrIoMap::Sys(view) => unsafe { SysMemBackend::project_view(view, ptr) }.into(),
        }
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: SysOrIoMap<'a, T>) -> Option<RegionName> {
        match view {
            SysOrIoMap::Io(view) => MmioBackend::name(view),
            SysOrIoMap::Sys(view) => SysMemBackend::name(view),
        }
    }
}

impl<T> TryIoCapable<T> for SysOrIoBackend
where
    MmioBackend: TryIoCapable<T>,
    SysMemBackend: TryIoCapable<T>,
{
    #[inline]
    fn try_io_read(view: SysOrIoMap<'_, T>) -> Result<T, Fault> {
        match view {
            SysOrIoMap::Io(view) => MmioBackend::try_io_read(view),
            SysOrIoMap::Sys(view) => SysMemBackend::try_io_read(view),
        }
    }

    #[inline]
    fn try_io_write(view: SysOrIoMap<'_, T>, value: T) -> Result<(), Fault> {
        match view {
            SysOrIoMap::Io(view) => MmioBackend::try_io_write(view, value),
            SysOrIoMap::Sys(view) => SysMemBackend::try_io_write(view, value),
        }
    }
}

/// On x86 both arms come to the same instructions, so that the compiler needs no branch.
impl<T> IoCapable<T> for SysOrIoBackend
where
    MmioBackend: IoCapable<T>,
    SysMemBackend: IoCapable<T>,
{
    #[inline]
    fn io_read(view: SysOrIoMap<'_, T>) -> T {
        match view {
            SysOrIoMap::Io(view) => MmioBackend::io_read(view),
            SysOrIoMap::Sys(view) => {
                let value = SysMemBackend::io_read(view);
                barrier::free_dma_rmb();
                value
            }
        }
    }

    #[inline]
    fn io_write(view: SysOrIoMap<'_, T>, value: T) {
        match view {
            SysOrIoMap::Io(view) => MmioBackend::io_write(view, value),
            SysOrIoMap::Sys(view) => {
                barrier::free_dma_wmb();
                SysMemBackend::io_write(view, value);
            }
        }
    }
}

impl IoCopyable for SysOrIoBackend {
    #[inline]
    unsafe fn copy_from_io(
        view: SysOrIoMap<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            SysOrIoMap::Io(view) => unsafe { MmioBackend::copy_from_io(view, dst, width) },
            // SAFETY: as above.
            SysOrIoMap::Sys(view) => unsafe { SysMemBackend::copy_from_io(view, dst, width) },
        }
    }

    #[inline]
    unsafe fn copy_to_io(
        view: SysOrIoMap<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            SysOrIoMap::Io(view) => unsafe { MmioBackend::copy_to_io(view, src, width) },
            // SAFETY: as above.
            SysOrIoMap::Sys(view) => unsafe { SysMemBackend::copy_to_io(view, src, width) },
        }
    }

    #[inline]
    unsafe fn fill_io(
        view: SysOrIoMap<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            SysOrIoMap::Io(view) => unsafe { MmioBackend::fill_io(view, byte, width) },
            // SAFETY: as above.
            SysOrIoMap::Sys(view) => unsafe { SysMemBackend::fill_io(view, byte, width) },
        }
    }
}
