//! What the PCI specifications say of a function, whoever drives it: bytes in, values out.
//!
//! [`Config`] is the configuration space of a function as it was read: by sysfs, by VFIO, or from a
//! file. It decodes the header (types 0, 1 and 2), base address registers, class codes, and the lists of
//! capabilities with what they say. Nothing here reads or writes a device, and nothing panics, whatever
//! the bytes are: what is not there is `None` or an error with an offset, and a list that is broken says
//! where.
//!
//! Registers are values whose bits have the names that lspci gives them: [`Command`] says `Mem+
//! BusMaster-`. Which capabilities are decoded is the list of [`Body`]'s variants; all others come as
//! their id, name and bytes. docs/pci.md in the repository says what has been compared with what.
//!
//! # Beside the pci-driver crate
//!
//! Through pci-driver 0.1.4's `PciConfig` the same bytes give the same answers, as far as it goes: it has
//! no BARs, no bridges, and of what capabilities say only Device Capabilities of PCI Express, the control
//! register of MSI, and some lengths. `tests/config_space/pci_driver_agrees.rs` compares the two on real
//! configuration spaces, and shows what pci-driver gets wrong:
//!
//! - Base class and programming interface are exchanged.
//! - A field of several bits that is written keeps its old bits.
//! - `interrupt_disable` of Command counts as write-1-to-clear, so that setting another bit clears it.
//! - A null extended capability has the id 0x0b, which is a vendor's.
//! - Of 256 bytes, the list of extended capabilities is an error; of zeros from 0x100 on, it is one
//!   capability with id 0.
//! - The length of an entry of enhanced allocation, in units of 4 bytes, is taken for bytes.
//!
//! Not shown there: a write to a read-only region ends the program with SIGSEGV, a clone of a snapshot
//! reads freed memory once the original is gone, and an offset near 2^64 passes for one in bounds.

mod address;
mod bar;
mod bits;
pub mod capability;
mod class;
mod class_names;
mod command;
mod config;
mod header;

pub use address::{ParsePciAddressError, PciAddress};
pub use bar::{Bar, BarError, BarKind, BarWidth, Rom, bars, size_bars};
pub use capability::{
    Body, BodyError, Capability, CapabilityId, CapabilityList, ListError, ListErrorKind,
};
pub use class::ClassCode;
pub use command::{BridgeControl, Command, Status};
pub use config::Config;
pub use header::{
    Bridge, CardBus, CardBusControl, Endpoint, Header, HeaderError, HeaderKind, Window,
};
