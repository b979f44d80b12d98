//! Memory that a device reads and writes by itself.
//!
//! A [`DmaSpace`] is what the devices of one IOMMU context see of memory. It gives out buffers: a
//! [`DmaBox`] belongs to the processor alone, which fills it as it fills any memory; once it is
//! [shared](DmaBox::share) it is mapped: a [`DmaBuffer`], which has an address for the device, and to which
//! there are no references any more, because the device may write there at any time.
//!
//! ```
//! use io_core::{Io, dma::DmaOptions, sim::SimulatedDma};
//!
//! let space = SimulatedDma::new().space();
//! let mut ring = space.allocate(4096, DmaOptions::default().address_bits(32))?;
//! ring[..4].copy_from_slice(b"ring");
//! let ring = ring.share()?;
//! assert!(ring.iova().raw() < 1 << 32); // goes into a register of the device
//! assert_eq!(ring.view().try_read8(0)?, b'r');
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocator;
mod buffer;
mod iova;
mod ops;
mod options;
mod space;
mod tap;

pub use allocator::{IovaAllocator, NoIova};
pub use buffer::{DmaBox, DmaBuffer, DmaMapping};
pub use iova::{Iova, IovaRange};
pub use ops::{DmaLimits, DmaOps, DmaPages};
pub use options::{DmaDirection, DmaOptions, PageSize};
pub use space::DmaSpace;
pub(crate) use tap::DmaTap;
