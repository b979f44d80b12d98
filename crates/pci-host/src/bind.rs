//! Binding a function to a driver and giving it back: as a plan first, then carried out, with a journal by which it can be
//! taken back.

mod driver;
mod entry;
mod execute;
mod held;
mod identity;
mod journal;
mod lock;
mod owner;
mod plan;
mod taking;
mod undo;
mod writer;

pub(crate) use driver::hands_to_userspace;
pub use entry::{Entry, State};
pub use execute::{Done, Execution, Moment};
pub use identity::Identity;
pub use journal::{Damaged, Journal};
pub use owner::{NodeChange, Owner, Ownership};
pub use plan::{Plan, SysfsWrite};
pub(crate) use writer::Helpers;
pub use writer::serve_sysfs;
