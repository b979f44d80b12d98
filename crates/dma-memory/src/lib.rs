//! Memory of this program that PCI devices are given.
//!
//! [`Pages`] are what backends with an IOMMU map for devices. Where there is no IOMMU (VFIO's no-IOMMU mode, UIO),
//! a device is told physical addresses, and the kernel may move memory about under them: [`physical_space`] gives out
//! huge pages, which stay where they are.

mod pages;
mod physical;

pub use pages::Pages;
pub use physical::physical_space;
