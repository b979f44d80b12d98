//! From the view of a region to the view of a part of it, which must fit there.
#![expect(unsafe_code, reason = "projects views, which backends trust")]

use crate::{
    AccessError, AccessErrorKind, AccessWidth, Fault, IoBackend, KnownSize, Region, TryIoCapable,
    Width, access_error::Extent, register::ConstLoc,
};
use std::ptr;

/// The error of an access to what `view` shows.
#[cold]
pub(crate) fn error<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    kind: AccessErrorKind,
    offset: usize,
    len: usize,
) -> AccessError {
    let ptr = B::as_ptr(view);
    let extent = Extent {
        base: ptr.cast::<u8>().addr(),
        size: T::size(ptr),
        name: B::name(view),
    };
    AccessError::new(kind, (offset, len), extent)
}

/// Checks that `len` bytes at `offset` of what `view` shows are in bounds and aligned to `align`, the
/// base address included.
#[inline]
fn check<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    len: usize,
    align: usize,
) -> Result<(), AccessError> {
    let ptr = B::as_ptr(view);
    // One comparison, where `SIZE` says that the region is not less than `len`.
    match T::size(ptr).checked_sub(len) {
        Some(last) if offset <= last => {}
        _ => {
            let kind = AccessErrorKind::OutOfBounds;
            return Err(error::<B, T>(view, kind, offset, len));
        }
    }
    if ptr.cast::<u8>().addr().wrapping_add(offset) % align != 0 {
        let kind = AccessErrorKind::Misaligned { align };
        return Err(error::<B, T>(view, kind, offset, len));
    }
    Ok(())
}

/// The view of the `U` at `offset`.
///
/// # Safety
///
/// A `U` at `offset` is in bounds of what `view` shows, and aligned.
#[inline]
pub(crate) unsafe fn project<'a, B: IoBackend, T: ?Sized + KnownSize + 'a, U: 'a>(
    view: B::View<'a, T>,
    offset: usize,
) -> B::View<'a, U> {
    let part = B::as_ptr(view)
        .cast::<u8>()
        .wrapping_add(offset)
        .cast::<U>();
    // SAFETY: `part` is derived from this view; the caller has shown that it is in bounds and aligned.
    unsafe { B::project_view(view, part) }
}

/// The view of the `U` at `OFFSET`, which does not compile if it does not fit there.
#[inline]
pub(crate) fn const_project<
    'a,
    B: IoBackend,
    T: ?Sized + KnownSize + 'a,
    U: 'a,
    const OFFSET: usize,
>(
    view: B::View<'a, T>,
) -> B::View<'a, U> {
    const {
        assert!(
            fits::<U>(OFFSET, T::MIN_SIZE, T::MIN_ALIGN),
            "this offset is outside the region's SIZE, or not naturally aligned"
        );
    }
    // SAFETY: the assertion has shown it, for the least region that the target can be.
    unsafe { project::<B, T, U>(view, OFFSET) }
}

/// The view of what is at `location`, which does not compile if that may not fit there.
#[inline]
pub(crate) fn const_project_at<'a, B: IoBackend, T: ?Sized + KnownSize + 'a, R, L: ConstLoc<R>>(
    view: B::View<'a, T>,
    location: L,
) -> B::View<'a, L::Storage> {
    const {
        assert!(
            fits::<L::Storage>(L::FIRST, T::MIN_SIZE, T::MIN_ALIGN)
                && fits::<L::Storage>(L::LAST, T::MIN_SIZE, T::MIN_ALIGN)
                && L::STEP % size_of::<L::Storage>() == 0,
            "this register is outside the region's SIZE, or not naturally aligned"
        );
    }
    // SAFETY: the assertion has shown it for the first and the last offset that the location may have,
    // and for what is between them; that they are these is what `ConstLoc` promises.
    unsafe { project::<B, T, L::Storage>(view, location.offset()) }
}

/// The view of the `U` at `offset`, if it fits there and is naturally aligned.
#[inline]
pub(crate) fn try_project<'a, B: IoBackend, T: ?Sized + KnownSize + 'a, U: 'a>(
    view: B::View<'a, T>,
    offset: usize,
) -> Result<B::View<'a, U>, AccessError> {
    check::<B, T>(view, offset, size_of::<U>(), size_of::<U>())?;
    // SAFETY: checked above.
    Ok(unsafe { project::<B, T, U>(view, offset) })
}

/// The view of the `U` that the whole of `view` is to be seen as, if it is large enough and aligned.
#[inline]
pub(crate) fn try_cast<'a, B: IoBackend, T: ?Sized + KnownSize + 'a, U: 'a>(
    view: B::View<'a, T>,
) -> Result<B::View<'a, U>, AccessError> {
    check::<B, T>(view, 0, size_of::<U>(), align_of::<U>())?;
    // SAFETY: checked above.
    Ok(unsafe { project::<B, T, U>(view, 0) })
}

/// Checks that a copy of `len` bytes at `offset` fits there and suits `width`, padding included.
#[inline]
pub(crate) fn check_copy<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    len: usize,
    width: AccessWidth,
) -> Result<(), AccessError> {
    let align = width.only().map_or(1, Width::bytes);
    check::<B, T>(view, offset, width.padded(len), align)?;
    match width {
        AccessWidth::Exact(width) if len % width.bytes() != 0 => {
            let kind = AccessErrorKind::PartialWidth { width };
            Err(error::<B, T>(view, kind, offset, len))
        }
        _ => Ok(()),
    }
}

/// The view of the `len` bytes at `offset`.
///
/// # Safety
///
/// They are in bounds of what `view` shows.
#[inline]
pub(crate) unsafe fn project_bytes<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    len: usize,
) -> B::View<'a, [u8]> {
    let start = B::as_ptr(view).cast::<u8>().wrapping_add(offset);
    // SAFETY: derived from this view; the caller has shown the bounds, and a byte has no alignment.
    unsafe { B::project_view(view, ptr::slice_from_raw_parts_mut(start, len)) }
}

/// The view of the region of `len` bytes at `offset`, if it fits there, has `SIZE` bytes and is aligned.
#[inline]
pub(crate) fn try_project_region<
    'a,
    B: IoBackend,
    T: ?Sized + KnownSize + 'a,
    const SIZE: usize,
>(
    view: B::View<'a, T>,
    offset: usize,
    len: usize,
) -> Result<B::View<'a, Region<SIZE>>, AccessError> {
    check::<B, T>(view, offset, len, Region::<SIZE>::MIN_ALIGN)?;
    let start = B::as_ptr(view).cast::<u8>().wrapping_add(offset);
    match Region::try_from_raw_parts(start, len) {
        // SAFETY: checked above, the alignment too.
        Ok(region) => Ok(unsafe { B::project_view(view, region) }),
        Err(_) => {
            let kind = AccessErrorKind::TooShort { need: SIZE };
            Err(error::<B, T>(view, kind, offset, len))
        }
    }
}

/// Whether a `T` at `offset` of a region that has `min_size` bytes and is aligned to `min_align` is
/// in bounds and naturally aligned.
const fn fits<T>(offset: usize, min_size: usize, min_align: usize) -> bool {
    match offset.checked_add(size_of::<T>()) {
        Some(end) => {
            end <= min_size && offset % size_of::<T>() == 0 && min_align % size_of::<T>() == 0
        }
        None => false,
    }
}

/// Reads the `U` at `offset`, if it is there.
#[inline]
pub(crate) fn try_read<'a, B: TryIoCapable<U>, T: ?Sized + KnownSize + 'a, U: 'a>(
    view: B::View<'a, T>,
    offset: usize,
) -> Result<U, AccessError> {
    let part = try_project::<B, T, U>(view, offset)?;
    B::try_io_read(part).map_err(|fault| access_fault::<B, T, U>(view, offset, fault))
}

/// Writes the `U` at `offset`, if it is there.
#[inline]
pub(crate) fn try_write<'a, B: TryIoCapable<U>, T: ?Sized + KnownSize + 'a, U: 'a>(
    view: B::View<'a, T>,
    offset: usize,
    value: U,
) -> Result<(), AccessError> {
    let part = try_project::<B, T, U>(view, offset)?;
    B::try_io_write(part, value).map_err(|fault| access_fault::<B, T, U>(view, offset, fault))
}

/// The error of the access to the `U` at `offset` that did not get through.
#[cold]
pub(crate) fn access_fault<'a, B: IoBackend, T: ?Sized + KnownSize + 'a, U>(
    view: B::View<'a, T>,
    offset: usize,
    fault: Fault,
) -> AccessError {
    error::<B, T>(view, AccessErrorKind::Fault(fault), offset, size_of::<U>())
}
