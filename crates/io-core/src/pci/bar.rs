//! Base address registers: where in memory and I/O space a function answers.

use std::{error, fmt};

/// A base address register, decoded (PCI Local Bus 3.0 section 6.2.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Its number: that of its first register.
    pub index: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// Its address on the bus, in bytes. 0 is an address that has not been assigned.
    pub address: u64,
    /// Its size in bytes, where it is known: only [`size_bars`] finds it out.
    pub size: Option<u64>,
}

/// What a base address register decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory.
    Memory {
        /// Which addresses it can be given.
        width: BarWidth,
        /// Whether reads have no side effects and writes may be merged.
        prefetchable: bool,
    },
}

/// Which addresses a memory BAR can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarWidth {
    /// Those of 32 bits.
    Bits32,
    /// Those below 1 MiB (until PCI 2.2).
    Below1M,
    /// Those of 64 bits. Such a BAR takes two registers.
    Bits64,
}

/// A base address register that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarError {
    /// A 64-bit BAR in the last register: there is none for the upper half of its address.
    NoUpperHalf {
        /// The number of the register.
        index: u8,
    },
    /// A memory BAR of the type that the specification reserves.
    ReservedType {
        /// The number of the register.
        index: u8,
    },
    /// A register that reads as all ones, which no BAR does.
    AllOnes {
        /// The number of the register.
        index: u8,
    },
}

/// The BARs in these registers, without those that read 0: they are not implemented, or have no
/// address yet.
///
/// ```
/// use io_core::pci::{BarKind, BarWidth, bars};
///
/// let found = bars(&[0xfebf_000c, 0x0000_0001, 0x0000_e001]);
/// let bar = found[0]?;
/// assert_eq!((bar.index, bar.address), (0, 0x1_febf_0000));
/// let (width, prefetchable) = (BarWidth::Bits64, true);
/// assert_eq!(bar.kind, BarKind::Memory { width, prefetchable });
/// assert_eq!((found[1]?.index, found[1]?.kind), (2, BarKind::Io));
/// # Ok::<(), io_core::pci::BarError>(())
/// ```
#[must_use]
pub fn bars(registers: &[u32]) -> Vec<Result<Bar, BarError>> {
    decode(registers, None)
}

/// The BARs in these registers with their sizes.
///
/// `ones` is what the same registers read after all ones were written to them. What was in them
/// before has to be written back, and Command must have neither `IO` nor `MEMORY` set meanwhile.
/// A BAR is here if it is implemented, whether it has an address or not.
///
/// ```
/// use io_core::pci::size_bars;
///
/// // A 64-bit BAR of 16 KiB without an address, and 32 I/O ports at 0xe000.
/// let found = size_bars(&[0x4, 0, 0xe001], &[0xffff_c004, 0xffff_ffff, 0xffff_ffe1]);
/// assert_eq!((found[0]?.address, found[0]?.size), (0, Some(0x4000)));
/// assert_eq!((found[1]?.address, found[1]?.size), (0xe000, Some(32)));
/// # Ok::<(), io_core::pci::BarError>(())
/// ```
#[must_use]
pub fn size_bars(registers: &[u32], ones: &[u32]) -> Vec<Result<Bar, BarError>> {
    decode(registers, Some(ones))
}

/// A register, and what it reads after all ones were written to it.
type Pair = (u32, Option<u32>);

fn decode(registers: &[u32], ones: Option<&[u32]>) -> Vec<Result<Bar, BarError>> {
    let pair = |n: usize| -> Option<Pair> {
        let ones = match ones {
            Some(ones) => Some(*ones.get(n)?),
            None => None,
        };
        Some((*registers.get(n)?, ones))
    };
    let mut found = Vec::new();
    let mut n = 0;
    while let (Some(low), Ok(index)) = (pair(n), u8::try_from(n)) {
        n += 1;
        // The bits that say what it is can be read either way; only sizing shows a BAR without any.
        let what = low.1.unwrap_or(low.0);
        if what == 0 {
            continue;
        }
        found.push(if what == u32::MAX || low.0 == u32::MAX {
            Err(BarError::AllOnes { index })
        } else if what & 1 != 0 {
            Ok(io(index, low))
        } else {
            let high = pair(n);
            memory(index, low, high).inspect(|bar| n += usize::from(is_64(bar)))
        });
    }
    found
}

fn is_64(bar: &Bar) -> bool {
    let width = BarWidth::Bits64;
    matches!(bar.kind, BarKind::Memory { width: w, .. } if w == width)
}

fn io(index: u8, (register, ones): Pair) -> Bar {
    // A device need not decode the upper 16 bits of an I/O address.
    let wide = |ones: u32| match ones >> 16 {
        0 => ones | 0xffff_0000,
        _ => ones,
    };
    Bar {
        index,
        kind: BarKind::Io,
        address: u64::from(register & !0x3),
        size: ones.and_then(|ones| size(u64::from(wide(ones) & !0x3))),
    }
}

fn memory(index: u8, low: Pair, high: Option<Pair>) -> Result<Bar, BarError> {
    let what = low.1.unwrap_or(low.0);
    let (width, high) = match (what >> 1) & 0x3 {
        0 => (BarWidth::Bits32, (0, Some(0))),
        1 => (BarWidth::Below1M, (0, Some(0))),
        2 => (
            BarWidth::Bits64,
            high.ok_or(BarError::NoUpperHalf { index })?,
        ),
        _ => return Err(BarError::ReservedType { index }),
    };
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low & !0xf);
    Ok(Bar {
        index,
        kind: BarKind::Memory {
            width,
            prefetchable: what & 0x8 != 0,
        },
        address: join(low.0, high.0),
        size: match (low.1, high.1) {
            (Some(low), Some(high)) => size(join(low, high)),
            _ => None,
        },
    })
}

/// The size of a BAR whose writable address bits are those of `mask`: the lowest of them.
pub(super) fn size(mask: u64) -> Option<u64> {
    match mask & mask.wrapping_neg() {
        0 => None,
        size => Some(size),
    }
}

/// As lspci writes it: `Memory at fe000000 (64-bit, prefetchable)`, `I/O ports at e000`.
impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            BarKind::Io => write!(f, "I/O ports at {:04x}", self.address),
            BarKind::Memory {
                width,
                prefetchable,
            } => {
                let non = if prefetchable { "" } else { "non-" };
                write!(
                    f,
                    "Memory at {:08x} ({width}, {non}prefetchable)",
                    self.address
                )
            }
        }
    }
}

impl fmt::Display for BarWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bits32 => "32-bit",
            Self::Below1M => "low-1M",
            Self::Bits64 => "64-bit",
        })
    }
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpperHalf { index } => write!(
                f,
                "BAR {index} says that it has 64 bits, and there is no register for the upper half"
            ),
            Self::ReservedType { index } => write!(f, "BAR {index} is of the reserved type 3"),
            Self::AllOnes { index } => write!(f, "BAR {index} reads as all ones"),
        }
    }
}

impl error::Error for BarError {}

/// The expansion ROM base address register (PCI Local Bus 3.0 section 6.2.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rom {
    /// Its address on the bus, in bytes; a multiple of 2 KiB.
    pub address: u64,
    /// Whether it is decoded, if Command has `MEMORY` set too.
    pub enabled: bool,
}

impl Rom {
    /// What this register says. `None` if it reads 0: there is no ROM, or it has no address yet.
    #[must_use]
    pub fn from_register(register: u32) -> Option<Self> {
        (register != 0).then(|| Self {
            address: u64::from(register & !0x7ff),
            enabled: register & 1 != 0,
        })
    }

    /// The size of the ROM in bytes, given what its register reads after `0xffff_fffe` was written to it.
    /// `None` if there is no ROM.
    #[must_use]
    pub fn size(ones: u32) -> Option<u64> {
        size(u64::from(ones & !0x7ff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: PCI Local Bus 3.0, section 6.2.5.1 and its implementation note on sizing.

    #[test]
    fn a_64_bit_bar_in_the_last_register_is_an_error() {
        let found = bars(&[0, 0, 0, 0, 0, 0xfe00_000c]);
        assert_eq!(found, [Err(BarError::NoUpperHalf { index: 5 })]);
    }

    #[test]
    fn the_reserved_type_is_an_error_and_takes_one_register() {
        let found = bars(&[0xfe00_0006, 0xe001]);
        assert_eq!(
            found.first(),
            Some(&Err(BarError::ReservedType { index: 0 }))
        );
        assert_eq!(
            found.get(1).map(|bar| bar.map(|bar| bar.kind)),
            Some(Ok(BarKind::Io))
        );
    }

    #[test]
    fn the_upper_half_of_a_64_bit_bar_is_no_bar() {
        // Its upper half looks like I/O ports.
        let found = bars(&[0x4, 0x0000_0001, 0xfe00_0002]);
        let all: Vec<_> = found.into_iter().flatten().collect();
        assert_eq!(all.iter().map(|bar| bar.index).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(
            all.iter().map(|bar| bar.address).collect::<Vec<_>>(),
            [1 << 32, 0xfe00_0000]
        );
        let below = BarKind::Memory {
            width: BarWidth::Below1M,
            prefetchable: false,
        };
        assert_eq!(all.last().map(|bar| bar.kind), Some(below));
    }

    #[test]
    fn registers_of_a_device_that_is_gone_are_no_bars() {
        assert!(bars(&[u32::MAX; 6]).iter().all(Result::is_err));
        assert!(
            size_bars(&[0; 2], &[u32::MAX; 2])
                .iter()
                .all(Result::is_err)
        );
    }

    #[test]
    fn sizes_up_to_the_largest_are_found() {
        let sizes = |registers: &[u32], ones: &[u32]| -> Vec<Option<u64>> {
            size_bars(registers, ones)
                .into_iter()
                .flatten()
                .map(|bar| bar.size)
                .collect()
        };
        assert_eq!(sizes(&[0], &[0x8000_0000]), [Some(0x8000_0000)]);
        assert_eq!(
            sizes(&[0, 0], &[0x0000_000c, 0xffff_fff0]),
            [Some(0x10_0000_0000)]
        );
        assert_eq!(sizes(&[0, 0], &[0x0000_000c, 0x8000_0000]), [Some(1 << 63)]);
        assert_eq!(sizes(&[0, 0], &[0x0000_000c, 0]), [None]);
        assert_eq!(sizes(&[0], &[0x0000_ff81]), [Some(0x80)]); // 16-bit I/O addresses
        assert_eq!(sizes(&[0], &[0xffff_fffd]), [Some(4)]);
        assert_eq!(sizes(&[0], &[]), []);
    }

    #[test]
    fn a_rom_is_enabled_by_its_lowest_bit() {
        let rom = Rom::from_register(0xfffe_0001).unwrap();
        assert_eq!((rom.address, rom.enabled), (0xfffe_0000, true));
        assert_eq!(Rom::from_register(0), None);
        assert_eq!(Rom::size(0xfffe_0000), Some(0x2_0000));
    }
}
