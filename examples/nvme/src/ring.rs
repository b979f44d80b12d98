//! The place in a queue that is next.

/// An index that goes round a queue, and the phase tag of the round.
///
/// The controller writes completions with phase tag 1 when it goes through the queue for the first time, 0 the second
/// time, and so on (NVM Express Base 2.0 section 3.3.3.2.2): an entry is new if its tag is that of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    entries: u16,
    index: u16,
    phase: bool,
}

impl Ring {
    /// The start of a queue of so many entries.
    pub fn new(entries: u16) -> Self {
        Self {
            entries,
            index: 0,
            phase: true,
        }
    }

    /// The number of entries.
    pub fn entries(self) -> u16 {
        self.entries
    }

    /// The entry that is next.
    pub fn index(self) -> u16 {
        self.index
    }

    /// The phase tag of a completion that is new.
    pub fn phase(self) -> bool {
        self.phase
    }

    /// Goes on by one entry.
    pub fn advance(&mut self) {
        self.index += 1;
        if self.index >= self.entries {
            self.index = 0;
            self.phase = !self.phase;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_changes_with_each_round() {
        let mut ring = Ring::new(3);
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push((ring.index(), ring.phase()));
            ring.advance();
        }
        let (first, second) = (true, false);
        let rounds = [
            (0, first),
            (1, first),
            (2, first),
            (0, second),
            (1, second),
            (2, second),
            (0, first),
        ];
        assert_eq!(seen, rounds);
    }

    #[test]
    fn the_largest_queue_goes_round() {
        let mut ring = Ring::new(u16::MAX);
        (0..u16::MAX).for_each(|_| ring.advance());
        assert_eq!((ring.index(), ring.phase()), (0, false));
    }
}
