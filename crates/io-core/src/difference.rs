//! Where two copies of the same bytes part.

/// The first byte that is not what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Where, in bytes from the start of what was compared.
    pub offset: usize,
    /// What was expected there.
    pub expected: u8,
    /// What was found there.
    pub found: u8,
}

impl Difference {
    /// The first one between two slices, as far as both go.
    ///
    /// ```
    /// use io_core::Difference;
    ///
    /// let difference = Difference { offset: 1, expected: b'b', found: b'x' };
    /// assert_eq!(Difference::first(b"abc", b"axc"), Some(difference));
    /// assert_eq!(Difference::first(b"abc", b"abc"), None);
    /// ```
    #[must_use]
    pub fn first(expected: &[u8], found: &[u8]) -> Option<Self> {
        let (offset, (expected, found)) = expected
            .iter()
            .zip(found)
            .enumerate()
            .find(|(_, (expected, found))| expected != found)?;
        Some(Self {
            offset,
            expected: *expected,
            found: *found,
        })
    }
}
