//! PCI devices in user space without VFIO: through uio_pci_generic, or through `/sys` alone.
//!
//! Where the machine has no IOMMU, or its kernel no VFIO, a driver reaches its device by the files that the kernel has for
//! every PCI function (Documentation/PCI/sysfs-pci.rst in the kernel's source): `config`, `resource0` to `resource5`,
//! `enable`, `reset`. They are root's. **No interrupts** come this way. Bound to **uio_pci_generic**, the function has a node
//! as well, such as `/dev/uio0` (Documentation/driver-api/uio-howto.rst). To whom it belongs it gives those BARs that it has as
//! maps: 32-bit ones that are not prefetchable. It gives INTx too, but the driver masks that after each interrupt, and
//! only who may write to `config` can unmask it: root, or whom that file was given to.
//!
//! [`UioDevice`] is a [`PciDevice`](io_core::PciDevice) over both; which it is depends on what the function is bound to.
//! [`UioNode`] is a UIO device of any kind, on the PCI bus or not, with its maps and its interrupt.
//!
//! | | VFIO | `UioDevice`, uio_pci_generic | `UioDevice`, no driver |
//! |---|---|---|---|
//! | BARs that are memory | mapped | mapped | mapped |
//! | BARs that are I/O ports | by calls | by calls | by calls |
//! | write-combined | no | prefetchable ones, by [`bar_write_combined`](UioDevice::bar_write_combined) | the same |
//! | configuration space | as VFIO shows it | the device's own | the device's own |
//! | interrupts | INTx, MSI, MSI-X | INTx | none |
//! | DMA | behind an IOMMU | [physical memory](UioDevice::use_physical_memory) | the same |
//! | removal and errors as events | yes | no | no |
//! | an access while memory decoding is off | SIGBUS, survived | what the bus answers: ones | the same |
//! | opened by one program only | by the kernel | among users of this crate | the same |
//!
//! Whoever drops a [`UioDevice`] leaves it without bus mastering. A program that is killed drops nothing: uio_pci_generic
//! switches bus mastering off when the node is closed, but through `/sys` alone it **stays on** until somebody opens the
//! device again.
//!
//! Bridges are refused: without bus mastering, no device behind them reaches memory.
//!
//! ```no_run
//! use io_core::{Io, PciDevice};
//! use pci_host::Host;
//! use uio_backend::UioDevice;
//!
//! let device = UioDevice::open(&Host::system(), "0000:01:00.0".parse()?)?;
//! let bar = device.bar(0)?;
//! println!("{:#x}", bar.io::<0x40>()?.try_read32(0)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bar;
mod device;
mod irq;
mod node;
mod open;

pub use device::UioDevice;
pub use irq::UioInterrupt;
pub use node::UioNode;
