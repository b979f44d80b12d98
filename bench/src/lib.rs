//! What the benches of the host (`outboard-bench`) and of the lab (`outboard-bench-lab`) share: two sides that take
//! turns, what comes of it, and what is aimed at.

mod target;
mod turns;

pub use target::Target;
pub use turns::{Side, Turns, passes, row, take_turns};
