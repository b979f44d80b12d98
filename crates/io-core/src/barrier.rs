//! Barriers between accesses to memory and accesses to devices.
//!
//! Names and meanings are the kernel's (Documentation/memory-barriers.txt). The accessors of
//! [`Mmio`](crate::Mmio) contain the barriers that a driver mostly needs; docs/ordering.md in the
//! repository shows what each orders on each architecture, with the case of a doorbell after
//! descriptors.
//!
//! | | x86 | aarch64 | elsewhere |
//! |---|---|---|---|
//! | [`mb`] | `mfence` | `dsb sy` | a sequentially consistent fence |
//! | [`rmb`] | `lfence` | `dsb ld` | the same |
//! | [`wmb`] | `sfence` | `dsb st` | the same |
//! | [`dma_rmb`] | the compiler only | `dmb oshld` | the same |
//! | [`dma_wmb`] | the compiler only | `dmb oshst` | the same |
#![expect(unsafe_code, reason = "barriers are instructions")]

/// An instruction that is a barrier, which the compiler moves no access across.
macro_rules! barrier {
    ($instruction:literal) => {{
        // SAFETY: a barrier accesses nothing.
        unsafe { core::arch::asm!($instruction, options(nostack, preserves_flags)) }
    }};
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
mod arch {
    use std::sync::atomic::{Ordering, compiler_fence};

    #[inline(always)]
    pub(super) fn mb() {
        barrier!("mfence");
    }

    #[inline(always)]
    pub(super) fn rmb() {
        barrier!("lfence");
    }

    #[inline(always)]
    pub(super) fn wmb() {
        barrier!("sfence");
    }

    // The processor keeps loads in order among themselves, and stores (Intel SDM volume 3, section
    // 9.2.2); devices see memory as processors do.

    #[inline(always)]
    pub(super) fn dma_rmb() {
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    pub(super) fn dma_wmb() {
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    #[inline(always)]
    pub(super) fn mb() {
        barrier!("dsb sy");
    }

    #[inline(always)]
    pub(super) fn rmb() {
        barrier!("dsb ld");
    }

    #[inline(always)]
    pub(super) fn wmb() {
        barrier!("dsb st");
    }

    // Devices are in the outer shareable domain, which `std::sync::atomic::fence` does not reach.

    #[inline(always)]
    pub(super) fn dma_rmb() {
        barrier!("dmb oshld");
    }

    #[inline(always)]
    pub(super) fn dma_wmb() {
        barrier!("dmb oshst");
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
mod arch {
    use std::sync::atomic::{Ordering, fence};

    #[inline(always)]
    pub(super) fn full() {
        fence(Ordering::SeqCst);
    }

    pub(super) use full as mb;
    pub(super) use full as rmb;
    pub(super) use full as wmb;
    pub(super) use full as dma_rmb;
    pub(super) use full as dma_wmb;
}

/// Everything before it is done, and seen by everyone, before anything after it begins.
///
/// It orders loads and stores, to memory and to devices, write-combined mappings included.
#[doc(alias = "mfence")]
#[inline(always)]
pub fn mb() {
    arch::mb();
}

/// As [`mb`], for loads only.
#[doc(alias = "lfence")]
#[inline(always)]
pub fn rmb() {
    arch::rmb();
}

/// As [`mb`], for stores only. Behind stores to a write-combined mapping, it sends them off.
#[doc(alias = "sfence")]
#[inline(always)]
pub fn wmb() {
    arch::wmb();
}

/// Loads before it are done before loads after it, of memory that a device shares.
///
/// Between reading that a descriptor is ready and reading what is in it.
#[inline(always)]
pub fn dma_rmb() {
    arch::dma_rmb();
}

/// Stores before it are seen by devices before stores after it, to memory that a device shares.
///
/// Between writing what is in a descriptor and writing that it is ready.
#[inline(always)]
pub fn dma_wmb() {
    arch::dma_wmb();
}

/// The part of [`dma_rmb`] that costs no instruction: all of it on x86, nothing elsewhere.
///
/// With it, an access to system memory is on x86 what one to device memory is.
#[inline(always)]
pub(crate) fn free_dma_rmb() {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    arch::dma_rmb();
}

/// The part of [`dma_wmb`] that costs no instruction: all of it on x86, nothing elsewhere.
#[inline(always)]
pub(crate) fn free_dma_wmb() {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    arch::dma_wmb();
}
