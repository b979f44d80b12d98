//! The machine as Linux shows it: which PCI functions there are, and which driver each is bound to.
//!
//! Linux shows every PCI function as a directory of `/sys/bus/pci/devices`
//! (Documentation/ABI/testing/sysfs-bus-pci in the kernel's source). [`Host`] reads it, into values
//! that hold what was true at that moment: [`PciFunction`].
//!
//! A driver in user space needs its function **bound to vfio-pci**, away from the kernel's own driver.
//! [`Host::plan_bind`] says what that takes, as a [`Plan`] that can be printed, and
//! [`Host::execute`] does it: it writes `driver_override`, so that no other driver and no other
//! device of the same kind is touched, unbinds the former driver, has the function probed again,
//! and then looks at what really happened. A bind that fails is undone.
//!
//! Reading needs no permission; binding needs root.
//!
//! ```
//! use pci_host::Host;
//!
//! for function in Host::system().functions()? {
//!     let driver = function.driver.as_deref().unwrap_or("no driver");
//!     println!("{} {:04x}:{:04x} {driver}", function.address, function.vendor, function.device);
//! }
//! # Ok::<(), io_core::Error>(())
//! ```
//!
//! [`Host`] is the only place that knows the paths; every part of this crate works as well on a
//! copy of a machine's `/sys` in some other folder.
#![forbid(unsafe_code)]

mod access;
mod accounts;
mod alias;
mod attached;
mod bind;
mod doctor;
mod etc_file;
mod function;
mod groups;
mod host;
mod node;
mod path;
mod persist;
mod resource;
mod select;
mod selector;
mod uio;
mod users;

pub use access::{Grant, Grantee};
pub use bind::{
    Damaged, Done, Entry, Execution, Identity, Journal, Moment, NodeChange, Owner, Ownership, Plan,
    State, SysfsWrite, serve_sysfs,
};
pub use doctor::{Account, Check, Needs, Outcome};
pub use etc_file::FileChange;
pub use function::PciFunction;
pub use groups::{Culprit, IommuGroup, Lack};
pub use host::Host;
pub use path::DevicePath;
pub use persist::{
    Drift, DriftCode, DriftReport, DriverctlOverride, Initramfs, PersistFile, PersistRule,
};
pub use resource::{BarKind, BarResource};
pub use selector::{Ids, ParseSelectorError, Selector};
pub use uio::{UioInfo, UioMap};
pub use users::{Code, Finding, UnknownCode};
