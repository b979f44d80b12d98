//! Addresses as a device uses them.

use std::fmt;

/// An I/O virtual address: what a device puts on the bus to reach memory.
///
/// An IOMMU translates it; without one it is the physical address. It is a number of 64 bits, whatever
/// the processor's addresses have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iova(u64);

impl Iova {
    /// The address `raw`.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number, to be written to the device.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Iova {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A range of addresses, both ends included, so that it can end with the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IovaRange {
    first: u64,
    last: u64,
}

impl IovaRange {
    /// Every address there is.
    pub const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// From `first` to `last`, which is not before it.
    ///
    /// ```
    /// use io_core::dma::IovaRange;
    /// let below_4g = IovaRange::new(0, 0xffff_ffff);
    /// assert_eq!(below_4g.map(|range| range.last()), Some(0xffff_ffff));
    /// assert_eq!(IovaRange::new(2, 1), None);
    /// ```
    #[must_use]
    pub const fn new(first: u64, last: u64) -> Option<Self> {
        if first <= last {
            Some(Self { first, last })
        } else {
            None
        }
    }

    /// The first address.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.first
    }

    /// The last address.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.last
    }

    /// From where it starts to `last`, which is not before that.
    pub(super) const fn to(self, last: u64) -> Self {
        Self { last, ..self }
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Whether they have an address in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for IovaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.first, self.last)
    }
}
