//! What carries accesses out, and what it is shown: backends and views.
#![expect(unsafe_code, reason = "backends must be trusted")]

use crate::{AccessWidth, Fault, KnownSize, Region, RegionName, Width};

/// What carries an access out: a load or a store, or a call that makes one.
///
/// A backend has a *view* type for every target type. Holding a view is the proof that its memory is
/// mapped, aligned and of the size its type says, so that the backend never sees a bare number that
/// could be an address or an offset.
///
/// # Safety
///
/// [`as_ptr`](Self::as_ptr) gives the same pointer each time for the same view. It is aligned to
/// [`MIN_ALIGN`](KnownSize::MIN_ALIGN) of its target, and its metadata say no more than what is there. Accesses
/// through the views that [`project_view`](Self::project_view) makes of parts of it are sound.
pub unsafe trait IoBackend: Sized {
    /// The view of a `T`.
    type View<'a, T: ?Sized + KnownSize + 'a>: IoBase<'a, Backend = Self, Target = T>;

    /// The address of what a view shows, with its metadata. It need not be dereferenceable.
    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: Self::View<'a, T>) -> *mut T;

    /// The view of a part of what `view` shows.
    ///
    /// # Safety
    ///
    /// `ptr` is derived from [`as_ptr`](Self::as_ptr) of the same view, lies with its whole size in
    /// what the view shows, and is aligned for `U`.
    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        view: Self::View<'a, T>,
        ptr: *mut U,
    ) -> Self::View<'a, U>;

    /// What the memory that a view shows is called, for errors.
    fn name<'a, T: ?Sized + KnownSize + 'a>(view: Self::View<'a, T>) -> Option<RegionName> {
        let _ = view;
        None
    }
}

/// A backend that can read and write a `T` with one access, which may fail.
pub trait TryIoCapable<T>: IoBackend {
    /// One read, converted from device byte order (little-endian).
    ///
    /// # Errors
    ///
    /// The access did not get through.
    fn try_io_read(view: Self::View<'_, T>) -> Result<T, Fault>;

    /// One write, converted to device byte order (little-endian).
    ///
    /// # Errors
    ///
    /// The access did not get through.
    fn try_io_write(view: Self::View<'_, T>, value: T) -> Result<(), Fault>;
}

/// A backend that can load and store a `T` with one access, which cannot fail.
#[diagnostic::on_unimplemented(
    message = "accesses of a `{T}` through `{Self}` may fail, or there are none of this width",
    label = "use the form that returns a `Result`: `try_read32`, `try_write`, `try_update`…"
)]
pub trait IoCapable<T>: TryIoCapable<T> {
    /// One volatile load, converted from device byte order (little-endian).
    fn io_read(view: Self::View<'_, T>) -> T;

    /// One volatile store, converted to device byte order (little-endian).
    fn io_write(view: Self::View<'_, T>, value: T);
}

/// A backend whose accesses cannot fail, tried.
macro_rules! infallible {
    ($backend:ty: $($ty:ty)*) => {$(
        impl $crate::TryIoCapable<$ty> for $backend {
            #[inline]
            fn try_io_read(view: Self::View<'_, $ty>) -> Result<$ty, $crate::Fault> {
                Ok(<Self as $crate::IoCapable<$ty>>::io_read(view))
            }

            #[inline]
            fn try_io_write(view: Self::View<'_, $ty>, value: $ty) -> Result<(), $crate::Fault> {
                <Self as $crate::IoCapable<$ty>>::io_write(view, value);
                Ok(())
            }
        }
    )*};
}
pub(crate) use infallible;

/// A backend of mapped memory: an access that was made got through, unless the device is lost.
macro_rules! unless_lost {
    ($backend:ty: $($ty:ty)*) => {$(
        impl $crate::TryIoCapable<$ty> for $backend {
            #[inline]
            fn try_io_read(view: Self::View<'_, $ty>) -> Result<$ty, $crate::Fault> {
                let before = ::bus_fault::Moment::now();
                let value = <Self as $crate::IoCapable<$ty>>::io_read(view);
                // Whatever the value is: what was written to a lost BAR can be read back.
                if $crate::mapping::lost_since(Self::as_ptr(view), before) {
                    return Err($crate::Fault::Lost);
                }
                Ok(value)
            }

            #[inline]
            fn try_io_write(view: Self::View<'_, $ty>, value: $ty) -> Result<(), $crate::Fault> {
                let before = ::bus_fault::Moment::now();
                <Self as $crate::IoCapable<$ty>>::io_write(view, value);
                if $crate::mapping::lost_since(Self::as_ptr(view), before) {
                    return Err($crate::Fault::Lost);
                }
                Ok(())
            }
        }
    )*};
}
pub(crate) use unless_lost;

/// A backend that can copy many bytes.
///
/// A width that is [`Padded`](AccessWidth::Padded) means the same to it as one that is exact: who calls
/// it has done the padding.
pub trait IoCopyable: IoBackend {
    /// Copies what `view` shows into `dst`, byte by byte in memory order.
    ///
    /// # Errors
    ///
    /// An access did not get through; those before it were made.
    ///
    /// # Safety
    ///
    /// `dst` is as long as what `view` shows, and both its address and length are multiples of the
    /// width if `width` is exact.
    unsafe fn copy_from_io(
        view: Self::View<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault>;

    /// Copies `src` to what `view` shows, byte by byte in memory order.
    ///
    /// # Errors
    ///
    /// An access did not get through; those before it were made.
    ///
    /// # Safety
    ///
    /// As for [`copy_from_io`](Self::copy_from_io).
    unsafe fn copy_to_io(
        view: Self::View<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault>;

    /// Sets every byte of what `view` shows to `byte`.
    ///
    /// # Errors
    ///
    /// An access did not get through; those before it were made.
    ///
    /// # Safety
    ///
    /// As for [`copy_from_io`](Self::copy_from_io).
    unsafe fn fill_io(
        view: Self::View<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault>;
}

/// The access of a copy that did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFault {
    /// How many bytes were copied before it.
    pub done: usize,
    /// Its width.
    pub width: Width,
    /// What came of it.
    pub fault: Fault,
}

/// A view: something small to pass by value, through which [`Io`](crate::Io) reaches its target.
pub trait IoBase<'a>: Copy {
    /// What carries the accesses out.
    type Backend: IoBackend;
    /// What is viewed.
    type Target: ?Sized + KnownSize + 'a;

    /// The backend's own view of the same target.
    fn as_view(self) -> <Self::Backend as IoBackend>::View<'a, Self::Target>;
}

/// A target on which offsets make sense: [`Region`].
///
/// A typed target, such as the view of one `u32`, has no accessors by offset:
///
/// ```compile_fail,E0277
/// use io_core::{Io, Mmio};
/// fn second_byte(register: Mmio<'_, u32>) -> u8 {
///     register.try_read8(1).unwrap()
/// }
/// ```
pub trait UntypedRegion: KnownSize {}

impl<const SIZE: usize> UntypedRegion for Region<SIZE> {}
