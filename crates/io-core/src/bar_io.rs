//! The view of a BAR of any kind.
#![expect(
    unsafe_code,
    reason = "passes the safety conditions of a backend on to the one behind it"
)]

use crate::{
    AccessWidth, CopyFault, Fault, IndirectBackend, IndirectIo, IoBackend, IoBase, IoCopyable,
    KnownSize, Mmio, MmioBackend, RegionName, TryIoCapable,
};
use std::fmt;

/// The view of a [`Bar`](crate::Bar) of any kind: it has the `try_` accessors, and no others.
pub enum BarIo<'a, T: ?Sized> {
    /// It is mapped.
    Mapped(Mmio<'a, T>),
    /// It is reached by calls.
    Called(IndirectIo<'a, T>),
}

impl<T: ?Sized> Clone for BarIo<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for BarIo<'_, T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for BarIo<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapped(view) => view.fmt(f),
            Self::Called(view) => view.fmt(f),
        }
    }
}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for BarIo<'a, T> {
    type Backend = BarBackend;
    type Target = T;

    #[inline]
    fn as_view(self) -> Self {
        self
    }
}

/// The backend of [`BarIo`].
#[derive(Debug)]
pub enum BarBackend {}

// SAFETY: both of the backends behind it keep to it.
unsafe impl IoBackend for BarBackend {
    type View<'a, T: ?Sized + KnownSize + 'a> = BarIo<'a, T>;

    #[inline]
    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: BarIo<'a, T>) -> *mut T {
        match view {
            BarIo::Mapped(view) => MmioBackend::as_ptr(view),
            BarIo::Called(view) => IndirectBackend::as_ptr(view),
        }
    }

    #[inline]
    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: BarIo<'a, T>,
        ptr: *mut U,
    ) -> BarIo<'a, U> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            BarIo::Mapped(view) => BarIo::Mapped(unsafe { MmioBackend::project_view(view, ptr) }),
            BarIo::Called(view) => {
                // SAFETY: as above.
                BarIo::Called(unsafe { IndirectBackend::project_view(view, ptr) })
            }
        }
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: BarIo<'a, T>) -> Option<RegionName> {
        match view {
            BarIo::Mapped(view) => MmioBackend::name(view),
            BarIo::Called(view) => IndirectBackend::name(view),
        }
    }
}

impl<T> TryIoCapable<T> for BarBackend
where
    MmioBackend: TryIoCapable<T>,
    IndirectBackend: TryIoCapable<T>,
{
    #[inline]
    fn try_io_read(view: BarIo<'_, T>) -> Result<T, Fault> {
        match view {
            BarIo::Mapped(view) => MmioBackend::try_io_read(view),
            BarIo::Called(view) => IndirectBackend::try_io_read(view),
        }
    }

    #[inline]
    fn try_io_write(view: BarIo<'_, T>, value: T) -> Result<(), Fault> {
        match view {
            BarIo::Mapped(view) => MmioBackend::try_io_write(view, value),
            BarIo::Called(view) => IndirectBackend::try_io_write(view, value),
        }
    }
}

impl IoCopyable for BarBackend {
    #[inline]
    unsafe fn copy_from_io(
        view: BarIo<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            BarIo::Mapped(view) => unsafe { MmioBackend::copy_from_io(view, dst, width) },
            // SAFETY: as above.
            BarIo::Called(view) => unsafe { IndirectBackend::copy_from_io(view, dst, width) },
        }
    }

    #[inline]
    unsafe fn copy_to_io(
        view: BarIo<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            BarIo::Mapped(view) => unsafe { MmioBackend::copy_to_io(view, src, width) },
            // SAFETY: as above.
            BarIo::Called(view) => unsafe { IndirectBackend::copy_to_io(view, src, width) },
        }
    }

    #[inline]
    unsafe fn fill_io(
        view: BarIo<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view {
            // SAFETY: the conditions are the same, and the caller has shown them.
            BarIo::Mapped(view) => unsafe { MmioBackend::fill_io(view, byte, width) },
            // SAFETY: as above.
            BarIo::Called(view) => unsafe { IndirectBackend::fill_io(view, byte, width) },
        }
    }
}
