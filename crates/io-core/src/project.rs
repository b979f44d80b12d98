//! From the view of a region to the view of a part of it, which must fit there.
#![expect(unsafe_code, reason = "projects views, which backends trust")]

use crate::{AccessError, AccessErrorKind, AccessWidth, IoBackend, KnownSize, Region};
use std::ptr;

/// The address and size of what `view` shows.
#[inline]
fn extent<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(view: B::View<'a, T>) -> (usize, usize) {
    let ptr = B::as_ptr(view);
    (ptr.cast::<u8>().addr(), T::size(ptr))
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
    let (base, size) = extent::<B, T>(view);
    let error = |kind| Err(AccessError::new(kind, (offset, len), (base, size)));
    match offset.checked_add(len) {
        Some(end) if end <= size => {}
        _ => return error(AccessErrorKind::OutOfBounds),
    }
    if base.wrapping_add(offset) % align != 0 {
        return error(AccessErrorKind::Misaligned { align });
    }
    Ok(())
}

/// The view of the `U` at `offset`.
///
/// # Safety
///
/// A `U` at `offset` is in bounds of what `view` shows, and aligned.
#[inline]
unsafe fn project<'a, B: IoBackend, T: ?Sized + KnownSize + 'a, U: 'a>(
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

/// The view of the `len` bytes at `offset`, if they fit there and suit `width`.
#[inline]
pub(crate) fn try_project_bytes<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    len: usize,
    width: AccessWidth,
) -> Result<B::View<'a, [u8]>, AccessError> {
    match width {
        AccessWidth::Auto => check::<B, T>(view, offset, len, 1)?,
        AccessWidth::Exact(exact) => {
            check::<B, T>(view, offset, len, exact.bytes())?;
            if len % exact.bytes() != 0 {
                let kind = AccessErrorKind::PartialWidth { width: exact };
                return Err(AccessError::new(kind, (offset, len), extent::<B, T>(view)));
            }
        }
    }
    let start = B::as_ptr(view).cast::<u8>().wrapping_add(offset);
    // SAFETY: checked above; a byte has no alignment.
    Ok(unsafe { B::project_view(view, ptr::slice_from_raw_parts_mut(start, len)) })
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
            Err(AccessError::new(kind, (offset, len), extent::<B, T>(view)))
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
