//! What carries accesses out, and what it is shown: backends and views.
#![expect(unsafe_code, reason = "backends must be trusted")]

use crate::{AccessWidth, KnownSize, Region};

/// What carries an access out: device memory, system memory, or either of the two.
///
/// A backend has a *view* type for every target type. Holding a view is the proof that its memory is
/// mapped, aligned and of the size its type says, so that the backend never sees a bare number that
/// could be an address or an offset.
///
/// # Safety
///
/// [`as_ptr`](Self::as_ptr) gives the same pointer each time for the same view, and accesses through
/// the views that [`project_view`](Self::project_view) makes of parts of it are sound.
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
}

/// A backend that can load and store a `T` with one access.
pub trait IoCapable<T>: IoBackend {
    /// One volatile load, converted from device byte order (little-endian).
    fn io_read(view: Self::View<'_, T>) -> T;

    /// One volatile store, converted to device byte order (little-endian).
    fn io_write(view: Self::View<'_, T>, value: T);
}

/// A backend that can copy many bytes.
pub trait IoCopyable: IoBackend {
    /// Copies what `view` shows into `dst`, byte by byte in memory order.
    ///
    /// # Safety
    ///
    /// `dst` is as long as what `view` shows, and both its address and length are multiples of the
    /// width if `width` is exact.
    unsafe fn copy_from_io(view: Self::View<'_, [u8]>, dst: &mut [u8], width: AccessWidth);

    /// Copies `src` to what `view` shows, byte by byte in memory order.
    ///
    /// # Safety
    ///
    /// As for [`copy_from_io`](Self::copy_from_io).
    unsafe fn copy_to_io(view: Self::View<'_, [u8]>, src: &[u8], width: AccessWidth);

    /// Sets every byte of what `view` shows to `byte`.
    ///
    /// # Safety
    ///
    /// As for [`copy_from_io`](Self::copy_from_io).
    unsafe fn fill_io(view: Self::View<'_, [u8]>, byte: u8, width: AccessWidth);
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
