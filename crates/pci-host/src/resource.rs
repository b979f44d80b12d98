//! The BARs of a function, from its `resource` file.

use std::fmt;

/// A base address register that a function has, and what the kernel gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarResource {
    /// Which of the six it is, 0 to 5. A 64-bit BAR takes two, and is named by the first.
    pub index: u8,
    /// The address on the machine's bus; not an address in any process.
    pub start: u64,
    /// The size in bytes, as the device reports it.
    pub size: u64,
    /// What is behind it.
    pub kind: BarKind,
}

/// What is behind a base address register (PCI Local Bus 3.0 section 6.2.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    /// Memory, which can be mapped.
    Memory {
        /// Reads have no side effects.
        prefetchable: bool,
        /// The address has 64 bits.
        wide: bool,
    },
    /// I/O ports, which cannot be mapped.
    IoPorts,
}

impl fmt::Display for BarKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { prefetchable, wide } => {
                f.write_str(if *wide { "64-bit" } else { "32-bit" })?;
                f.write_str(if *prefetchable {
                    " prefetchable memory"
                } else {
                    " memory"
                })
            }
            Self::IoPorts => f.write_str("I/O ports"),
        }
    }
}

// The flags of a line of `resource` (include/linux/ioport.h).
const IORESOURCE_IO: u64 = 0x100;
const IORESOURCE_MEM: u64 = 0x200;
const IORESOURCE_PREFETCH: u64 = 0x2000;
const IORESOURCE_MEM_64: u64 = 0x10_0000;

/// The BARs in the text of a `resource` file: its first six lines, each `start end flags`.
///
/// A line that does not look so is returned as the error.
pub(crate) fn parse(text: &str) -> Result<Vec<BarResource>, String> {
    let mut bars = Vec::new();
    for (index, line) in (0..6u8).zip(text.lines()) {
        let numbers: Option<Vec<u64>> = line.split_whitespace().map(hex).collect();
        let Some([start, end, flags]) = numbers.as_deref() else {
            return Err(line.to_owned());
        };
        let kind = if flags & IORESOURCE_IO != 0 {
            BarKind::IoPorts
        } else if flags & IORESOURCE_MEM != 0 {
            BarKind::Memory {
                prefetchable: flags & IORESOURCE_PREFETCH != 0,
                wide: flags & IORESOURCE_MEM_64 != 0,
            }
        } else {
            continue;
        };
        // An empty resource ends before it starts, or has no numbers at all.
        let size = match (*start, *end) {
            (0, 0) => None,
            (start, end) => end.checked_sub(start).and_then(|last| last.checked_add(1)),
        };
        if let Some(size) = size {
            bars.push(BarResource {
                index,
                start: *start,
                size,
                kind,
            });
        }
    }
    Ok(bars)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an Intel NIC (lspci: Region 0 32-bit memory 128K, Region 1 memory 128K, Region 2 I/O ports
    /// 32, Region 3 memory 16K; a ROM follows) as QEMU's e1000e shows it.
    const E1000E: &str = "\
0x00000000fe840000 0x00000000fe85ffff 0x0000000000040200
0x00000000fe860000 0x00000000fe87ffff 0x0000000000040200
0x000000000000c000 0x000000000000c01f 0x0000000000040101
0x00000000fe880000 0x00000000fe883fff 0x0000000000040200
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x00000000fe800000 0x00000000fe83ffff 0x0000000000046200
";

    #[test]
    fn bars_have_the_sizes_and_kinds_that_lspci_shows() {
        let bars = parse(E1000E).unwrap();
        let sizes: Vec<_> = bars.iter().map(|bar| (bar.index, bar.size)).collect();
        assert_eq!(sizes, [(0, 0x2_0000), (1, 0x2_0000), (2, 32), (3, 0x4000)]);
        assert_eq!(
            bars[0].kind,
            BarKind::Memory {
                prefetchable: false,
                wide: false
            }
        );
        assert_eq!(bars[2].kind, BarKind::IoPorts);
    }

    #[test]
    fn a_64_bit_prefetchable_bar_is_one_bar() {
        let bars = parse(
            "0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
             0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
             0x000000fe00000000 0x000000fe03ffffff 0x000000000014220c\n\
             0x0000000000000000 0x0000000000000000 0x0000000000000000\n",
        );
        let kind = BarKind::Memory {
            prefetchable: true,
            wide: true,
        };
        let bar = BarResource {
            index: 2,
            start: 0xfe_0000_0000,
            size: 64 << 20,
            kind,
        };
        assert_eq!(bars, Ok(vec![bar]));
    }

    #[test]
    fn an_empty_resource_is_no_bar_and_a_hostile_one_does_not_overflow() {
        let empty = "0x0000000000001000 0x0000000000000fff 0x0000000000000200\n";
        assert_eq!(parse(empty), Ok(vec![]));
        let unset = "0x0000000000000000 0x0000000000000000 0x0000000000040200\n";
        assert_eq!(parse(unset), Ok(vec![]));
        let whole = "0x0000000000000000 0xffffffffffffffff 0x0000000000000200\n";
        assert_eq!(parse(whole), Ok(vec![]));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        assert_eq!(parse("0x0 0x0 0x0\n0x0 0x0\n"), Err("0x0 0x0".to_owned()));
        assert_eq!(parse("1 2 3\n"), Err("1 2 3".to_owned()));
    }
}
