//! A device that goes away, without its driver's process.
//!
//! A load or store to a mapped BAR whose device does not answer (it was removed, its memory decode is off, it is in
//! D3hot) raises SIGBUS, which ends a process that does nothing about it. Here a page of ones takes the place of
//! the page that was accessed, the mapping is marked lost, and the access is made again: it reads all ones, as from a
//! bus where nobody answers.
//!
//! ```no_run
//! # let (base, size) = (std::ptr::null_mut(), 0);
//! // SAFETY: these pages are a mapping that is ours alone, which nothing unmaps while `guard` lives.
//! let guard = unsafe { bus_fault::Guard::new(base, size)? };
//! // ... reads and writes at `base` ...
//! if guard.is_lost() {
//!     println!("the device is gone");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The handler
//!
//! It is the process's: the first [`Guard`] installs it. A SIGBUS that is none of a guarded mapping goes to the handler
//! that was there before, with the flags and the mask that it had, or ends the process as it would have. Whoever
//! installs a handler for SIGBUS later has to hand on what is not theirs, as this one does; a thread that blocks SIGBUS
//! cannot be helped, the kernel ends the process.
//!
//! What it does is async-signal-safe: it reads atomics, calls `mmap`, and keeps `errno`.
//!
//! # What it cannot do
//!
//! A read that stalls raises no signal. Nor does one that a bridge answers with all ones: that is a value like any other,
//! and only another question to the device (its vendor id) tells.
//!
//! A store to a page of ones stays there, in memory of this process, and can be read back. `is_lost` is what counts.
#![expect(unsafe_code, reason = "handles a signal, and changes mappings")]

mod handler;
mod lost;
mod ones;
mod table;

pub use lost::{Lost, Moment};
pub use table::Guard;
