//! For tests that run in the lab's guest: what kind of guest it is, functions that are [`Bound`] for a test, programs that
//! work on them ([`Load`]), what others do to a device meanwhile ([`Outside`], [`Slot`], [`Hot`]), what is made of its disk ([`Mapped`]),
//! and [`Qmp`], by which tests command the QEMU around them.

mod bound;
mod hot;
mod load;
mod mapped;
mod outside;
mod qmp;
mod slot;

pub use bound::{Bound, ByCalls, modes};
pub use hot::Hot;
pub use load::{Ended, Load};
pub use mapped::Mapped;
pub use outside::Outside;
pub use qmp::Qmp;
pub use slot::{OneProcessor, Slot};

/// What the guest is like: its `kernel` (`stock`, `full` or `image`) or its `iommu` (`intel`, `noremap`, `amd`,
/// `virtio` or `none`).
///
/// # Panics
///
/// This is not the lab: tests bind and unplug devices, and on any other machine that could take the network or the disk
/// away. Or there is no such fact.
pub fn fact(name: &str) -> String {
    let facts = std::env::var("OUTBOARD_LAB").expect("these tests are run by `cargo xtask test`");
    let value = facts
        .split(',')
        .find_map(|fact| fact.strip_prefix(name)?.strip_prefix('='));
    value
        .unwrap_or_else(|| panic!("OUTBOARD_LAB is {facts}, without {name}"))
        .to_owned()
}

/// The folder for what a test leaves for the host, which looks at it when all tests are over.
///
/// # Panics
///
/// This is not `cargo xtask test`.
pub fn results() -> std::path::PathBuf {
    let folder = std::env::var_os("OUTBOARD_RESULTS");
    folder
        .expect("these tests are run by `cargo xtask test`")
        .into()
}
