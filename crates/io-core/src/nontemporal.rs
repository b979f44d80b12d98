//! Stores that go past the caches, for mappings that are write-combined.
//!
//! A processor gathers them until it has a whole line to send. They are ordered with regard to nothing, not
//! even by what orders the accessors of [`Mmio`](crate::Mmio) on x86-64 (Intel SDM volume 1, section
//! 10.4.6.2): behind the last of them stands [`fence`].
#![expect(unsafe_code, reason = "stores through raw pointers")]

use crate::barrier;

/// A non-temporal store, where the processor has one of a single register.
///
/// aarch64 has only `stnp`, of a pair, which a hypervisor that emulates the device cannot decode (Arm ARM,
/// ESR_ELx.ISV): there, and everywhere else, it is an ordinary store. Miri knows no instructions.
macro_rules! store {
    ($($name:ident: $ty:ty, $instruction:literal;)*) => {$(
        #[doc = concat!("Stores a `", stringify!($ty), "`, by one access.")]
        ///
        /// # Safety
        ///
        /// `ptr` is mapped for writing and aligned. [`fence`] comes before anything that relies on the value
        /// having been stored.
        #[inline(always)]
        pub(crate) unsafe fn $name(ptr: *mut $ty, value: $ty) {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: one store to `ptr`, which the caller has shown to be mapped and aligned.
            unsafe {
                core::arch::asm!(
                    $instruction,
                    value = in(reg) value,
                    ptr = in(reg) ptr,
                    options(nostack, preserves_flags),
                );
            }
            #[cfg(not(all(target_arch = "x86_64", not(miri))))]
            // SAFETY: the caller has shown it.
            unsafe {
                ptr.write_volatile(value);
            }
        }
    )*};
}

store! {
    store32: u32, "movnti dword ptr [{ptr}], {value:e}";
    store64: u64, "movnti qword ptr [{ptr}], {value:r}";
}

/// Sends off what the stores before it have gathered, before any store after it.
///
/// `sfence` on x86-64, `dsb st` on aarch64.
#[inline(always)]
pub(crate) fn fence() {
    // Miri knows no instructions, and its stores are done when they are made.
    if cfg!(not(miri)) {
        barrier::wmb();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_four_bytes_changes_these_four() {
        let mut memory = [u32::MAX; 3];
        let base = memory.as_mut_ptr();
        // SAFETY: the second of three.
        unsafe { store32(base.wrapping_add(1), 0x0403_0201) };
        fence();
        assert_eq!(memory, [u32::MAX, 0x0403_0201, u32::MAX]);
    }

    #[test]
    fn a_store_of_eight_bytes_changes_these_eight() {
        let mut memory = [u64::MAX; 3];
        let base = memory.as_mut_ptr();
        // SAFETY: the second of three.
        unsafe { store64(base.wrapping_add(1), 0x0807_0605_0403_0201) };
        fence();
        assert_eq!(memory, [u64::MAX, 0x0807_0605_0403_0201, u64::MAX]);
    }
}
