//! Device memory mapped into this process.
#![expect(unsafe_code, reason = "volatile accesses through raw pointers")]

use crate::{
    AccessWidth, CopyFault, Fault, Io, IoBackend, IoBase, IoCapable, IoCopyable, KnownSize, Region,
    RegionError, RegionName, RelaxedMmio, Width, WriteCombined, backend, barrier, copy, mapping,
};
use bus_fault::Moment;
use std::{fmt, marker::PhantomData};

/// The address of device memory: the C kernel's `T __iomem *`.
///
/// Holding one proves nothing: the memory may not be mapped, or not any more. It can be copied
/// and sent to other threads, but not accessed; only [`Mmio::from_raw`], which is unsafe,
/// turns it into something that can.
///
/// The address is a pointer and not a number, so that it cannot be mistaken for an offset and keeps
/// the provenance of the mapping.
pub struct MmioRaw<T: ?Sized> {
    pub(crate) ptr: *mut T,
}

impl<T> MmioRaw<T> {
    /// The device memory at `addr`.
    #[inline]
    #[must_use]
    pub const fn new(addr: *mut T) -> Self {
        Self { ptr: addr }
    }
}

impl<const SIZE: usize> MmioRaw<Region<SIZE>> {
    /// The region of `size` bytes at `addr`.
    ///
    /// `size` is the size that the device reports, not the length of the mapping, which is rounded
    /// up to pages.
    ///
    /// # Errors
    ///
    /// `size` is less than `SIZE`, `addr` is not a multiple of 8, or the region would not fit in the
    /// address space.
    ///
    /// ```
    /// use io_core::{MmioRaw, Region};
    /// use std::ptr::without_provenance_mut;
    ///
    /// let raw = MmioRaw::<Region<0x10>>::new_region(without_provenance_mut(0x1000), 0x100)?;
    /// assert_eq!((raw.addr(), raw.size()), (0x1000, 0x100));
    /// # Ok::<(), io_core::RegionError>(())
    /// ```
    #[inline]
    pub fn new_region(addr: *mut u8, size: usize) -> Result<Self, RegionError> {
        Ok(Self {
            ptr: Region::try_from_raw_parts(addr, size)?,
        })
    }
}

impl<T: ?Sized + KnownSize> MmioRaw<T> {
    #[inline]
    pub(crate) fn as_ptr(self) -> *mut T {
        self.ptr
    }

    /// The address, in this process.
    #[inline]
    #[must_use]
    pub fn addr(self) -> usize {
        self.ptr.cast::<u8>().addr()
    }

    /// The size in bytes: the real one, not the one known at compile time.
    #[inline]
    #[must_use]
    pub fn size(self) -> usize {
        T::size(self.ptr)
    }
}

impl<T: ?Sized> Clone for MmioRaw<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for MmioRaw<T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for MmioRaw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MmioRaw({:#x}, {:#x} bytes)", self.addr(), self.size())
    }
}

// SAFETY: it is an address; nothing can be done to the memory through it.
unsafe impl<T: ?Sized> Send for MmioRaw<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized> Sync for MmioRaw<T> {}

/// A live mapping of device memory, to be accessed through [`Io`](crate::Io).
///
/// The view is `Copy` and borrows from whatever owns the mapping, for the lifetime `'a`. It goes to
/// other threads as a `&'a T` would.
///
/// Accesses are volatile: each is made, once, with the width it says (64 bits are two accesses on a
/// 32-bit machine), and in order with regard to other accesses to the same device. They are ordered
/// with regard to memory as the kernel's `readl` and `writel` are:
///
/// - a **write** comes after everything that was stored to memory before it. A device that is told of
///   a buffer or a descriptor, by a doorbell, finds it written.
/// - a **read** comes before everything that is loaded from memory after it. A buffer that the device
///   said it had filled is found filled.
///
/// Copies contain no barriers. [`relaxed`](Mmio::relaxed) gives accessors that contain none either.
///
/// While the BAR is switched off (memory decoding off in the device's Command register, power state
/// D3hot), an access raises SIGBUS. In a [`Bar`](crate::Bar) that survives that, all ones are read, and the BAR is
/// lost; elsewhere it ends the program. From a device that has been pulled out, all ones are read.
///
/// The view cannot outlive the borrow that it was made from:
///
/// ```compile_fail,E0597
/// use io_core::{Io, MmioRaw, Mmio, Region};
///
/// struct Mapping([u64; 8]);
/// impl Mapping {
///     fn view(&mut self) -> Mmio<'_, Region> {
///         let raw = MmioRaw::new_region(self.0.as_mut_ptr().cast(), 64).unwrap();
///         // SAFETY: the memory is live and not used otherwise while `self` is borrowed.
///         unsafe { Mmio::from_raw(raw) }
///     }
/// }
///
/// let view = {
///     let mut mapping = Mapping([0; 8]);
///     mapping.view()
/// };
/// view.try_read8(0);
/// ```
///
/// Nor does it go to another thread if its target could not be shared with one:
///
/// ```compile_fail,E0277
/// use io_core::Mmio;
/// fn shareable<T: Sync>() {}
/// shareable::<Mmio<'static, std::cell::Cell<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// use io_core::Mmio;
/// fn sendable<T: Send>() {}
/// sendable::<Mmio<'static, std::cell::Cell<u32>>>();
/// ```
///
/// # Invariants
///
/// For `'a`, the memory at `raw` is mapped for its whole size, readable and writable, aligned for
/// `T`, and no Rust reference to any part of it exists.
pub struct Mmio<'a, T: ?Sized> {
    raw: MmioRaw<T>,
    _mapping: PhantomData<&'a T>,
}

impl<'a, T: ?Sized + KnownSize> Mmio<'a, T> {
    /// The view of a mapping.
    ///
    /// # Safety
    ///
    /// For the whole of `'a`, the memory at `raw` stays mapped for its whole size, readable and
    /// writable, and aligned for `T`, and no Rust reference to any part of it exists. Where it is
    /// memory that Rust allocated (in a test, say), no two threads access the same byte without
    /// synchronisation.
    #[inline]
    #[must_use]
    pub const unsafe fn from_raw(raw: MmioRaw<T>) -> Self {
        Self {
            raw,
            _mapping: PhantomData,
        }
    }

    /// The same mapping, with accessors that contain no barriers.
    #[inline]
    #[must_use]
    pub const fn relaxed(self) -> RelaxedMmio<'a, T> {
        RelaxedMmio(self)
    }

    /// The same mapping, which is write-combined, for copies that go past the caches.
    #[inline]
    #[must_use]
    pub const fn write_combined(self) -> WriteCombined<'a, T> {
        WriteCombined(self)
    }

    /// The address and size, without the promise.
    #[inline]
    #[must_use]
    pub const fn as_raw(self) -> MmioRaw<T> {
        self.raw
    }
}

impl<T: ?Sized> Clone for Mmio<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Mmio<'_, T> {}

impl<T: ?Sized + KnownSize> fmt::Debug for Mmio<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Mmio({:#x}, {:#x} bytes)",
            self.raw.addr(),
            self.raw.size()
        )
    }
}

impl<'a, T: ?Sized + KnownSize + 'a> IoBase<'a> for Mmio<'a, T> {
    type Backend = MmioBackend;
    type Target = T;

    #[inline]
    fn as_view(self) -> Self {
        self
    }
}

/// The backend of [`Mmio`].
#[derive(Debug)]
pub enum MmioBackend {}

// SAFETY: `as_ptr` gives the pointer in the view, and a part of mapped memory is mapped.
unsafe impl IoBackend for MmioBackend {
    type View<'a, T: ?Sized + KnownSize + 'a> = Mmio<'a, T>;

    #[inline]
    fn as_ptr<'a, T: ?Sized + KnownSize + 'a>(view: Mmio<'a, T>) -> *mut T {
        view.raw.ptr
    }

    #[inline]
    unsafe fn project_view<'a, T: ?Sized + KnownSize + 'a, U: ?Sized + KnownSize + 'a>(
        _: Mmio<'a, T>,
        ptr: *mut U,
    ) -> Mmio<'a, U> {
        Mmio {
            raw: MmioRaw { ptr },
            _mapping: PhantomData,
        }
    }

    fn name<'a, T: ?Sized + KnownSize + 'a>(view: Mmio<'a, T>) -> Option<RegionName> {
        mapping::name_of(view.raw.ptr)
    }
}

macro_rules! capable {
    ($($ty:ty)*) => {$(
        impl IoCapable<$ty> for MmioBackend {
            #[inline]
            fn io_read(view: Mmio<'_, $ty>) -> $ty {
                let value = view.relaxed().read_val();
                barrier::dma_rmb();
                value
            }

            #[inline]
            fn io_write(view: Mmio<'_, $ty>, value: $ty) {
                barrier::dma_wmb();
                view.relaxed().write_val(value);
            }
        }
    )*};
}
capable!(u8 u16 u32 u64);
backend::unless_lost!(MmioBackend: u8 u16 u32 u64);

impl IoCopyable for MmioBackend {
    #[inline]
    unsafe fn copy_from_io(
        view: Mmio<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let before = Moment::now();
        // SAFETY: the memory is mapped by the invariant of `Mmio`; the caller has shown the rest.
        unsafe { copy::from_device(view.raw.ptr.cast(), dst, width) };
        check_copy(view, before)
    }

    #[inline]
    unsafe fn copy_to_io(
        view: Mmio<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let before = Moment::now();
        // SAFETY: the memory is mapped by the invariant of `Mmio`; the caller has shown the rest.
        unsafe { copy::to_device::<copy::Plain>(view.raw.ptr.cast(), src, width) };
        check_copy(view, before)
    }

    #[inline]
    unsafe fn fill_io(view: Mmio<'_, [u8]>, byte: u8, width: AccessWidth) -> Result<(), CopyFault> {
        let len = <[u8]>::size(view.raw.ptr);
        let before = Moment::now();
        // SAFETY: the memory is mapped by the invariant of `Mmio`; the caller has shown the rest.
        unsafe { copy::fill_device::<copy::Plain>(view.raw.ptr.cast(), len, byte, width) };
        check_copy(view, before)
    }
}

/// The error of a copy to or from a device that is lost, or has been since before the copy. When it was lost, nobody can say.
#[inline]
pub(crate) fn check_copy(view: Mmio<'_, [u8]>, before: Moment) -> Result<(), CopyFault> {
    if mapping::lost_since(view.raw.ptr, before) {
        return Err(CopyFault {
            done: 0,
            width: Width::U8,
            fault: Fault::Lost,
        });
    }
    Ok(())
}

/// A view and a backend that are those of [`Mmio`], but for what they do with a single value or a copy.
macro_rules! over_mmio {
    ($view:ident, $backend:ident, $prefix:literal) => {
        impl<T: ?Sized> Clone for $view<'_, T> {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T: ?Sized> Copy for $view<'_, T> {}

        impl<T: ?Sized + $crate::KnownSize> ::std::fmt::Debug for $view<'_, T> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!($prefix, "{:?}"), self.0)
            }
        }

        impl<'a, T: ?Sized + $crate::KnownSize + 'a> $crate::IoBase<'a> for $view<'a, T> {
            type Backend = $backend;
            type Target = T;

            #[inline]
            fn as_view(self) -> Self {
                self
            }
        }

        // SAFETY: that of `Mmio` keeps to it.
        unsafe impl $crate::IoBackend for $backend {
            type View<'a, T: ?Sized + $crate::KnownSize + 'a> = $view<'a, T>;

            #[inline]
            fn as_ptr<'a, T: ?Sized + $crate::KnownSize + 'a>(view: $view<'a, T>) -> *mut T {
                <$crate::MmioBackend as $crate::IoBackend>::as_ptr(view.0)
            }

            #[inline]
            unsafe fn project_view<
                'a,
                T: ?Sized + $crate::KnownSize + 'a,
                U: ?Sized + $crate::KnownSize + 'a,
            >(
                view: $view<'a, T>,
                ptr: *mut U,
            ) -> $view<'a, U> {
                // SAFETY: the conditions are the same, and the caller has shown them.
                $view(unsafe {
                    <$crate::MmioBackend as $crate::IoBackend>::project_view(view.0, ptr)
                })
            }

            fn name<'a, T: ?Sized + $crate::KnownSize + 'a>(
                view: $view<'a, T>,
            ) -> Option<$crate::RegionName> {
                <$crate::MmioBackend as $crate::IoBackend>::name(view.0)
            }
        }
    };
}
pub(crate) use over_mmio;
