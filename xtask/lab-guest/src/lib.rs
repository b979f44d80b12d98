//! For tests that run in the lab's guest: what kind of guest it is, functions that are [`Bound`] for a test, and [`Qmp`], by
//! which they command the QEMU around them.
#![forbid(unsafe_code)]

mod bound;
mod qmp;

pub use bound::{Bound, ByCalls, modes};
pub use qmp::Qmp;

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
