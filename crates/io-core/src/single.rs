//! One access to device memory, made by one instruction.
#![expect(unsafe_code, reason = "accesses memory through raw pointers")]

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
}

/// The compiler makes a volatile access of the width it has.
#[cfg(not(target_arch = "aarch64"))]
macro_rules! single {
    ($($ty:ty: $load:literal, $store:literal;)*) => {$(
        impl Single for $ty {
            #[inline(always)]
            unsafe fn load(ptr: *const Self) -> Self {
                // SAFETY: the caller has shown it.
                unsafe { ptr.read_volatile() }
            }

            #[inline(always)]
            unsafe fn store(ptr: *mut Self, value: Self) {
                // SAFETY: the caller has shown it.
                unsafe { ptr.write_volatile(value) };
            }
        }
    )*};
}

/// The compiler may choose forms of a volatile access that write the address back, or access a pair of
/// registers. A hypervisor that emulates the device is told nothing of what such an instruction does
/// (Arm ARM, ESR_ELx.ISV), so that the forms with nothing but a base register are spelled out.
#[cfg(target_arch = "aarch64")]
macro_rules! single {
    ($($ty:ty: $load:literal, $store:literal;)*) => {$(
        impl Single for $ty {
            #[inline(always)]
            unsafe fn load(ptr: *const Self) -> Self {
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
        }
    )*};
}

single! {
    u8: "ldrb {value:w}, [{ptr}]", "strb {value:w}, [{ptr}]";
    u16: "ldrh {value:w}, [{ptr}]", "strh {value:w}, [{ptr}]";
    u32: "ldr {value:w}, [{ptr}]", "str {value:w}, [{ptr}]";
    u64: "ldr {value:x}, [{ptr}]", "str {value:x}, [{ptr}]";
}
