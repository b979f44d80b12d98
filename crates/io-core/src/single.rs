//! One access to device memory, made by one instruction.
#![expect(unsafe_code, reason = "accesses memory through raw pointers")]

use crate::nontemporal;

/// A number that one instruction loads or stores.
pub(crate) trait Single: Copy {
    /// Loads it.
    ///
    /// # Safety
    ///
    /// `ptr` is mapped for reading and aligned.
    unsafe fn load(ptr: *const Self) -> Self;

    /// Stores it.
    ///
    /// # Safety
    ///
    /// `ptr` is mapped for writing and aligned.
    unsafe fn store(ptr: *mut Self, value: Self);

    /// Stores it, past the caches where the processor can.
    ///
    /// # Safety
    ///
    /// As for [`store`](Self::store), and [`fence`](crate::nontemporal::fence) comes before anything that relies
    /// on the value having been stored.
    #[inline(always)]
    unsafe fn stream(ptr: *mut Self, value: Self) {
        // SAFETY: the caller has shown it.
        unsafe { Self::store(ptr, value) };
    }
}

/// The compiler makes a volatile access of the width it has.
#[cfg(not(target_arch = "aarch64"))]
macro_rules! single {
    ($($ty:ty: $load:literal, $store:literal $(, $stream:path)?;)*) => {$(
        impl Single for $ty {
            #[inline(always)]
            unsafe fn load(ptr: *const Self) -> Self {
                #[cfg(test)]
                trace::access(ptr);
                // SAFETY: the caller has shown it.
                unsafe { ptr.read_volatile() }
            }

            #[inline(always)]
            unsafe fn store(ptr: *mut Self, value: Self) {
                #[cfg(test)]
                trace::access(ptr);
                // SAFETY: the caller has shown it.
                unsafe { ptr.write_volatile(value) };
            }

            $(#[inline(always)]
            unsafe fn stream(ptr: *mut Self, value: Self) {
                #[cfg(test)]
                trace::access(ptr);
                // SAFETY: the caller has shown it.
                unsafe { $stream(ptr, value) };
            })?
        }
    )*};
}

/// The compiler may choose forms of a volatile access that write the address back, or access a pair of
/// registers. A hypervisor that emulates the device is told nothing of what such an instruction does
/// (Arm ARM, ESR_ELx.ISV), so that the forms with nothing but a base register are spelled out.
#[cfg(target_arch = "aarch64")]
macro_rules! single {
    ($($ty:ty: $load:literal, $store:literal $(, $stream:path)?;)*) => {$(
        impl Single for $ty {
            #[inline(always)]
            unsafe fn load(ptr: *const Self) -> Self {
                #[cfg(test)]
                trace::access(ptr);
                let value: $ty;
                // SAFETY: one load from `ptr`, which the caller has shown to be mapped and aligned.
                unsafe {
                    core::arch::asm!(
                        $load,
                        value = out(reg) value,
                        ptr = in(reg) ptr,
                        options(nostack, preserves_flags),
                    );
                }
                value
            }

            #[inline(always)]
            unsafe fn store(ptr: *mut Self, value: Self) {
                #[cfg(test)]
                trace::access(ptr);
                // SAFETY: one store to `ptr`, which the caller has shown to be mapped and aligned.
                unsafe {
                    core::arch::asm!(
                        $store,
                        value = in(reg) value,
                        ptr = in(reg) ptr,
                        options(nostack, preserves_flags),
                    );
                }
            }

            $(#[inline(always)]
            unsafe fn stream(ptr: *mut Self, value: Self) {
                #[cfg(test)]
                trace::access(ptr);
                // SAFETY: the caller has shown it.
                unsafe { $stream(ptr, value) };
            })?
        }
    )*};
}

single! {
    u8: "ldrb {value:w}, [{ptr}]", "strb {value:w}, [{ptr}]";
    u16: "ldrh {value:w}, [{ptr}]", "strh {value:w}, [{ptr}]";
    u32: "ldr {value:w}, [{ptr}]", "str {value:w}, [{ptr}]", nontemporal::store32;
    u64: "ldr {value:x}, [{ptr}]", "str {value:x}, [{ptr}]", nontemporal::store64;
}

/// What a test sees of the accesses that its thread makes.
#[cfg(test)]
pub(crate) mod trace {
    use std::cell::RefCell;

    thread_local! {
        static ACCESSES: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes an access to `ptr`.
    pub(crate) fn access<T>(ptr: *const T) {
        ACCESSES.with_borrow_mut(|all| all.push((ptr.addr(), size_of::<T>())));
    }

    /// The addresses and widths of the accesses since the last time they were taken.
    pub(crate) fn take() -> Vec<(usize, usize)> {
        ACCESSES.take()
    }
}
