//! Interrupts, as events that a program waits for.

use crate::Result;
use std::{
    fmt,
    ops::Range,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

/// How a device interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterruptKind {
    /// A pin, whose level stays until the device is told to let go (PCI Local Bus 3.0 section 2.2.6). It is
    /// masked after each interrupt, until [`unmask`](Interrupt::unmask).
    Intx,
    /// Message signalled interrupts (PCI Local Bus 3.0 section 6.8.1): up to 32 vectors. The device must be bus
    /// master.
    Msi,
    /// MSI-X (PCI Local Bus 3.0 section 6.8.2): up to 2048 vectors. The device must be bus master.
    MsiX,
}

impl fmt::Display for InterruptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intx => "INTx",
            Self::Msi => "MSI",
            Self::MsiX => "MSI-X",
        })
    }
}

/// What a device and its backend have of one kind of interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends make it")]
pub struct InterruptInfo {
    /// How many vectors there are; 0 if there are none of the kind.
    pub count: u32,
    /// Whether a vector can be masked.
    pub maskable: bool,
    /// Whether more vectors can be enabled while others are.
    pub growable: bool,
}

/// The interrupts of a device.
pub trait Interrupts {
    /// What there is of this kind.
    ///
    /// # Errors
    ///
    /// The backend does not say.
    fn info(&self, kind: InterruptKind) -> Result<InterruptInfo>;

    /// Enables these vectors, in their order. Each is disabled when it is dropped.
    ///
    /// Events of vectors that are enabled already are not lost.
    ///
    /// # Errors
    ///
    /// There are no such vectors, one of them is enabled already, interrupts of another kind are, or no more
    /// can be enabled while others are (see [`InterruptInfo::growable`]): then they have to be enabled all at
    /// once. Nothing has changed then.
    fn enable(&self, kind: InterruptKind, vectors: Range<u32>) -> Result<Vec<Box<dyn Interrupt>>>;
}

/// One vector, enabled until it is dropped.
///
/// Its descriptor is readable when there are events: it can be given to poll(2), epoll(7), mio, or tokio's
/// `AsyncFd`, which docs/interrupts.md shows. Reading it is the affair of [`wait`](Self::wait).
pub trait Interrupt: AsFd + AsRawFd + fmt::Debug + Send + Sync {
    /// How it interrupts.
    fn kind(&self) -> InterruptKind;

    /// Which vector it is.
    fn vector(&self) -> u32;

    /// Waits for events, and returns how many there were since the last time: `None` if there were none within
    /// `timeout`. With no time at all it looks, and does not wait.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    fn wait(&self, timeout: Duration) -> Result<Option<u64>>;

    /// Lets no more events come, until [`unmask`](Self::unmask).
    ///
    /// # Errors
    ///
    /// It cannot be masked.
    fn mask(&self) -> Result<()>;

    /// Lets events come again. After each INTx this has to be done.
    ///
    /// # Errors
    ///
    /// It cannot be masked, and so not unmasked.
    fn unmask(&self) -> Result<()>;

    /// Signals an event, as if the device had.
    ///
    /// # Errors
    ///
    /// The backend cannot.
    fn trigger(&self) -> Result<()>;
}
