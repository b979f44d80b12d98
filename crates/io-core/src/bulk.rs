//! Copies, checked whole before their first access, and padded where that was asked for.
#![expect(unsafe_code, reason = "copies are told what was checked")]

use crate::{
    AccessError, AccessErrorKind, AccessWidth, CopyFault, Difference, IoBackend, IoCopyable,
    KnownSize,
    project::{check_copy, error, project_bytes},
};

/// Copies `src` into what `view` shows, from `offset` on.
#[inline]
pub(crate) fn copy_in<'a, B: IoCopyable, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    src: &[u8],
    width: AccessWidth,
) -> Result<(), AccessError> {
    check_copy::<B, T>(view, offset, src.len(), width)?;
    let (whole, rest) = src.split_at(whole(src.len(), width));
    // SAFETY: checked above.
    let part = unsafe { project_bytes::<B, T>(view, offset, whole.len()) };
    // SAFETY: `part` shows `whole.len()` bytes, and both suit the width.
    unsafe { B::copy_to_io(part, whole, width) }.map_err(|e| fault::<B, T>(view, offset, e))?;
    if rest.is_empty() {
        return Ok(());
    }
    let mut unit = [0; 8];
    let (unit, _) = unit.split_at_mut(width.padded(rest.len()));
    let (filled, _) = unit.split_at_mut(rest.len());
    filled.copy_from_slice(rest);
    let offset = offset + whole.len();
    // SAFETY: the padding was checked above as well.
    let part = unsafe { project_bytes::<B, T>(view, offset, unit.len()) };
    // SAFETY: `part` shows `unit.len()` bytes, which is the width.
    unsafe { B::copy_to_io(part, unit, width) }.map_err(|e| fault::<B, T>(view, offset, e))
}

/// Copies what `view` shows, from `offset` on, into `dst`.
#[inline]
pub(crate) fn copy_out<'a, B: IoCopyable, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    dst: &mut [u8],
    width: AccessWidth,
) -> Result<(), AccessError> {
    check_copy::<B, T>(view, offset, dst.len(), width)?;
    let (whole, rest) = dst.split_at_mut(whole(dst.len(), width));
    // SAFETY: checked above.
    let part = unsafe { project_bytes::<B, T>(view, offset, whole.len()) };
    // SAFETY: `part` shows `whole.len()` bytes, and both suit the width.
    unsafe { B::copy_from_io(part, whole, width) }.map_err(|e| fault::<B, T>(view, offset, e))?;
    if rest.is_empty() {
        return Ok(());
    }
    let mut unit = [0; 8];
    let (unit, _) = unit.split_at_mut(width.padded(rest.len()));
    let offset = offset + whole.len();
    // SAFETY: the padding was checked above as well.
    let part = unsafe { project_bytes::<B, T>(view, offset, unit.len()) };
    // SAFETY: `part` shows `unit.len()` bytes, which is the width.
    unsafe { B::copy_from_io(part, unit, width) }.map_err(|e| fault::<B, T>(view, offset, e))?;
    let (read, _) = unit.split_at(rest.len());
    rest.copy_from_slice(read);
    Ok(())
}

/// Sets `len` bytes of what `view` shows, from `offset` on, to `byte`.
#[inline]
pub(crate) fn fill<'a, B: IoCopyable, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    len: usize,
    byte: u8,
    width: AccessWidth,
) -> Result<(), AccessError> {
    check_copy::<B, T>(view, offset, len, width)?;
    let whole = whole(len, width);
    // SAFETY: checked above.
    let part = unsafe { project_bytes::<B, T>(view, offset, whole) };
    // SAFETY: `part` suits the width.
    unsafe { B::fill_io(part, byte, width) }.map_err(|e| fault::<B, T>(view, offset, e))?;
    if whole == len {
        return Ok(());
    }
    let unit = [byte; 8];
    let (rest, _) = unit.split_at(len - whole);
    copy_in::<B, T>(view, offset + whole, rest, width)
}

/// Compares what `view` shows, from `offset` on, with `expected`.
pub(crate) fn verify<'a, B: IoCopyable, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    expected: &[u8],
    width: AccessWidth,
) -> Result<Option<Difference>, AccessError> {
    // A multiple of every width, so that each part is aligned as the whole is.
    const PART: usize = 512;

    check_copy::<B, T>(view, offset, expected.len(), width)?;
    let mut buffer = [0; PART];
    let mut done = 0;
    for part in expected.chunks(PART) {
        let (found, _) = buffer.split_at_mut(part.len());
        copy_out::<B, T>(view, offset + done, found, width)?;
        if let Some(difference) = Difference::first(part, found) {
            let offset = done + difference.offset;
            return Ok(Some(Difference {
                offset,
                ..difference
            }));
        }
        done += part.len();
    }
    Ok(None)
}

/// How many of `len` bytes make whole accesses, before the one that is padded.
#[inline]
fn whole(len: usize, width: AccessWidth) -> usize {
    match width {
        AccessWidth::Padded(width) => len - len % width.bytes(),
        _ => len,
    }
}

/// The error of a copy that began at `offset`.
#[cold]
fn fault<'a, B: IoBackend, T: ?Sized + KnownSize + 'a>(
    view: B::View<'a, T>,
    offset: usize,
    fault: CopyFault,
) -> AccessError {
    let kind = AccessErrorKind::Fault(fault.fault);
    error::<B, T>(view, kind, offset + fault.done, fault.width.bytes())
}
