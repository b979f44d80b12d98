//! Device memory whose mapping is write-combined, for copies.
#![expect(unsafe_code, reason = "copies to mapped memory")]

use crate::{
    AccessWidth, CopyFault, IoBackend, IoCopyable, Mmio, MmioBackend, copy,
    mmio::{check_copy, over_mmio},
    nontemporal,
};
use bus_fault::Moment;

/// A live mapping of device memory that is write-combined, for copies into it.
///
/// Stores to such a mapping (sysfs' `resourceN_wc`) are gathered into lines before they are sent. The
/// copies and fills of this view go past the caches (`movnti` on x86-64, accesses of 4 and 8 bytes; ordinary
/// stores elsewhere) and end with the fence that sends them off, so that an access to the device after them
/// finds them done. They are made of the same accesses as those of [`Mmio`]; what is slower or faster is a matter
/// of the machine, to be measured.
///
/// It has no accessors for single values: gathered stores have no order among themselves. Registers are no affair
/// of a write-combined mapping.
///
/// ```
/// use io_core::{AccessWidth, Io, Mmio, MmioRaw, Region};
///
/// let mut memory = [0u64; 8];
/// let raw = MmioRaw::<Region>::new_region(memory.as_mut_ptr().cast(), 64)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
/// let bar = unsafe { Mmio::from_raw(raw) };
/// bar.write_combined().copy_from_slice(3, b"firmware", AccessWidth::Auto)?;
/// assert_eq!(bar.verify(3, b"firmware", AccessWidth::Auto)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WriteCombined<'a, T: ?Sized>(pub(crate) Mmio<'a, T>);

/// The backend of [`WriteCombined`].
#[derive(Debug)]
pub enum WriteCombinedBackend {}

over_mmio!(WriteCombined, WriteCombinedBackend, "WriteCombined");

impl IoCopyable for WriteCombinedBackend {
    #[inline]
    unsafe fn copy_from_io(
        view: WriteCombined<'_, [u8]>,
        dst: &mut [u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        // SAFETY: the conditions are the same, and the caller has shown them.
        unsafe { MmioBackend::copy_from_io(view.0, dst, width) }
    }

    #[inline]
    unsafe fn copy_to_io(
        view: WriteCombined<'_, [u8]>,
        src: &[u8],
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let before = Moment::now();
        let to = Self::as_ptr(view).cast();
        // SAFETY: the memory is mapped by the invariant of `Mmio`; the caller has shown the rest.
        unsafe { copy::to_device::<copy::Streaming>(to, src, width) };
        nontemporal::fence();
        check_copy(view.0, before)
    }

    #[inline]
    unsafe fn fill_io(
        view: WriteCombined<'_, [u8]>,
        byte: u8,
        width: AccessWidth,
    ) -> Result<(), CopyFault> {
        let before = Moment::now();
        let to = Self::as_ptr(view);
        // SAFETY: the memory is mapped by the invariant of `Mmio`; the caller has shown the rest.
        unsafe { copy::fill_device::<copy::Streaming>(to.cast(), to.len(), byte, width) };
        nontemporal::fence();
        check_copy(view.0, before)
    }
}
