//! The view of a BAR of any kind.
#![expect(
    unsafe_code,
    reason = "passes the safety conditions of a backend on to the one behind it"
)]

use crate::{
    AccessWidth, CopyFault, Fault, IndirectBackend, IndirectIo, IoBackend, IoBase, IoCopyable,
    KnownSize, Mmio, MmioBackend, MmioRaw, RegionName, RegionOps, TryIoCapable,
};
use std::{fmt, marker::PhantomData};

/// The view of a [`Bar`](crate::Bar) of any kind: it has the `try_` accessors, and no others.
///
/// # Invariants
///
/// `raw` keeps to the invariant of [`Mmio`], or, if the BAR is reached by calls, to that of [`IndirectIo`].
pub struct BarIo<'a, T: ?Sized> {
    raw: MmioRaw<T>,
    called: Option<&'a dyn RegionOps>,
    _mapping: PhantomData<&'a T>,
}

impl<'a, T: ?Sized + KnownSize> BarIo<'a, T> {
    pub(crate) fn mapped(view: Mmio<'a, T>) -> Self {
        Self {
            raw: view.as_raw(),
            called: None,
            _mapping: PhantomData,
        }
    }

    pub(crate) fn called(view: IndirectIo<'a, T>) -> Self {
        Self {
            raw: MmioRaw { ptr: view.ptr },
            called: Some(view.ops),
            _mapping: PhantomData,
        }
    }

    /// The view of the kind that it is.
    #[inline]
    fn kind(self) -> Kind<'a, T> {
        match self.called {
            // SAFETY: by the invariant, it is a view of mapped memory.
            None => Kind::Mapped(unsafe { Mmio::from_raw(self.raw) }),
            Some(ops) => Kind::Called(IndirectIo {
                ops,
                ptr: self.raw.as_ptr(),
                widest: ops.widest(),
            }),
        }
    }
}

/// The view of a BAR that is mapped, or is reached by calls.
enum Kind<'a, T: ?Sized> {
    Mapped(Mmio<'a, T>),
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
        match self.kind() {
            Kind::Mapped(view) => view.fmt(f),
            Kind::Called(view) => view.fmt(f),
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
        view.raw.as_ptr()
    }

    #[inline]
    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: BarIo<'a, T>,
        ptr: *mut U,
    ) -> BarIo<'a, U> {
        // A part of mapped memory is mapped, and a part of a region within it.
        BarIo {
            raw: MmioRaw { ptr },
            called: view.called,
            _mapping: PhantomData,
        }
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: BarIo<'a, T>) -> Option<RegionName> {
        match view.kind() {
            Kind::Mapped(view) => MmioBackend::name(view),
            Kind::Called(view) => IndirectBackend::name(view),
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
        match view.kind() {
            Kind::Mapped(view) => MmioBackend::try_io_read(view),
            Kind::Called(view) => IndirectBackend::try_io_read(view),
        }
    }

    #[inline]
    fn try_io_write(view: BarIo<'_, T>, value: T) -> Result<(), Fault> {
        match view.kind() {
            Kind::Mapped(view) => MmioBackend::try_io_write(view, value),
            Kind::Called(view) => IndirectBackend::try_io_write(view, value),
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
        match view.kind() {
            // SAFETY: the conditions are the same, and the caller has shown them.
            Kind::Mapped(view) => unsafe { MmioBackend::copy_from_io(view, dst, width) },
            // SAFETY: as above.
            Kind::Called(view) => unsafe { IndirectBackend::copy_from_io(view, dst, width) },
        }
    }

    #[inline]
    unsafe fn copy_to_io(
        view: BarIo<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view.kind() {
            // SAFETY: the conditions are the same, and the caller has shown them.
            Kind::Mapped(view) => unsafe { MmioBackend::copy_to_io(view, src, width) },
            // SAFETY: as above.
            Kind::Called(view) => unsafe { IndirectBackend::copy_to_io(view, src, width) },
        }
    }

    #[inline]
    unsafe fn fill_io(
        view: BarIo<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        match view.kind() {
            // SAFETY: the conditions are the same, and the caller has shown them.
            Kind::Mapped(view) => unsafe { MmioBackend::fill_io(view, byte, width) },
            // SAFETY: as above.
            Kind::Called(view) => unsafe { IndirectBackend::fill_io(view, byte, width) },
        }
    }
}
