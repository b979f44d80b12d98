//! Which addresses are free.

use super::{Iova, IovaRange};
use std::{collections::BTreeMap, error, fmt};

/// Gives out parts of an address space that the kernel describes by ranges, with holes between them.
///
/// It is pure: it knows nothing of what is mapped. No part crosses a hole, and address 0 is never given
/// out, because to many a device it means that there is no address. The highest addresses that the
/// device can reach go first, so that the low ones are left for devices that reach no others.
///
/// ```
/// use io_core::dma::{IovaAllocator, IovaRange};
///
/// // What Intel's IOMMU has in QEMU: a hole for interrupts at 0xfee00000.
/// let ranges = [(0, 0xfedf_ffff), (0xfef0_0000, 0x7f_ffff_ffff)];
/// let ranges = ranges.map(|(first, last)| IovaRange::new(first, last).unwrap());
/// let mut allocator = IovaAllocator::new(&ranges, 0x1000);
///
/// let ring = allocator.allocate(0x2000, 0x1000, 28)?; // for a device with 28 address bits
/// assert_eq!(ring.raw(), 0x0fff_e000);
/// let buffer = allocator.allocate(1 << 21, 1 << 21, 32)?;
/// assert_eq!(buffer.raw(), 0xffe0_0000);
/// allocator.free(ring);
/// # Ok::<(), io_core::dma::NoIova>(())
/// ```
#[derive(Debug, Clone)]
pub struct IovaAllocator {
    /// In ascending order, apart from each other.
    ranges: Vec<IovaRange>,
    /// By its first address, the last of each part that is given out.
    used: BTreeMap<u64, u64>,
    granule: u64,
}

impl IovaAllocator {
    /// An allocator of `ranges`, in multiples of `granule` bytes, a power of two: the IOMMU's smallest
    /// page.
    #[must_use]
    pub fn new(ranges: &[IovaRange], granule: u64) -> Self {
        let mut allocator = Self {
            ranges: Vec::new(),
            used: BTreeMap::new(),
            granule: granule.max(1),
        };
        allocator.set_ranges(ranges);
        allocator
    }

    /// Gives out parts of these ranges from now on. What was given out before stays so.
    pub fn set_ranges(&mut self, ranges: &[IovaRange]) {
        self.ranges = ranges.to_vec();
        self.ranges.sort_unstable();
    }

    /// The ranges, in ascending order.
    #[must_use]
    pub fn ranges(&self) -> &[IovaRange] {
        &self.ranges
    }

    /// The smallest unit, in bytes.
    #[must_use]
    pub fn granule(&self) -> u64 {
        self.granule
    }

    /// Takes `len` bytes that start at a multiple of `align`, a power of two, and that a device with
    /// `bits` address bits can reach.
    ///
    /// # Errors
    ///
    /// Nothing like that is free, or `len` is 0.
    pub fn allocate(&mut self, len: u64, align: u64, bits: u32) -> Result<Iova, NoIova> {
        let error = NoIova::Full { len, align, bits };
        let len = self.whole(len).ok_or(error)?;
        let align = align.max(self.granule);
        let first = self.highest(len, align, last_address(bits)).ok_or(error)?;
        self.used.insert(first, first + (len - 1));
        Ok(Iova::new(first))
    }

    /// Takes the `len` bytes at `at`.
    ///
    /// # Errors
    ///
    /// They are not free, are in a hole, or `at` is no multiple of the granule.
    pub fn reserve(&mut self, at: Iova, len: u64) -> Result<(), NoIova> {
        let error = NoIova::Taken { at, len };
        let len = self.whole(len).ok_or(error)?;
        let last = at.raw().checked_add(len - 1).ok_or(error)?;
        let part = IovaRange::new(at.raw(), last).ok_or(error)?;
        let inside = self.ranges.iter().any(|range| range.contains(part));
        let free = self
            .last_used_before(last)
            .is_none_or(|used| !used.overlaps(part));
        if at.raw() % self.granule != 0 || !inside || !free {
            return Err(error);
        }
        self.used.insert(part.first(), part.last());
        Ok(())
    }

    /// Gives back what was taken at `at`. Returns how many bytes that was.
    pub fn free(&mut self, at: Iova) -> Option<u64> {
        let last = self.used.remove(&at.raw())?;
        Some((last - at.raw()).saturating_add(1))
    }

    /// `len`, rounded up to whole granules.
    fn whole(&self, len: u64) -> Option<u64> {
        len.checked_next_multiple_of(self.granule)
            .filter(|len| *len > 0)
    }

    /// The highest free address for `len` bytes up to `limit`.
    fn highest(&self, len: u64, align: u64, limit: u64) -> Option<u64> {
        let lowest = align.max(self.granule);
        for range in self.ranges.iter().rev() {
            let mut last = range.last().min(limit);
            // The place just below `last`, and then just below each part in the way.
            while let Some(first) = highest_start(last, len, align) {
                if first < range.first().max(lowest) {
                    break;
                }
                match self.last_used_before(first + (len - 1)) {
                    Some(used) if used.last() >= first => match used.first().checked_sub(1) {
                        Some(below) => last = below,
                        None => break,
                    },
                    _ => return Some(first),
                }
            }
        }
        None
    }

    /// The part that is taken and starts at or before `last`, the nearest to it.
    fn last_used_before(&self, last: u64) -> Option<IovaRange> {
        let (first, last) = self.used.range(..=last).next_back()?;
        IovaRange::new(*first, *last)
    }
}

/// The last address that a device with `bits` address bits reaches.
pub(super) const fn last_address(bits: u32) -> u64 {
    match u64::MAX.checked_shr(u64::BITS.saturating_sub(bits)) {
        Some(last) => last,
        None => 0,
    }
}

/// The highest multiple of `align` from which `len` bytes end at `last` or before.
fn highest_start(last: u64, len: u64, align: u64) -> Option<u64> {
    let start = last.checked_sub(len - 1)?;
    Some(start & !(align - 1))
}

/// Why there are no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoIova {
    /// Nothing of the kind is free.
    Full {
        /// The length that was asked for, in bytes.
        len: u64,
        /// The alignment, in bytes.
        align: u64,
        /// How many address bits the device has.
        bits: u32,
    },
    /// The device does not reach these addresses.
    Beyond {
        /// Where they start.
        at: Iova,
        /// How many bytes there were to be.
        len: u64,
        /// How many address bits the device has.
        bits: u32,
    },
    /// These addresses are taken, or do not exist.
    Taken {
        /// Where they start.
        at: Iova,
        /// How many bytes there were to be.
        len: u64,
    },
}

impl fmt::Display for NoIova {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { len, align, bits } => write!(
                f,
                "no {len:#x} bytes of addresses, aligned to {align:#x}, are free for a device with {bits} \
                 address bits"
            ),
            Self::Beyond { at, len, bits } => write!(
                f,
                "the {len:#x} bytes of addresses at {at} are beyond a device with {bits} address bits"
            ),
            Self::Taken { at, len } => {
                write!(f, "the {len:#x} bytes of addresses at {at} are not free")
            }
        }
    }
}

impl error::Error for NoIova {}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> IovaRange {
        IovaRange::new(first, last).expect("in order")
    }

    /// As lab measurements of the kernel have them: Intel's IOMMU of QEMU.
    fn intel() -> IovaAllocator {
        IovaAllocator::new(
            &[range(0xfef0_0000, 0x7f_ffff_ffff), range(0, 0xfedf_ffff)],
            0x1000,
        )
    }

    #[test]
    fn every_mask_is_kept() {
        for bits in [28, 32, 39, 48, 64] {
            let mut allocator = intel();
            let last = u64::MAX >> (64 - bits);
            let mut before = u64::MAX;
            for _ in 0..if cfg!(miri) { 6 } else { 100 } {
                let at = allocator
                    .allocate(0x3000, 0x1000, bits)
                    .expect("room")
                    .raw();
                assert!(at + 0x2fff <= last.min(0x7f_ffff_ffff));
                assert!(at + 0x3000 <= before, "they do not overlap");
                before = at;
            }
        }
        assert!(intel().allocate(0x1000, 0x1000, 12).is_err(), "only page 0");
        assert!(intel().allocate(0x1000, 0x1000, 0).is_err());
    }

    #[test]
    fn nothing_crosses_a_hole() {
        let mut allocator = intel();
        // 2 MiB below 4 GiB fit above the hole, which ends 17 MiB below; 32 MiB do not.
        assert_eq!(
            allocator.allocate(1 << 21, 1 << 21, 32).map(Iova::raw),
            Ok(0xffe0_0000)
        );
        assert_eq!(
            allocator.allocate(1 << 25, 1 << 25, 32).map(Iova::raw),
            Ok(0xfc00_0000)
        );
        assert!(
            allocator.reserve(Iova::new(0xfedf_f000), 0x2000).is_err(),
            "into the hole"
        );
        assert!(allocator.reserve(Iova::new(0xfee0_0000), 0x1000).is_err());
        assert!(allocator.reserve(Iova::new(0xfef0_0000), 0x1000).is_ok());
    }

    #[test]
    fn the_last_address_of_all_can_be_used_and_the_first_is_not_given_out() {
        let mut allocator = IovaAllocator::new(&[IovaRange::ALL], 0x1000);
        let top = Iova::new(u64::MAX - 0xfff);
        assert_eq!(allocator.allocate(0x1000, 0x1000, 64), Ok(top));
        assert!(
            allocator.reserve(top, 0x2000).is_err(),
            "it would wrap around"
        );
        assert_eq!(allocator.free(top), Some(0x1000));

        let mut allocator = IovaAllocator::new(&[range(0, 0x1fff)], 0x1000);
        assert_eq!(allocator.allocate(1, 1, 64), Ok(Iova::new(0x1000)));
        assert!(allocator.allocate(1, 1, 64).is_err());
        assert!(
            allocator.reserve(Iova::new(0), 0x1000).is_ok(),
            "unless asked for"
        );
    }

    #[test]
    fn what_is_given_back_is_found_again() {
        let mut allocator = IovaAllocator::new(&[range(0x1000, 0x8fff)], 0x1000);
        let all: Vec<_> = (0..8)
            .map(|_| allocator.allocate(0x1000, 1, 64).expect("room"))
            .collect();
        assert!(allocator.allocate(1, 1, 64).is_err(), "full");
        // 0x5000 and 0x4000.
        assert_eq!(allocator.free(all[3]), Some(0x1000));
        assert!(allocator.allocate(0x2000, 1, 64).is_err());
        assert_eq!(allocator.free(all[4]), Some(0x1000));
        assert_eq!(allocator.allocate(0x2000, 1, 64), Ok(Iova::new(0x4000)));
        assert_eq!(allocator.free(Iova::new(0x5000)), None, "not its start");
    }

    #[test]
    fn lengths_that_make_no_sense_are_refused() {
        let mut allocator = intel();
        assert!(allocator.allocate(0, 0x1000, 64).is_err());
        assert!(allocator.allocate(u64::MAX, 0x1000, 64).is_err());
        assert!(allocator.reserve(Iova::new(0x1000), 0).is_err());
        assert!(allocator.reserve(Iova::new(0x1001), 0x1000).is_err());
        assert!(allocator.reserve(Iova::new(0x1000), u64::MAX).is_err());
    }
}
