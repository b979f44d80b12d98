//! What names devices, and who uses them, on machines that are made of files: small copies of what kernels show of real ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod build;
mod select;
