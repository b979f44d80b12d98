//! Which addresses are free.

use super::{Iova, IovaRange};
use std::{error, fmt};

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
/// assert!(allocator.free(ring, 0x2000));
/// # Ok::<(), io_core::dma::NoIova>(())
/// ```
#[derive(Debug, Clone)]
pub struct IovaAllocator {
    /// What may be given out: in ascending order, apart from each other.
    ranges: Vec<IovaRange>,
    /// What is not given out, in ranges and in holes: in ascending order, with something taken between any two.
    free: Vec<IovaRange>,
    granule: u64,
}

impl IovaAllocator {
    /// An allocator of `ranges`, in multiples of `granule` bytes, a power of two: the IOMMU's smallest
    /// page.
    #[must_use]
    pub fn new(ranges: &[IovaRange], granule: u64) -> Self {
        let mut allocator = Self {
            ranges: Vec::new(),
            free: vec![IovaRange::ALL],
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
        let limit = last_address(bits);
        let (index, first) = self.highest(len, align, limit).ok_or(error)?;
        self.take(index, first, first + (len - 1));
        Ok(Iova::new(first))
    }

    /// Takes the `len` bytes at `at`.
    ///
    /// # Errors
    ///
    /// They are not free, are in a hole, or `at` is no multiple of the granule.
    pub fn reserve(&mut self, at: Iova, len: u64) -> Result<(), NoIova> {
        let error = NoIova::Taken { at, len };
        let part = self.part(at, len).ok_or(error)?;
        let index = self.free.partition_point(|free| free.last() < part.first());
        let free = self.free.get(index);
        let is_free = free.is_some_and(|free| free.contains(part));
        if !is_free || !self.ranges.iter().any(|range| range.contains(part)) {
            return Err(error);
        }
        self.take(index, part.first(), part.last());
        Ok(())
    }

    /// Gives back the `len` bytes at `at`: what was taken there, or a part of it. Returns whether all of it was taken;
    /// otherwise nothing is given back.
    pub fn free(&mut self, at: Iova, len: u64) -> bool {
        let Some(part) = self.part(at, len) else {
            return false;
        };
        let index = self.free.partition_point(|free| free.last() < part.first());
        let (below, above) = self.free.split_at_mut(index);
        let (below, above) = (below.last_mut(), above.first_mut());
        if above.as_ref().is_some_and(|above| above.overlaps(part)) {
            return false;
        }
        // `below` ends before the part, and `above` starts after it.
        let below = below.filter(|below| below.last() + 1 == part.first());
        let above = above.filter(|above| part.last() + 1 == above.first());
        match (below, above) {
            (Some(below), Some(above)) => {
                *below = below.to(above.last());
                self.free.remove(index);
            }
            (Some(below), None) => *below = below.to(part.last()),
            (None, Some(above)) => *above = part.to(above.last()),
            (None, None) => self.free.insert(index, part),
        }
        true
    }

    /// The `len` bytes at `at`, rounded up to whole granules.
    fn part(&self, at: Iova, len: u64) -> Option<IovaRange> {
        let last = at.raw().checked_add(self.whole(len)? - 1)?;
        let part = IovaRange::new(at.raw(), last);
        part.filter(|part| part.first() & (self.granule - 1) == 0)
    }

    /// `len`, rounded up to whole granules.
    fn whole(&self, len: u64) -> Option<u64> {
        let rest = self.granule - 1;
        let len = len.checked_add(rest)? & !rest;
        (len > 0).then_some(len)
    }

    /// The highest free address for `len` bytes up to `limit`, and what it is in.
    fn highest(&self, len: u64, align: u64, limit: u64) -> Option<(usize, u64)> {
        let mut below = self.free.partition_point(|free| free.first() <= limit);
        for range in self.ranges.iter().rev() {
            while let Some(index) = below.checked_sub(1) {
                let free = self.free.get(index)?;
                let last = free.last().min(range.last()).min(limit);
                let lowest = free.first().max(range.first()).max(self.granule);
                match highest_start(last, len, align) {
                    Some(first) if first >= lowest => return Some((index, first)),
                    // It reaches into the range below.
                    _ if free.first() <= range.first() => break,
                    _ => below = index,
                }
            }
        }
        None
    }

    /// Takes the addresses from `first` to `last` from the free ones that they are in.
    fn take(&mut self, index: usize, first: u64, last: u64) {
        let Some(free) = self.free.get_mut(index) else {
            return;
        };
        let below = first.checked_sub(1);
        let below = below.and_then(|below| IovaRange::new(free.first(), below));
        let above = last.checked_add(1);
        let above = above.and_then(|above| IovaRange::new(above, free.last()));
        match (below, above) {
            (Some(below), Some(above)) => {
                *free = below;
                self.free.insert(index + 1, above);
            }
            (Some(rest), None) | (None, Some(rest)) => *free = rest,
            (None, None) => _ = self.free.remove(index),
        }
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
        assert!(allocator.free(top, 0x1000));

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
        assert!(allocator.free(all[3], 0x1000));
        assert!(allocator.allocate(0x2000, 1, 64).is_err());
        assert!(allocator.free(all[4], 0x1000));
        assert_eq!(allocator.allocate(0x2000, 1, 64), Ok(Iova::new(0x4000)));
        assert!(allocator.free(Iova::new(0x5000), 1), "rounded up");
        assert!(!allocator.free(Iova::new(0x4000), 0x2000), "half of it");
        assert!(!allocator.free(Iova::new(0x5000), 0x1000), "twice");
        assert!(!allocator.free(Iova::new(0x4800), 0x800), "no granule");
        assert!(!allocator.free(Iova::new(0x4000), 0), "nothing");
        assert!(!allocator.free(Iova::new(0x4000), u64::MAX), "wraps around");
        assert_eq!(allocator.allocate(0x1000, 1, 64), Ok(Iova::new(0x5000)));
    }

    #[test]
    fn what_is_given_out_stays_so_when_ranges_come_and_go() {
        let mut allocator = IovaAllocator::new(&[range(0x1000, 0x8fff)], 0x1000);
        let high = allocator.allocate(0x1000, 1, 64);
        assert_eq!(high, Ok(Iova::new(0x8000)));
        allocator.set_ranges(&[range(0x1000, 0x3fff)]);
        assert_eq!(allocator.allocate(0x1000, 1, 64), Ok(Iova::new(0x3000)));
        assert!(allocator.reserve(Iova::new(0x4000), 0x1000).is_err());
        allocator.set_ranges(&[range(0x1000, 0x8fff)]);
        assert_eq!(allocator.allocate(0x1000, 1, 64), Ok(Iova::new(0x7000)));
        assert!(allocator.free(Iova::new(0x8000), 0x1000));
        assert_eq!(allocator.allocate(0x1000, 1, 64), high);
    }

    /// The highest place, looked for granule by granule.
    fn highest(
        taken: &[bool],
        ranges: &[IovaRange],
        (len, align, bits): (u64, u64, u32),
    ) -> Option<u64> {
        let free = |at: u64| !usize::try_from(at / 16).is_ok_and(|at| taken[at]);
        (16..=1024 - len).rev().find(|at| {
            at % align == 0
                && at + len <= 1 << bits
                && ranges
                    .iter()
                    .any(|r| r.first() <= *at && at + len - 1 <= r.last())
                && (*at..at + len).step_by(16).all(free)
        })
    }

    #[test]
    fn the_highest_place_is_found_whatever_was_taken_and_given_back() {
        let ranges = [range(0, 0xff), range(0x120, 0x2cf), range(0x300, 0x3ff)];
        let mut allocator = IovaAllocator::new(&ranges, 16);
        let mut taken = [false; 64];
        let mut held = Vec::new();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let (mut given, mut full) = (0, 0);
        for _ in 0..if cfg!(miri) { 300 } else { 20_000 } {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let pick = |n: u64, shift: u32| (random >> shift) % n;
            if pick(5, 40) < 2 && !held.is_empty() {
                let index = usize::try_from(pick(64, 8)).unwrap_or(0) % held.len();
                let (at, len): (u64, u64) = held.swap_remove(index);
                assert!(allocator.free(Iova::new(at), len));
                for granule in at / 16..(at + len) / 16 {
                    taken[usize::try_from(granule).expect("small")] = false;
                }
                continue;
            }
            let len = (1 + pick(6, 16)) * 16;
            let align = 16 << pick(4, 24);
            let bits = 7 + u32::try_from(pick(5, 32)).expect("small");
            let wanted = highest(&taken, &ranges, (len, align, bits));
            let at = allocator.allocate(len, align, bits).ok().map(Iova::raw);
            assert_eq!(
                at, wanted,
                "{len} bytes, by {align}, {bits} bits, of {taken:?}"
            );
            let Some(at) = at else {
                full += 1;
                continue;
            };
            given += 1;
            held.push((at, len));
            for granule in at / 16..(at + len) / 16 {
                taken[usize::try_from(granule).expect("small")] = true;
            }
        }
        assert!(given > 100 && full > 10, "{given}, {full}");
        for (at, len) in held {
            assert!(allocator.free(Iova::new(at), len));
        }
        assert_eq!(allocator.free, [IovaRange::ALL], "nothing is left behind");
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
