//! The chains of capabilities that VFIO appends to what it says of itself.

/// One capability of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capability<'b> {
    /// What it is about.
    pub id: u16,
    /// What follows its header, up to the end of the buffer.
    pub body: &'b [u8],
}

/// The capabilities in `bytes`, which the kernel filled, the first of them at `offset` (0 if there is none).
///
/// A header has an id and a version, of 16 bits each, and the offset of the next header, of 32 bits (struct
/// `vfio_info_cap_header`). A chain that leaves the buffer ends there; one that runs backwards ends too, so
/// that none runs for ever.
pub(crate) fn chain(bytes: &[u8], offset: u32) -> impl Iterator<Item = Capability<'_>> {
    const HEADER: usize = 8;

    let mut offset = usize::try_from(offset).unwrap_or(0);
    std::iter::from_fn(move || {
        if offset == 0 {
            return None;
        }
        let [i0, i1, _, _, n0, n1, n2, n3] = *bytes.get(offset..)?.first_chunk::<HEADER>()?;
        let body = bytes.get(offset + HEADER..)?;
        let next = usize::try_from(u32::from_ne_bytes([n0, n1, n2, n3])).unwrap_or(0);
        offset = if next > offset { next } else { 0 };
        Some(Capability {
            id: u16::from_ne_bytes([i0, i1]),
            body,
        })
    })
}

impl Capability<'_> {
    /// The number of 32 bits at `offset` of its body.
    pub(crate) fn u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.body.get(offset..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes))
    }

    /// The number of 64 bits at `offset` of its body.
    pub(crate) fn u64(&self, offset: usize) -> Option<u64> {
        let bytes = self.body.get(offset..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    }

    /// Pairs of numbers of 64 bits, of which the number at `count` of its body says how many there are, from
    /// `first` on. Those that are not in the buffer are left out.
    pub(crate) fn pairs(&self, count: usize, first: usize) -> impl Iterator<Item = (u64, u64)> {
        let count = self.u32(count).unwrap_or(0);
        (0..count).map_while(move |index| {
            let at = first.checked_add(usize::try_from(index).ok()?.checked_mul(16)?)?;
            Some((self.u64(at)?, self.u64(at + 8)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header as the kernel lays it out.
    fn header(id: u16, next: u32) -> Vec<u8> {
        let mut bytes = id.to_ne_bytes().to_vec();
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend(next.to_ne_bytes());
        bytes
    }

    fn ids(bytes: &[u8], offset: u32) -> Vec<u16> {
        chain(bytes, offset)
            .map(|capability| capability.id)
            .collect()
    }

    #[test]
    fn a_chain_is_walked_to_its_end() {
        let mut bytes = vec![0; 8];
        bytes.extend(header(1, 24));
        bytes.extend([7; 8]);
        bytes.extend(header(3, 0));
        assert_eq!(ids(&bytes, 8), [1, 3]);
        assert_eq!(ids(&bytes, 0), [0_u16; 0]);
    }

    #[test]
    fn a_chain_that_loops_or_leaves_the_buffer_ends() {
        let mut bytes = vec![0; 8];
        bytes.extend(header(1, 16));
        bytes.extend(header(2, 8));
        assert_eq!(ids(&bytes, 8), [1, 2], "backwards");
        let mut bytes = vec![0; 8];
        bytes.extend(header(1, 8));
        assert_eq!(ids(&bytes, 8), [1], "to itself");
        for next in [12, 16, 0x1000, u32::MAX] {
            let mut bytes = vec![0; 8];
            bytes.extend(header(1, next));
            assert_eq!(ids(&bytes, 8), [1], "to {next:#x}");
        }
        assert_eq!(ids(&[0; 8], 8), [0_u16; 0]);
        assert_eq!(ids(&[0; 8], u32::MAX), [0_u16; 0]);
    }

    #[test]
    fn pairs_end_with_the_buffer_whatever_their_count_says() {
        let mut bytes = header(1, 0);
        bytes.extend(3_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        for number in [1_u64, 2, 3, 4] {
            bytes.extend(number.to_ne_bytes());
        }
        let mut whole = vec![0; 8];
        whole.extend(bytes);
        let capability = chain(&whole, 8).next().unwrap();
        assert_eq!(capability.pairs(0, 8).collect::<Vec<_>>(), [(1, 2), (3, 4)]);
        assert_eq!(capability.pairs(usize::MAX, usize::MAX).count(), 0);
    }
}
