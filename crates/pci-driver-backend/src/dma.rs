//! Memory for the device, by the container.
#![expect(unsafe_code, reason = "lets devices write to memory")]

use dma_memory::Pages;
use io_core::{
    Error, Result,
    dma::{DmaDirection, DmaLimits, DmaOps, DmaPages, Iova, IovaRange, PageSize},
};
use pci_driver::{backends::vfio::VfioContainer, regions::Permissions};
use std::{ops::Range, sync::Arc};

/// The type 1 IOMMU of a container.
#[derive(Debug)]
pub(crate) struct Type1(pub(crate) Arc<VfioContainer>);

/// What pci-driver says of a range: up to its end, which does not belong to it. (It gives the kernel's last address there, so
/// that an address less than there are is used.)
fn range(range: &Range<u64>) -> Option<IovaRange> {
    IovaRange::new(range.start, range.end.checked_sub(1)?)
}

impl DmaOps for Type1 {
    fn limits(&self) -> Result<DmaLimits> {
        let iommu = self.0.iommu();
        Ok(DmaLimits {
            ranges: iommu.valid_iova_ranges().iter().filter_map(range).collect(),
            page_sizes: u64::try_from(iommu.alignment()).unwrap_or(0x1000),
            mappings: Some(iommu.max_num_mappings()),
        })
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        Ok(Box::new(Pages::new(len, pages)?))
    }

    unsafe fn map(
        &self,
        memory: *mut u8,
        len: usize,
        iova: Iova,
        direction: DmaDirection,
    ) -> Result<()> {
        let permissions = match direction {
            DmaDirection::ToDevice => Permissions::Read,
            DmaDirection::FromDevice => Permissions::Write,
            DmaDirection::Both => Permissions::ReadWrite,
        };
        // SAFETY: the caller has shown it.
        let mapped = unsafe { self.0.iommu().map(iova.raw(), len, memory, permissions) };
        mapped.map_err(|e| {
            Error::from_os(
                format!("cannot map {len:#x} bytes for devices at {iova}"),
                e,
            )
            .with_hint("all of it is locked in memory: ulimit -l says how much may be")
        })
    }

    fn unmap(&self, iova: Iova, len: usize) -> Result<()> {
        let unmapped = self.0.iommu().unmap(iova.raw(), len);
        unmapped
            .map_err(|e| Error::from_os(format!("cannot unmap the {len:#x} bytes at {iova}"), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_past_the_kernels_last_is_used() {
        // The kernel's 0xfedfffff, as the crate shows it, and the same once it is mended.
        let shown = range(&(0x1000..0xfedf_ffff)).unwrap();
        assert_eq!(shown, IovaRange::new(0x1000, 0xfedf_fffe).unwrap());
        assert_eq!(range(&(0..0)), None);
    }
}
