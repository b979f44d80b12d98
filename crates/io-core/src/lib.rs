//! What an I/O access is, and what is true of a PCI function whoever drives it.
//!
//! A PCI device exposes registers and memory through *BARs* (base address registers, PCI Local Bus
//! 3.0 section 6.2.5). Once a backend has mapped a BAR, a driver reaches it through a **view**: a
//! small `Copy` value with the lifetime of the mapping.
//!
//! | type | what it is |
//! |---|---|
//! | [`Region<SIZE>`](Region) | an untyped region: at least `SIZE` bytes known at compile time, its real size at run time |
//! | [`MmioRaw<T>`](MmioRaw) | an address and a size, nothing promised; the C kernel's `T __iomem *` |
//! | [`Mmio<'a, T>`](Mmio) | a live mapping of device memory, with volatile accessors |
//! | [`RelaxedMmio<'a, T>`](RelaxedMmio) | the same, with accessors that contain no barriers |
//! | [`SysMem<'a, T>`](SysMem) | system memory that a device may read or write at the same time |
//! | [`SysOrIoMap<'a, T>`](SysOrIoMap) | either of the two, chosen at run time; the C kernel's `struct iosys_map` |
//! | [`WriteCombined<'a, T>`](WriteCombined) | a mapping that is write-combined, for copies |
//! | [`IndirectIo<'a, T>`](IndirectIo) | a region that is reached by calls, each of which may fail |
//! | [`ConfigSpace<'a, T>`](ConfigSpace) | configuration space, which is such a region |
//! | [`BarIo<'a, T>`](BarIo) | a [`Bar`] of a [`PciDevice`], mapped or reached by calls |
//!
//! The accessors of all of them are the methods of one trait, [`Io`]. They come in two kinds:
//!
//! - with a **constant offset**, `io.read32::<0x08>()`: the offset is compared with `SIZE` when the
//!   program is compiled, and the access cannot fail;
//! - with an offset **known at run time**, `io.try_read32(offset)`: bounds and alignment are checked,
//!   and the error says which access, where, and what the region is.
//!
//! Arguments stand in one order everywhere: where, then what. Numbers are in device byte order,
//! which is little-endian (PCI Local Bus 3.0 section 6.1), on device memory *and* on system memory.
//!
//! Registers have names and fields: [`register!`] defines them, in the kernel's syntax, and `io.read(CTRL)` reads
//! one. Structures in memory are reached by field, with [`io_read!`] and [`io_write!`].
//!
//! Names and shapes follow the Linux kernel's `rust/kernel/io.rs`, so that a driver can move between
//! kernel and userspace.
//!
//! ```
//! use io_core::{Io, MmioRaw, Mmio, Region};
//!
//! // A backend maps a BAR; here, 64 bytes of ordinary memory stand in for it.
//! let mut memory = [0u64; 8];
//! let raw = MmioRaw::<Region<16>>::new_region(memory.as_mut_ptr().cast(), 64)?;
//! // SAFETY: `memory` is live, and nothing else uses it, for as long as `bar` is used.
//! let bar = unsafe { Mmio::from_raw(raw) };
//!
//! bar.write32::<0x08>(0xcafe_f00d); // 0x08 + 4 <= 16: checked when this is compiled
//! assert_eq!(bar.try_read16(0x0a)?, 0xcafe); // little-endian
//! assert!(bar.try_read32(0x40).is_err()); // the region has 0x40 bytes
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Without the device
//!
//! A driver takes a `&dyn` [`PciDevice`], and runs on a [simulated](sim) one as well. What it does with a real one can be
//! [recorded](record), and replayed as a device where there is none.
//!
//! # What this crate does not do
//!
//! It opens no file and names no path. Only a [`Watchdog`] starts a thread. It never forms a reference (`&T`,
//! `&mut T`, a slice) to device memory.

mod access;
mod access_error;
mod backend;
mod bar;
mod bar_io;
pub mod barrier;
mod bulk;
mod config_space;
pub mod contract;
mod copy;
mod cursor;
mod device;
mod difference;
pub mod dma;
mod error;
pub mod event;
mod indirect;
mod io;
pub mod irq;
mod mapping;
mod mmio;
mod nontemporal;
pub mod num;
pub mod pci;
pub mod poll;
mod project;
#[doc(hidden)]
pub mod projection;
pub mod record;
pub mod recovery;
mod region;
pub mod register;
mod relaxed;
mod revocable;
pub mod sim;
mod single;
mod sparse;
mod sys_mem;
mod sys_or_io;
mod watchdog;
mod write_combined;

pub use access::{AccessWidth, Width};
pub use access_error::{AccessError, AccessErrorKind, Fault, RegionName};
pub use backend::{
    CopyFault, IoBackend, IoBase, IoCapable, IoCopyable, TryIoCapable, UntypedRegion,
};
pub use bar::Bar;
pub use bar_io::{BarBackend, BarIo};
pub use config_space::{ConfigBackend, ConfigSpace};
pub use cursor::Cursor;
pub use device::PciDevice;
pub use difference::Difference;
pub use error::{Error, ErrorKind, Result};
pub use indirect::{IndirectBackend, IndirectIo, Offset, RegionOps};
pub use io::Io;
pub use mapping::MappingName;
pub use mmio::{Mmio, MmioBackend, MmioRaw};
pub use num::Bounded;
pub use region::{KnownSize, Region, RegionError};
pub use relaxed::{RelaxedMmio, RelaxedMmioBackend};
pub use revocable::{Access, Revocable};
pub use sys_mem::{SysMem, SysMemBackend};
pub use sys_or_io::{SysOrIoBackend, SysOrIoMap};
pub use watchdog::{Stall, Watchdog};
pub use write_combined::{WriteCombined, WriteCombinedBackend};

#[doc(hidden)]
pub use io_macros as __macros;
