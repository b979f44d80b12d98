//! What a backend does for memory of devices.
#![expect(unsafe_code, reason = "lets devices write to memory")]

use super::{DmaDirection, Iova, IovaRange, PageSize};
use crate::Result;
use std::fmt;

/// What an IOMMU can do, as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends make it")]
pub struct DmaLimits {
    /// The addresses that exist, in ascending order, with holes between them. None, if none is for choosing
    /// (see [`DmaPages::fixed_iova`]).
    pub ranges: Vec<IovaRange>,
    /// The page sizes: bit `n` stands for pages of 2^n bytes. The smallest is the granule of every mapping.
    pub page_sizes: u64,
    /// How many mappings there can be more, if that is limited.
    pub mappings: Option<u32>,
}

impl DmaLimits {
    /// The smallest page in bytes.
    #[must_use]
    pub const fn granule(&self) -> u64 {
        match 1_u64.checked_shl(self.page_sizes.trailing_zeros()) {
            Some(granule) => granule,
            None => 1,
        }
    }
}

/// What a backend does for a [`DmaSpace`](super::DmaSpace).
pub trait DmaOps: fmt::Debug + Send + Sync {
    /// What the IOMMU can do.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    fn limits(&self) -> Result<DmaLimits>;

    /// Memory of at least `len` bytes, of pages of this size, all zeros.
    ///
    /// # Errors
    ///
    /// The kernel has none.
    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>>;

    /// Lets devices reach the `len` bytes at `memory` by `iova`. All of them are multiples of the granule.
    ///
    /// # Errors
    ///
    /// The kernel refuses: too much memory is locked, the addresses are taken.
    ///
    /// # Safety
    ///
    /// Until it is unmapped, the memory stays allocated, and nothing relies on what is in it if `direction`
    /// lets devices write.
    unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        iova: Iova,
        direction: DmaDirection,
    ) -> Result<()>;

    /// Takes the `len` bytes at `iova` away from devices. What was mapped at once is unmapped at once.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or unmaps less than that.
    fn unmap(&self, iova: Iova, len: usize) -> Result<()>;
}

/// Memory that can be mapped for devices.
///
/// # Safety
///
/// The `len` bytes at `as_ptr` are allocated, readable and writable, used by nothing else, and at the same
/// place as long as this lives.
#[expect(clippy::len_without_is_empty, reason = "there always are some")]
pub unsafe trait DmaPages: fmt::Debug + Send {
    /// Where it starts: at a multiple of its page size.
    ///
    /// # Panics
    ///
    /// The memory must not be used on this thread. Ordinary memory never panics.
    fn as_ptr(&self) -> *mut u8;

    /// How many bytes there are, a multiple of the page size.
    fn len(&self) -> usize;

    /// Where devices find it, if that is not for choosing: without an IOMMU, its physical address.
    fn fixed_iova(&self) -> Option<Iova> {
        None
    }
}
