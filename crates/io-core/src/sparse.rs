//! A region of which some areas are mapped, and the rest is reached by calls.

use crate::{Bar, Fault, Offset, RegionOps, Result, Width};
use std::{fmt, ops::Range};

/// A region of which some areas are mapped, and the rest is reached by calls.
pub(crate) struct Sparse {
    /// Where each area is in the region, and what maps it.
    areas: Vec<(Range<usize>, Bar)>,
    rest: Box<dyn RegionOps>,
}

impl Sparse {
    pub(crate) fn new(areas: Vec<(usize, Bar)>, rest: Box<dyn RegionOps>) -> Self {
        let range = |(start, bar): (usize, Bar)| (start..start.saturating_add(bar.size()), bar);
        Self {
            areas: areas.into_iter().map(range).collect(),
            rest,
        }
    }

    fn areas(&self) -> impl Iterator<Item = &Bar> {
        self.areas.iter().map(|(_, bar)| bar)
    }

    /// Makes the access to `len` bytes at `at`: to the area that has all of them, or by a call.
    fn access<R>(
        &self,
        at: Offset,
        len: usize,
        make: impl FnOnce(&dyn RegionOps, Offset) -> R,
    ) -> R {
        let start = at.bytes();
        let has_all = |area: &&(Range<usize>, Bar)| {
            let end = start.checked_add(len);
            area.0.start <= start && end.is_some_and(|end| end <= area.0.end)
        };
        let area = self.areas.iter().find(has_all);
        let mapped = area.and_then(|(range, bar)| Some((range.start, bar.mmio::<0>().ok()?)));
        match mapped {
            Some((first, view)) => make(&view, Offset::new(start - first)),
            None => make(self.rest.as_ref(), at),
        }
    }
}

impl RegionOps for Sparse {
    fn name(&self) -> String {
        self.rest.name()
    }

    fn size(&self) -> usize {
        self.rest.size()
    }

    fn widest(&self) -> Width {
        self.rest.widest()
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        self.access(at, bytes.len(), |region, at| region.read(at, bytes))
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        self.access(at, bytes.len(), |region, at| region.write(at, bytes))
    }

    fn is_lost(&self) -> bool {
        self.areas().any(Bar::is_lost)
    }

    fn set_lost(&self, lost: bool) {
        self.areas().for_each(|area| area.set_lost(lost));
    }

    fn revive(&self) -> Result<()> {
        self.areas().try_for_each(Bar::revive)
    }
}

impl fmt::Debug for Sparse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (range, bar) in &self.areas {
            map.entry(range, bar);
        }
        map.entry(&"the rest", &self.rest).finish()
    }
}
