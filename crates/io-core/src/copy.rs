//! Copies to and from device memory, as naturally aligned volatile accesses of a declared width.
//!
//! `memcpy` must not be used there: it may use accesses of any width, more than one for a byte, and
//! forms that a device or a hypervisor cannot take (Documentation/driver-api/device-io.rst).
#![expect(unsafe_code, reason = "volatile accesses through raw pointers")]

use crate::{AccessWidth, Width, single::Single};

/// `count` accesses of one width, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub width: Width,
    pub count: usize,
}

impl Run {
    pub fn bytes(self) -> usize {
        self.width.bytes() * self.count
    }
}

/// The runs that a copy of `len` bytes from address `addr` on is made of, in ascending order.
pub(crate) struct Runs {
    addr: usize,
    len: usize,
    width: AccessWidth,
    widest: Width,
}

impl Runs {
    /// Those of a copy in which no access is wider than `widest`, unless `width` says so.
    #[inline]
    pub fn new(addr: usize, len: usize, width: AccessWidth, widest: Width) -> Self {
        Self {
            addr,
            len,
            width,
            widest,
        }
    }
}

impl Iterator for Runs {
    type Item = Run;

    #[inline]
    fn next(&mut self) -> Option<Run> {
        if self.len == 0 {
            return None;
        }
        let run = match self.width {
            AccessWidth::Exact(width) | AccessWidth::Padded(width) => Run {
                width,
                count: self.len / width.bytes(),
            },
            AccessWidth::Auto => {
                let fits = |w: &Width| {
                    *w <= self.widest && self.addr % w.bytes() == 0 && self.len >= w.bytes()
                };
                let width = Width::WIDEST_FIRST.into_iter().find(fits)?;
                // Below the widest, one access is enough: either the address is aligned to the next
                // width after it, or less than that width is left.
                let count = if width == self.widest {
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

/// How a copy stores.
pub(crate) trait Store {
    /// Stores one value.
    ///
    /// # Safety
    ///
    /// `ptr` is mapped for writing and aligned.
    unsafe fn store<T: Single>(ptr: *mut T, value: T);
}

/// By ordinary stores.
pub(crate) enum Plain {}

impl Store for Plain {
    #[inline(always)]
    unsafe fn store<T: Single>(ptr: *mut T, value: T) {
        // SAFETY: the caller has shown it.
        unsafe { T::store(ptr, value) };
    }
}

/// By stores that go past the caches, after which there has to be a [`fence`](crate::nontemporal::fence).
pub(crate) enum Streaming {}

impl Store for Streaming {
    #[inline(always)]
    unsafe fn store<T: Single>(ptr: *mut T, value: T) {
        // SAFETY: the caller has shown it.
        unsafe { T::stream(ptr, value) };
    }
}

/// Copies `src` to device memory.
///
/// # Safety
///
/// `dst` is mapped for writing for `src.len()` bytes; if `width` is exact, `dst` is aligned to it and
/// `src.len()` a multiple of it.
#[inline]
pub(crate) unsafe fn to_device<S: Store>(mut dst: *mut u8, mut src: &[u8], width: AccessWidth) {
    for run in Runs::new(dst.addr(), src.len(), width, Width::U64) {
        let (now, later) = src.split_at(run.bytes());
        match run.width {
            // SAFETY: a run is within what is left of the copy, and its width divides the address.
            Width::U8 => unsafe { store::<S, 1, _>(dst, now, u8::from_ne_bytes) },
            // SAFETY: as above.
            Width::U16 => unsafe { store::<S, 2, _>(dst, now, u16::from_ne_bytes) },
            // SAFETY: as above.
            Width::U32 => unsafe { store::<S, 4, _>(dst, now, u32::from_ne_bytes) },
            // SAFETY: as above.
            Width::U64 => unsafe { store::<S, 8, _>(dst, now, u64::from_ne_bytes) },
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
    for run in Runs::new(src.addr(), dst.len(), width, Width::U64) {
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
pub(crate) unsafe fn fill_device<S: Store>(
    mut dst: *mut u8,
    len: usize,
    byte: u8,
    width: AccessWidth,
) {
    for run in Runs::new(dst.addr(), len, width, Width::U64) {
        match run.width {
            // SAFETY: a run is within what is left of the memory, and its width divides the address.
            Width::U8 => unsafe { fill::<S, _>(dst, run.count, byte) },
            // SAFETY: as above.
            Width::U16 => unsafe { fill::<S, _>(dst, run.count, u16::from_ne_bytes([byte; 2])) },
            // SAFETY: as above.
            Width::U32 => unsafe { fill::<S, _>(dst, run.count, u32::from_ne_bytes([byte; 4])) },
            // SAFETY: as above.
            Width::U64 => unsafe { fill::<S, _>(dst, run.count, u64::from_ne_bytes([byte; 8])) },
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
unsafe fn fill<S: Store, T: Single>(dst: *mut u8, count: usize, value: T) {
    let mut to = dst.cast::<T>();
    for _ in 0..count {
        // SAFETY: `to` has advanced by the values before this one.
        unsafe { S::store(to, value) };
        to = to.wrapping_add(1);
    }
}

/// Stores `src` as a series of `T`, which `N` bytes make.
///
/// # Safety
///
/// `dst` is mapped for writing for `src.len()` bytes and aligned for `T`.
#[inline]
unsafe fn store<S: Store, const N: usize, T: Single>(
    dst: *mut u8,
    src: &[u8],
    value: impl Fn([u8; N]) -> T,
) {
    let mut to = dst.cast::<T>();
    for bytes in src.chunks_exact(N) {
        let bytes = bytes
            .try_into()
            .expect("chunks_exact gives chunks of this length");
        // SAFETY: `to` has advanced by the chunks before this one, so it is within `src.len()` bytes.
        unsafe { S::store(to, value(bytes)) };
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
    use crate::{
        AccessWidth, IndirectIo, Io, Mmio, MmioRaw, Region, Width,
        sim::{Ram, Recorder},
        single::trace,
    };

    const SIZE: usize = 88;

    /// What was accessed behind `recorder`.
    fn recorded(recorder: &Recorder<&Ram>) -> Vec<(usize, usize)> {
        let accesses = recorder.take();
        let places = accesses.iter().map(|a| (a.at.bytes(), a.width.bytes()));
        places.collect()
    }

    /// tests/copies.rs shows which accesses are made to a region that is reached by calls. Those to mapped
    /// memory are the same.
    #[test]
    fn a_copy_to_mapped_memory_is_made_of_the_accesses_that_a_recorder_sees() {
        let mut memory = [0_u128; SIZE.div_ceil(16)];
        let base = memory.as_mut_ptr().cast::<u8>();
        let raw = MmioRaw::<Region>::new_region(base, SIZE).expect("it is aligned");
        // SAFETY: `memory` lives until the end of the test, and is not used otherwise.
        let mapped = unsafe { Mmio::from_raw(raw) };
        let ram = Ram::new("memory", SIZE);
        let recorder = Recorder::new(&ram);
        let called = IndirectIo::<Region>::new(&recorder).expect("it has at least 0 bytes");
        let traced = || {
            let places = trace::take().into_iter();
            places
                .map(|(addr, width)| (addr - base.addr(), width))
                .collect::<Vec<_>>()
        };

        let exact = Width::WIDEST_FIRST.map(AccessWidth::Exact);
        let padded = Width::WIDEST_FIRST.map(AccessWidth::Padded);
        for width in [AccessWidth::Auto].into_iter().chain(exact).chain(padded) {
            for start in (0..16).step_by(if cfg!(miri) { 7 } else { 1 }) {
                for len in (0..=64).step_by(if cfg!(miri) { 21 } else { 1 }) {
                    let case = format!("{len} bytes at {start}, {width:?}");
                    let image = vec![0x5a; len];
                    let (one, two) = (
                        mapped.copy_from_slice(start, &image, width),
                        called.copy_from_slice(start, &image, width),
                    );
                    assert_eq!(one.is_ok(), two.is_ok(), "{case}");
                    assert_eq!(traced(), recorded(&recorder), "writes, {case}");

                    let mut back = vec![0; len];
                    let (one, two) = (
                        mapped.copy_to_slice(start, &mut back, width),
                        called.copy_to_slice(start, &mut back, width),
                    );
                    assert_eq!(one.is_ok(), two.is_ok(), "{case}");
                    assert_eq!(traced(), recorded(&recorder), "reads, {case}");

                    let (one, two) = (
                        mapped.fill(start, len, 0, width),
                        called.fill(start, len, 0, width),
                    );
                    assert_eq!(one.is_ok(), two.is_ok(), "{case}");
                    assert_eq!(traced(), recorded(&recorder), "fill, {case}");
                }
            }
        }
    }
}
