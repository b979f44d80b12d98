//! Device memory, accessed without barriers.
#![expect(unsafe_code, reason = "accesses memory through raw pointers")]

use crate::{
    AccessWidth, CopyFault, IoBackend, IoCapable, IoCopyable, Mmio, MmioBackend, backend,
    mmio::over_mmio, single::Single,
};

/// A live mapping of device memory whose accessors contain no barriers: the kernel's
/// `readl_relaxed` and `writel_relaxed`.
///
/// Accesses to one device stay in order among themselves. With regard to memory nothing is ordered: not
/// a buffer that the device is told of, nor one that it says it has filled. Where that matters, there are
/// [barriers](crate::barrier), or the accessors of [`Mmio`].
///
/// ```
/// use io_core::{Io, MmioRaw, Mmio, Region};
///
/// let mut memory = [0u64; 2];
/// let raw = MmioRaw::<Region<16>>::new_region(memory.as_mut_ptr().cast(), 16)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
/// let bar = unsafe { Mmio::from_raw(raw) };
/// bar.relaxed().write32::<4>(7);
/// assert_eq!(bar.read32::<4>(), 7);
/// # Ok::<(), io_core::RegionError>(())
/// ```
pub struct RelaxedMmio<'a, T: ?Sized>(pub(crate) Mmio<'a, T>);

/// The backend of [`RelaxedMmio`].
#[derive(Debug)]
pub enum RelaxedMmioBackend {}

over_mmio!(RelaxedMmio, RelaxedMmioBackend, "Relaxed");

macro_rules! capable {
    ($($ty:ty)*) => {$(
        impl IoCapable<$ty> for RelaxedMmioBackend {
            #[inline]
            fn io_read(view: RelaxedMmio<'_, $ty>) -> $ty {
                // SAFETY: by the invariant of `Mmio`, the memory is mapped and aligned.
                <$ty>::from_le(unsafe { Single::load(Self::as_ptr(view)) })
            }

            #[inline]
            fn io_write(view: RelaxedMmio<'_, $ty>, value: $ty) {
                // SAFETY: by the invariant of `Mmio`, the memory is mapped and aligned.
                unsafe { Single::store(Self::as_ptr(view), value.to_le()) };
            }
        }
    )*};
}
capable!(u8 u16 u32 u64);
backend::unless_lost!(RelaxedMmioBackend: u8 u16 u32 u64);

/// Copies contain no barriers anyway.
impl IoCopyable for RelaxedMmioBackend {
    #[inline]
    unsafe fn copy_from_io(
        view: RelaxedMmio<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { MmioBackend::copy_from_io(view.0, dst, width) }
    }

    #[inline]
    unsafe fn copy_to_io(
        view: RelaxedMmio<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { MmioBackend::copy_to_io(view.0, src, width) }
    }

    #[inline]
    unsafe fn fill_io(
        view: RelaxedMmio<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { MmioBackend::fill_io(view.0, byte, width) }
    }
}
