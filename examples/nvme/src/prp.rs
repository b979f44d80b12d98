//! Where the data of a command are: Physical Region Pages (NVM Express Base 2.0 section 4.1.1).
//!
//! A command names one page. A second one stands beside it; if there are more, the address of a list of them stands
//! there instead.

use io_core::dma::Iova;

/// The size of an entry of a list, in bytes.
pub const ENTRY_SIZE: usize = 8;

/// The two addresses of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prp {
    /// Where the data start.
    pub first: u64,
    /// 0, the second page, or the list of all but the first.
    pub second: u64,
}

impl Prp {
    /// The addresses for the `len` bytes at `start`, on pages of `page` bytes. [`rest`] goes to `list` if it has more
    /// than one page.
    pub fn new(start: Iova, len: usize, page: u64, list: Iova) -> Self {
        let mut rest = rest(start, len, page);
        let second = match (rest.next(), rest.next()) {
            (None, _) => 0,
            (Some(second), None) => second,
            (Some(_), Some(_)) => list.raw(),
        };
        Self {
            first: start.raw(),
            second,
        }
    }
}

/// The pages of the `len` bytes at `start`, but for the first one.
pub fn rest(start: Iova, len: usize, page: u64) -> impl Iterator<Item = u64> {
    let start = start.raw();
    let end = start.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    let first = start - start % page;
    (1..)
        .map_while(move |n: u64| first.checked_add(n.checked_mul(page)?))
        .take_while(move |at| *at < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Iova = Iova::new(0xf000);

    fn of(start: u64, len: usize) -> (u64, u64, Vec<u64>) {
        let prp = Prp::new(Iova::new(start), len, 0x1000, LIST);
        let rest = rest(Iova::new(start), len, 0x1000).collect();
        (prp.first, prp.second, rest)
    }

    // By hand, from Base 2.0 section 4.1.1 and figure 87.

    #[test]
    fn data_within_one_page_have_one_address() {
        assert_eq!(of(0x10000, 512), (0x10000, 0, vec![]));
        assert_eq!(of(0x10000, 0x1000), (0x10000, 0, vec![]));
        assert_eq!(of(0x10e00, 0x200), (0x10e00, 0, vec![]));
    }

    #[test]
    fn data_on_two_pages_have_two() {
        assert_eq!(of(0x10000, 0x1001), (0x10000, 0x11000, vec![0x11000]));
        assert_eq!(of(0x10e00, 0x400), (0x10e00, 0x11000, vec![0x11000]));
    }

    #[test]
    fn data_on_more_pages_have_a_list() {
        let pages = vec![0x11000, 0x12000];
        assert_eq!(of(0x10000, 0x3000), (0x10000, LIST.raw(), pages.clone()));
        // An offset in the first page makes one page more of it.
        assert_eq!(of(0x10800, 0x2000), (0x10800, LIST.raw(), pages));
    }

    #[test]
    fn the_end_of_the_address_space_is_an_end() {
        assert_eq!(of(u64::MAX - 0xfff, 0x4000).1, 0);
    }
}
