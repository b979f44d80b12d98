//! What goes wrong with a simulated device.

use crate::{Fault, Offset, Width};

/// Something that goes wrong with a [`SimulatedDevice`](super::SimulatedDevice).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Every read is all ones, of configuration space too, and no write arrives: nobody answers, and the bus says nothing.
    Ones,
    /// So many accesses to BARs get through, and those after them fail with [`Fault::Lost`]. Configuration space reads all
    /// ones then.
    LostAfter(usize),
    /// These bits of what is read at this offset of this BAR are as in `value`: for so many reads, or for good. A busy bit
    /// that is set is a device that is ready late, and an error bit an error.
    Stuck {
        /// The BAR.
        bar: u8,
        /// The offset of the register, in bytes.
        at: usize,
        /// Which bits.
        mask: u64,
        /// What they are.
        value: u64,
        /// For how many reads; `None` for good.
        reads: Option<usize>,
    },
    /// No transfer of the device moves more than so many bytes, without a word.
    ShortDma(usize),
    /// Accesses of other widths are refused with [`Fault::Width`].
    OnlyWidth(Width),
}

/// All that goes wrong.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    all: Vec<Trouble>,
    accesses: usize,
}

/// What becomes of a read.
#[derive(Debug, Default)]
pub(super) struct Spoilt {
    pub(super) ones: bool,
    /// Bits that are set, and bits that stay.
    or: u64,
    clear: u64,
}

impl Troubles {
    pub(super) fn add(&mut self, trouble: Trouble) {
        let trouble = match trouble {
            // Counted from now on.
            Trouble::LostAfter(count) => Trouble::LostAfter(self.accesses.saturating_add(count)),
            other => other,
        };
        self.all.push(trouble);
    }

    pub(super) fn accesses(&self) -> usize {
        self.accesses
    }

    /// Whether nobody answers any more.
    pub(super) fn is_gone(&self) -> bool {
        self.all.iter().any(|trouble| match trouble {
            Trouble::LostAfter(last) => self.accesses >= *last,
            trouble => *trouble == Trouble::Ones,
        })
    }

    /// An access of so many bytes: whether nobody answers to it.
    fn access(&mut self, len: usize) -> Result<bool, Fault> {
        for trouble in &self.all {
            match trouble {
                Trouble::LostAfter(last) if self.accesses >= *last => return Err(Fault::Lost),
                Trouble::OnlyWidth(width) if width.bytes() != len => return Err(Fault::Width),
                _ => {}
            }
        }
        self.accesses += 1;
        Ok(self.all.contains(&Trouble::Ones))
    }

    /// A write of so many bytes: whether it arrives nowhere.
    pub(super) fn write(&mut self, len: usize) -> Result<bool, Fault> {
        self.access(len)
    }

    /// A read of so many bytes.
    pub(super) fn read(&mut self, bar: u8, at: Offset, len: usize) -> Result<Spoilt, Fault> {
        let mut spoilt = Spoilt {
            ones: self.access(len)?,
            ..Spoilt::default()
        };
        for trouble in &mut self.all {
            let Trouble::Stuck {
                bar: its_bar,
                at: its_at,
                mask,
                value,
                reads,
            } = trouble
            else {
                continue;
            };
            if (*its_bar, *its_at) != (bar, at.bytes()) || *reads == Some(0) {
                continue;
            }
            spoilt.clear |= *mask;
            spoilt.or = (spoilt.or & !*mask) | (*value & *mask);
            if let Some(reads) = reads {
                *reads -= 1;
            }
        }
        Ok(spoilt)
    }

    /// How many of so many bytes a transfer moves.
    pub(super) fn dma(&self, len: usize) -> usize {
        let short = |trouble: &Trouble| match trouble {
            Trouble::ShortDma(most) => Some(*most),
            _ => None,
        };
        self.all.iter().filter_map(short).fold(len, usize::min)
    }
}

impl Spoilt {
    pub(super) fn apply(&self, bytes: &mut [u8]) {
        let masks = self.clear.to_le_bytes().into_iter();
        let masks = masks.zip(self.or.to_le_bytes());
        for (byte, (clear, or)) in bytes.iter_mut().zip(masks) {
            *byte = if self.ones {
                u8::MAX
            } else {
                (*byte & !clear) | or
            };
        }
    }
}
