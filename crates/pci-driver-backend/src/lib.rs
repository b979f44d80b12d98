//! PCI devices through the [pci-driver] crate, and our mapped BARs as regions of that crate.
//!
//! It is for programs that have code written for pci-driver 0.1. Those that have none open devices by `outboard::open`, which
//! does more: see the limits below.
//!
//! # Its devices as ours
//!
//! [`PciDriverDevice`] is a [`PciDevice`](io_core::PciDevice) that reaches everything by pci-driver's `VfioPciDevice`, so that
//! drivers written against `PciDevice` run on a device which a program of that crate has open.
//!
//! ```no_run
//! use io_core::{Io, PciDevice};
//! use pci_driver_backend::PciDriverDevice;
//! use pci_host::Host;
//!
//! let device = PciDriverDevice::open(&Host::system(), "0000:01:00.0".parse()?)?;
//! println!("{:#x}", device.bar(0)?.io::<4>()?.try_read32(0)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Its interface gives no descriptor of the device, so that these are missing, where `vfio-backend` has them:
//! - iommufd, and devices without an IOMMU;
//! - accesses of 8 bytes by calls, and BARs that are mapped in parts;
//! - a BAR that is lost and comes back: it is to be asked for anew;
//! - events; vectors that are enabled one after the other; signals from the program; masks of MSI and MSI-X. An INTx is
//!   masked by Interrupt Disable of Command, which VFIO takes for its own mask;
//! - error numbers of mappings for DMA, and of the node that cannot be opened;
//! - the last page of each range of DMA addresses: the crate takes the kernel's last address for the one behind it, and what it
//!   reports is used as it is meant.
//!
//! # Our regions as its regions
//!
//! [`region`] makes a mapped BAR a `PciMemoryRegion`, and [`config_snapshot`] the configuration space of any device a
//! `PciRegionSnapshot`: what `pci_struct!` and `pci_bit_field!` have defined runs on them. Its trait for regions is sealed, so
//! that a BAR reached by calls, or a simulated one, cannot be one.
//!
//! # Defects of pci-driver 0.1.4
//!
//! Seen when it was run, and nothing that a crate around it can mend:
//! - writing a field of more than one bit, in what `pci_bit_field!` has defined, does not clear the bits that were set: 0fh
//!   written over ffh leaves ffh. Read the register as a number, and write it as one;
//! - `PciCommand` has Interrupt Disable as a bit that is cleared by writing 1: setting any other bit of Command clears it;
//! - bounds are checked by a sum that may wrap: in a release build, an offset near 2^64 is accepted, and what is there
//!   accessed. Offsets are to be checked before;
//! - a write to a region that is read-only ends the program by SIGSEGV;
//! - a `PciRegionSnapshot` that was cloned reads memory that was freed, once the other is dropped;
//! - its walk of extended capabilities fails on a function that has none, with 256 bytes of configuration space.
//!
//! [pci-driver]: https://docs.rs/pci-driver/0.1.4

mod bar;
mod device;
mod dma;
mod irq;
mod region;

pub use device::PciDriverDevice;
pub use region::{config_snapshot, region};
