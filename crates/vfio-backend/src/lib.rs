//! PCI devices through VFIO: configuration space, BARs, interrupts and DMA.
//!
//! VFIO (Documentation/driver-api/vfio.rst in the kernel's source) gives a program in user space a
//! device that an IOMMU keeps away from everything else. The unit of isolation is the **IOMMU
//! group**: all of its members must be with vfio-pci, or with no driver, before one of them can be
//! opened.
//!
//! The kernel has two interfaces to the IOMMU, and [`IommuMode::Auto`] takes the better one that there is:
//!
//! - **iommufd** (Linux 6.2 and later, where it is built in): each device has a node of its own, and
//!   joins an address space of `/dev/iommu`;
//! - **type 1**: a group is opened, and put into a container with a type 1 version 2 IOMMU.
//!
//! Without an IOMMU there is VFIO too, for who [states](UnsafeNoIommu) that the device is trusted with all
//! memory of the machine; its memory is [`physical`](VfioContext::use_physical_memory) then. Devices that are to share memory are opened in one [`VfioContext`].
//!
//! # Permissions
//!
//! [Binding](pci_host::Host::plan_bind) a device to vfio-pci takes root, once. Opening it takes
//! read and write permission on `/dev/vfio/GROUP`, and no more: `sudo chown $USER /dev/vfio/7` gives it
//! until the next boot. It gives every device of that group. With iommufd it is `/dev/vfio/devices/vfioN`, for the
//! device alone, and `/dev/iommu`. Memory for devices is locked, within `ulimit -l`.
//!
//! Rules of udev give the nodes of chosen devices to the members of the group `outboard` for good, whoever binds them. They
//! come with `cargo xtask install`; a line in `/etc/udev/rules.d/71-outboard-devices.rules` chooses a device, and
//! `outboard access grant` gives one to a user (docs/udev.md).
//!
//! # What opening does to the device
//!
//! The kernel resets a function when it is opened, and again when it is closed, if it knows how
//! ([`reset_methods`](pci_host::PciFunction::reset_methods)). What was loaded into the device may not
//! outlive the [`VfioDevice`].
//!
//! # A device that goes away
//!
//! A mapped BAR can be switched off: memory decoding is cleared in the device's Command register, or the
//! device goes to D3hot. An access then raises SIGBUS, which this crate's BARs [survive](io_core::Bar::survive): all ones
//! are read, `try_` accessors say that the device is lost, as does [`Bar::is_lost`](io_core::Bar::is_lost), and
//! [`Bar::revive`](io_core::Bar::revive) maps the BAR again. From a device that has been pulled out, all ones are read,
//! and no signal comes. One that is to be removed in order stays until this program closes it: the kernel waits, and
//! [tells](io_core::event). docs/device-loss.md says what happens when, and how long it takes.
//!
//! ```no_run
//! use io_core::Io;
//! use pci_host::Host;
//! use vfio_backend::VfioDevice;
//!
//! let host = Host::system();
//! let device = VfioDevice::open(&host, "0000:01:00.0".parse()?)?;
//! let bar = device.bar(0)?;
//! let registers = bar.mmio::<0x100>()?; // at least 0x100 bytes, or an error that says how many
//! println!("identification: {:#010x}", registers.read32::<0x00>());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything is closed when it is dropped, in the order that the kernel needs: BARs, device, group,
//! container. A mapped BAR keeps its device open. Mappings are not inherited by child processes
//! (`MADV_DONTFORK`): a child that had one would keep the kernel from ever taking the device back.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/interrupts.md")]
struct Interrupts;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/device-loss.md")]
struct DeviceLoss;

mod bar;
mod capability;
mod container;
mod context;
mod device;
mod dma;
mod event;
mod group;
mod iommufd;
mod irq;
mod mapping;
mod node;
mod region;
mod reset;
mod sys;
mod vf_token;

pub use context::{IommuMode, UnsafeNoIommu, VfioContext};
pub use device::VfioDevice;
pub use region::RegionInfo;
pub use vf_token::VfToken;
