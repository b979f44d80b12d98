//! System memory that a device may read or write at the same time.
#![expect(unsafe_code, reason = "volatile accesses through raw pointers")]

use crate::{AccessWidth, IoBackend, IoBase, IoCapable, IoCopyable, KnownSize};
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
/// It goes to other threads as a `&'a T` would, and no further:
///
/// ```compile_fail,E0277
/// use io_core::SysMem;
/// fn shareable<T: Sync>() {}
/// shareable::<SysMem<'static, std::cell::Cell<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// use io_core::SysMem;
/// fn sendable<T: Send>() {}
/// sendable::<SysMem<'static, std::cell::Cell<u32>>>();
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

// SAFETY: the view is used as a `&T` is, and goes where a `&T` may go.
unsafe impl<T: ?Sized + Sync> Send for SysMem<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for SysMem<'_, T> {}

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

impl IoCopyable for SysMemBackend {
    #[inline]
    unsafe fn copy_from_io(view: SysMem<'_, [u8]>, dst: &mut [u8], _: AccessWidth) {
        let from = view.ptr.cast::<u8>();
        // SAFETY: the memory is live by the invariant of `SysMem` and not that of `dst`, which is a
        // reference; the caller has shown that the lengths are the same.
        unsafe { ptr::copy_nonoverlapping(from, dst.as_mut_ptr(), dst.len()) }
    }

    #[inline]
    unsafe fn copy_to_io(view: SysMem<'_, [u8]>, src: &[u8], _: AccessWidth) {
        let to = view.ptr.cast::<u8>();
        // SAFETY: the memory is live by the invariant of `SysMem` and not that of `src`, which is a
        // reference; the caller has shown that the lengths are the same.
        unsafe { ptr::copy_nonoverlapping(src.as_ptr(), to, src.len()) }
    }

    #[inline]
    unsafe fn fill_io(view: SysMem<'_, [u8]>, byte: u8, _: AccessWidth) {
        // SAFETY: the memory is live by the invariant of `SysMem`.
        unsafe {
            view.ptr
                .cast::<u8>()
                .write_bytes(byte, <[u8]>::size(view.ptr))
        }
    }
}
