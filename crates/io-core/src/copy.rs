//! Copies to and from device memory, as naturally aligned volatile accesses of a declared width.
//!
//! `memcpy` must not be used there: it may use accesses of any width, more than one for a byte, and
//! forms that a device or a hypervisor cannot take (Documentation/driver-api/device-io.rst).
#![expect(unsafe_code, reason = "volatile accesses through raw pointers")]

use crate::{AccessWidth, Width, single::Single};

/// `count` accesses of one width, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    width: Width,
    count: usize,
}

impl Run {
    fn bytes(self) -> usize {
        self.width.bytes() * self.count
    }
}

/// The runs that a copy of `len` bytes from address `addr` on is made of, in ascending order.
struct Runs {
    addr: usize,
    len: usize,
    width: AccessWidth,
}

impl Iterator for Runs {
    type Item = Run;

    #[inline]
    fn next(&mut self) -> Option<Run> {
        if self.len == 0 {
            return None;
        }
        let run = match self.width {
            AccessWidth::Exact(width) => Run {
                width,
                count: self.len / width.bytes(),
            },
            AccessWidth::Auto => {
                let fits = |w: &Width| self.addr % w.bytes() == 0 && self.len >= w.bytes();
                let width = Width::WIDEST_FIRST.into_iter().find(fits)?;
                // Below the widest, one access is enough: either the address is aligned to the next
                // width after it, or less than that width is left.
                let count = if width == Width::U64 {
                    self.len / width.bytes()
                } else {
                    1
                };
                Run { width, count }
            }
        };
        self.addr = self.addr.wrapping_add(run.bytes());
        self.len -= run.bytes();
        Some(run)
    }
}

/// Copies `src` to device memory.
///
/// # Safety
///
/// `dst` is mapped for writing for `src.len()` bytes; if `width` is exact, `dst` is aligned to it and
/// `src.len()` a multiple of it.
#[inline]
pub(crate) unsafe fn to_device(mut dst: *mut u8, mut src: &[u8], width: AccessWidth) {
    for run in (Runs {
        addr: dst.addr(),
        len: src.len(),
        width,
    }) {
        let (now, later) = src.split_at(run.bytes());
        match run.width {
            // SAFETY: a run is within what is left of the copy, and its width divides the address.
            Width::U8 => unsafe { store(dst, now, u8::from_ne_bytes) },
            // SAFETY: as above.
            Width::U16 => unsafe { store(dst, now, u16::from_ne_bytes) },
            // SAFETY: as above.
            Width::U32 => unsafe { store(dst, now, u32::from_ne_bytes) },
            // SAFETY: as above.
            Width::U64 => unsafe { store(dst, now, u64::from_ne_bytes) },
        }
        dst = dst.wrapping_add(run.bytes());
        src = later;
    }
}

/// Copies device memory to `dst`.
///
/// # Safety
///
/// `src` is mapped for reading for `dst.len()` bytes; if `width` is exact, `src` is aligned to it and
/// `dst.len()` a multiple of it.
#[inline]
pub(crate) unsafe fn from_device(mut src: *const u8, mut dst: &mut [u8], width: AccessWidth) {
    for run in (Runs {
        addr: src.addr(),
        len: dst.len(),
        width,
    }) {
        let (now, later) = dst.split_at_mut(run.bytes());
        match run.width {
            // SAFETY: a run is within what is left of the copy, and its width divides the address.
            Width::U8 => unsafe { load(src, now, u8::to_ne_bytes) },
            // SAFETY: as above.
            Width::U16 => unsafe { load(src, now, u16::to_ne_bytes) },
            // SAFETY: as above.
            Width::U32 => unsafe { load(src, now, u32::to_ne_bytes) },
            // SAFETY: as above.
            Width::U64 => unsafe { load(src, now, u64::to_ne_bytes) },
        }
        src = src.wrapping_add(run.bytes());
        dst = later;
    }
}

/// Stores `byte` in `len` bytes of device memory.
///
/// # Safety
///
/// `dst` is mapped for writing for `len` bytes; if `width` is exact, `dst` is aligned to it and `len` a
/// multiple of it.
#[inline]
pub(crate) unsafe fn fill_device(mut dst: *mut u8, len: usize, byte: u8, width: AccessWidth) {
    for run in (Runs {
        addr: dst.addr(),
        len,
        width,
    }) {
        match run.width {
            // SAFETY: a run is within what is left of the memory, and its width divides the address.
            Width::U8 => unsafe { fill(dst, run.count, byte) },
            // SAFETY: as above.
            Width::U16 => unsafe { fill(dst, run.count, u16::from_ne_bytes([byte; 2])) },
            // SAFETY: as above.
            Width::U32 => unsafe { fill(dst, run.count, u32::from_ne_bytes([byte; 4])) },
            // SAFETY: as above.
            Width::U64 => unsafe { fill(dst, run.count, u64::from_ne_bytes([byte; 8])) },
        }
        dst = dst.wrapping_add(run.bytes());
    }
}

/// Stores `count` times the same value.
///
/// # Safety
///
/// `dst` is mapped for writing for `count` values and aligned for `T`.
#[inline]
unsafe fn fill<T: Single>(dst: *mut u8, count: usize, value: T) {
    let mut to = dst.cast::<T>();
    for _ in 0..count {
        // SAFETY: `to` has advanced by the values before this one.
        unsafe { T::store(to, value) };
        to = to.wrapping_add(1);
    }
}

/// Stores `src` as a series of `T`, which `N` bytes make.
///
/// # Safety
///
/// `dst` is mapped for writing for `src.len()` bytes and aligned for `T`.
#[inline]
unsafe fn store<const N: usize, T: Single>(dst: *mut u8, src: &[u8], value: impl Fn([u8; N]) -> T) {
    let mut to = dst.cast::<T>();
    for bytes in src.chunks_exact(N) {
        let bytes = bytes
            .try_into()
            .expect("chunks_exact gives chunks of this length");
        // SAFETY: `to` has advanced by the chunks before this one, so it is within `src.len()` bytes.
        unsafe { T::store(to, value(bytes)) };
        to = to.wrapping_add(1);
    }
}

/// Loads `dst` as a series of `T`, which `N` bytes make.
///
/// # Safety
///
/// `src` is mapped for reading for `dst.len()` bytes and aligned for `T`.
#[inline]
unsafe fn load<const N: usize, T: Single>(
    src: *const u8,
    dst: &mut [u8],
    bytes: impl Fn(T) -> [u8; N],
) {
    let mut from = src.cast::<T>();
    for chunk in dst.chunks_exact_mut(N) {
        // SAFETY: `from` has advanced by the chunks before this one, so it is within `dst.len()` bytes.
        let value = unsafe { T::load(from) };
        chunk.copy_from_slice(&bytes(value));
        from = from.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accesses(addr: usize, len: usize, width: AccessWidth) -> Vec<(usize, usize)> {
        let mut at = addr;
        let mut all = Vec::new();
        for run in (Runs { addr, len, width }) {
            for _ in 0..run.count {
                all.push((at, run.width.bytes()));
                at += run.width.bytes();
            }
        }
        all
    }

    #[test]
    fn an_unaligned_copy_climbs_to_eight_bytes_and_steps_down_again() {
        // Written out by hand: each access at a multiple of its width, none wider than 8.
        assert_eq!(
            accesses(0x1001, 28, AccessWidth::Auto),
            [
                (0x1001, 1),
                (0x1002, 2),
                (0x1004, 4),
                (0x1008, 8),
                (0x1010, 8),
                (0x1018, 4),
                (0x101c, 1)
            ]
        );
    }

    #[test]
    fn every_start_and_length_is_covered_once_by_aligned_accesses() {
        for start in 0..16 {
            for len in (0..=64).step_by(if cfg!(miri) { 5 } else { 1 }) {
                let mut next = 0x1000 + start;
                for (at, width) in accesses(next, len, AccessWidth::Auto) {
                    assert_eq!((at, at % width), (next, 0), "start {start}, length {len}");
                    next += width;
                }
                assert_eq!(next, 0x1000 + start + len, "start {start}, length {len}");
            }
        }
    }

    #[test]
    fn an_exact_width_is_the_only_one_used() {
        for width in Width::WIDEST_FIRST {
            let all = accesses(0x1000, 64, AccessWidth::Exact(width));
            assert_eq!(all.len(), 64 / width.bytes());
            assert!(all.iter().all(|(_, bytes)| *bytes == width.bytes()));
        }
    }
}
