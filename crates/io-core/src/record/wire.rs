//! Numbers and texts in a recording.

/// Appends numbers and texts to bytes.
pub(super) trait Put {
    /// Seven bits a byte, the lowest first; all but the last byte have bit 7 set.
    fn put_number(&mut self, number: u64);

    /// Its length, and itself.
    fn put_bytes(&mut self, bytes: &[u8]);

    /// 0 for none, and one more than the number otherwise; the greatest number counts as none.
    fn put_optional(&mut self, number: Option<u64>) {
        self.put_number(number.and_then(|n| n.checked_add(1)).unwrap_or(0));
    }
}

impl Put for Vec<u8> {
    fn put_number(&mut self, number: u64) {
        let mut rest = number;
        while rest > 0x7f {
            let [low, ..] = rest.to_le_bytes();
            self.push(low | 0x80);
            rest >>= 7;
        }
        let [last, ..] = rest.to_le_bytes();
        self.push(last);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_number(number(bytes.len()));
        self.extend_from_slice(bytes);
    }
}

/// A length as a number.
pub(super) fn number(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end in the middle.
    Cut,
    /// They say what cannot be.
    Damaged,
}

/// Takes numbers and texts from the start of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Take<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Take<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        let (first, rest) = self.rest.split_first().ok_or(Stop::Cut)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Stop> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits != 0 && bits.leading_zeros() < shift {
                return Err(Stop::Damaged);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Stop::Damaged)
    }

    /// A number that fits in less than 64 bits.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Stop> {
        T::try_from(self.number()?).map_err(|_| Stop::Damaged)
    }

    pub(super) fn optional(&mut self) -> Result<Option<u64>, Stop> {
        Ok(self.number()?.checked_sub(1))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Stop> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Stop::Damaged),
        }
    }

    /// So many bytes. Nothing is allocated for them.
    pub(super) fn exactly(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Stop::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Stop> {
        let len = self.small()?;
        self.exactly(len)
    }

    pub(super) fn text(&mut self) -> Result<String, Stop> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Stop::Damaged)?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Put, Stop, Take};

    #[test]
    fn numbers_are_as_leb128_has_them() {
        // DWARF 5, section 7.6, table 7.8.
        let examples: [(u64, &[u8]); 6] = [
            (2, &[2]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (129, &[0x81, 1]),
            (12857, &[0xb9, 0x64]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ];
        for (number, bytes) in examples {
            let mut put = Vec::new();
            put.put_number(number);
            assert_eq!(put, bytes);
            assert_eq!(Take { rest: bytes }.number(), Ok(number));
        }
    }

    #[test]
    fn numbers_of_more_than_64_bits_are_damaged_and_halves_are_cut() {
        for (bytes, stop) in [
            (&[0x80; 3][..], Stop::Cut),
            (&[0x80; 11], Stop::Damaged),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
                Stop::Damaged,
            ),
        ] {
            assert_eq!(Take { rest: bytes }.number(), Err(stop));
        }
        assert_eq!(Take { rest: &[9, 1] }.bytes(), Err(Stop::Cut));
    }
}
