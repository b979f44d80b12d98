//! What names devices, and who uses them, on machines that are made of files: small copies of what kernels show of real ones.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod build;
mod doctor;
mod groups;
mod persist;
mod select;
#[path = "../tree/mod.rs"]
mod tree;
mod users;
