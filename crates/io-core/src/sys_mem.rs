//! System memory that a device may read or write at the same time.
#![expect(unsafe_code, reason = "volatile accesses through raw pointers")]

use crate::{
    AccessWidth, CopyFault, IoBackend, IoBase, IoCapable, IoCopyable, KnownSize, RegionName,
    backend, mapping,
};
use std::{fmt, marker::PhantomData, ptr};

/// System memory that a device may read or write at the same time, to be accessed through
/// [`Io`](crate::Io).
///
/// Scalars are volatile and in device byte order, as on [`Mmio`](crate::Mmio); a copy is a `memcpy`,
/// whatever width it asks for.
///
/// ```
/// use io_core::{Io, Region, SysMem};
///
/// let mut memory = [0u64; 8];
/// let region = Region::<16>::try_from_raw_parts(memory.as_mut_ptr().cast(), 64)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `buffer` is used.
/// let buffer = unsafe { SysMem::from_raw(region) };
/// buffer.write16::<2>(0x1234);
/// assert_eq!(buffer.read32::<0>(), 0x1234_0000);
/// # Ok::<(), io_core::RegionError>(())
/// ```
///
/// The view stays on its thread, where [`Mmio`](crate::Mmio) goes wherever a `&'a T` may. Device memory
/// is outside of what Rust's memory model speaks of; system memory is inside, and two threads that
/// access it through copies of a view would race. Threads share what owns the memory instead, or
/// atomics.
///
/// ```compile_fail,E0277
/// use io_core::{Region, SysMem};
/// fn shareable<T: Sync>() {}
/// shareable::<SysMem<'static, Region>>();
/// ```
///
/// ```compile_fail,E0277
/// use io_core::{Region, SysMem};
/// fn sendable<T: Send>() {}
/// sendable::<SysMem<'static, Region>>();
/// ```
///
/// # Invariants
///
/// For `'a`, the memory at `ptr` is live for its whole size, readable and writable, aligned for `T`,
/// and no Rust reference to any part of it is used.
pub struct SysMem<'a, T: ?Sized> {
    ptr: *mut T,
    _memory: PhantomData<&'a T>,
}

impl<'a, T: ?Sized + KnownSize> SysMem<'a, T> {
    /// The view of the memory at `ptr`.
    ///
    /// # Safety
    ///
    /// For the whole of `'a`, the memory at `ptr` stays live for its whole size, readable and
    /// writable, and aligned for `T`; no Rust reference to any part of it is used; and no two threads
    /// of this program access the same byte without synchronisation, be it through this view, a copy
    /// of it or otherwise. A device may access it: that is what the view is for.
    #[inline]
    #[must_use]
    pub const unsafe fn from_raw(ptr: *mut T) -> Self {
        Self {
            ptr,
            _memory: PhantomData,
        }
    }

    /// The pointer that the view was made from.
    #[inline]
    #[must_use]
    pub const fn as_ptr(self) -> *mut T {
        self.ptr
    }
}

impl<T: ?Sized> Clone for SysMem<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for SysMem<'_, T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for SysMem<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.ptr.cast::<u8>().addr();
        write!(f, "SysMem({addr:#x}, {:#x} bytes)", T::size(self.ptr))
    }
}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for SysMem<'a, T> {
    type Backend = SysMemBackend;
    type Target = T;

    #[inline]
    fn as_view(self) -> Self {
        self
    }
}

/// The backend of [`SysMem`].
#[derive(Debug)]
pub enum SysMemBackend {}

// SAFETY: `as_ptr` gives the pointer in the view, and a part of live memory is live.
unsafe impl IoBackend for SysMemBackend {
    type View<'a, T: ?Sized + KnownSize + 'a> = SysMem<'a, T>;

    #[inline]
    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: SysMem<'a, T>) -> *mut T {
        view.ptr
    }

    #[inline]
    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        _: SysMem<'a, T>,
        ptr: *mut U,
    ) -> SysMem<'a, U> {
        SysMem {
            ptr,
            _memory: PhantomData,
        }
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: SysMem<'a, T>) -> Option<RegionName> {
        mapping::name_of(view.ptr)
    }
}

macro_rules! capable {
    ($($ty:ty)*) => {$(
        impl IoCapable<$ty> for SysMemBackend {
            #[inline]
            fn io_read(view: SysMem<'_, $ty>) -> $ty {
                // SAFETY: by the invariant of `SysMem`, the memory is live and aligned.
                <$ty>::from_le(unsafe { view.ptr.read_volatile() })
            }

            #[inline]
            fn io_write(view: SysMem<'_, $ty>, value: $ty) {
                // SAFETY: by the invariant of `SysMem`, the memory is live and aligned.
                unsafe { view.ptr.write_volatile(value.to_le()) };
            }
        }
    )*};
}
capable!(u8 u16 u32 u64);
backend::infallible!(SysMemBackend: u8 u16 u32 u64);

impl IoCopyable for SysMemBackend {
    #[inline]
    unsafe fn copy_from_io(
        view: SysMem<'_, [u8]>,
        dst: &mut [u8],
        _: AccessWidth,
    ) -> Result<(), CopyFault> {
        let from = view.ptr.cast::<u8>();
        device_may_access(from);
        // SAFETY: the memory is live by the invariant of `SysMem` and not that of `dst`, which is a
        // reference; the caller has shown that the lengths are the same.
        unsafe { ptr::copy_nonoverlapping(from, dst.as_mut_ptr(), dst.len()) };
        device_may_access(from);
        Ok(())
    }

    #[inline]
    unsafe fn copy_to_io(
        view: SysMem<'_, [u8]>,
        src: &[u8],
        _: AccessWidth,
    ) -> Result<(), CopyFault> {
        let to = view.ptr.cast::<u8>();
        device_may_access(to);
        // SAFETY: the memory is live by the invariant of `SysMem` and not that of `src`, which is a
        // reference; the caller has shown that the lengths are the same.
        unsafe { ptr::copy_nonoverlapping(src.as_ptr(), to, src.len()) };
        device_may_access(to);
        Ok(())
    }

    #[inline]
    unsafe fn fill_io(view: SysMem<'_, [u8]>, byte: u8, _: AccessWidth) -> Result<(), CopyFault> {
        let to = view.ptr.cast::<u8>();
        device_may_access(to);
        // SAFETY: the memory is live by the invariant of `SysMem`.
        unsafe { to.write_bytes(byte, <[u8]>::size(view.ptr)) };
        device_may_access(to);
        Ok(())
    }
}

/// Tells the compiler, to which a copy is like any other, that a device may read and write the memory at `ptr` now:
/// it neither leaves a copy out nor moves one, nor takes the memory to hold what was copied there before.
///
/// It costs no instruction.
#[inline(always)]
fn device_may_access(ptr: *mut u8) {
    #[cfg(all(
        not(miri),
        any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")
    ))]
    // SAFETY: there is no instruction. What is not said to be untouched, the compiler takes to be touched.
    unsafe {
        core::arch::asm!("/* {ptr} */", ptr = in(reg) ptr, options(nostack, preserves_flags));
    }
    #[cfg(not(all(
        not(miri),
        any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")
    )))]
    {
        std::hint::black_box(ptr);
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}
