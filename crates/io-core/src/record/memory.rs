//! Memory of a recorded device: what is mapped, and what the device wrote there.

use super::{Answer, Call, tape::Tape, wire::number};
use crate::{
    AccessWidth, Io, Region, Result, SysMem,
    dma::{DmaDirection, DmaPages, DmaTap, Iova},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Runs of bytes that are other are one if so few that are not are between them.
const GAP: usize = 4;

/// The memory that a recorded device may write to.
#[derive(Debug)]
pub(super) struct Memories {
    tape: Arc<Tape>,
    /// What is in each buffer, as far as it is recorded, by its address.
    known: Mutex<HashMap<Iova, Vec<u8>>>,
}

impl Memories {
    pub(super) fn new(tape: Arc<Tape>) -> Self {
        let known = Mutex::default();
        Self { tape, known }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Iova, Vec<u8>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DmaTap for Memories {
    fn pages(
        &self,
        len: usize,
        make: &mut dyn FnMut() -> Result<Box<dyn DmaPages>>,
    ) -> Result<Box<dyn DmaPages>> {
        let pages = make();
        if let Err(error) = &pages {
            let answer = Answer::Failed(error.into());
            self.tape.put(&Call::Allocate(number(len)), &answer);
        }
        pages
    }

    fn map(
        &self,
        len: usize,
        direction: DmaDirection,
        content: Option<&dyn Fn() -> Vec<u8>>,
        map: &mut dyn FnMut() -> Result<Iova>,
    ) -> Result<Iova> {
        // Before the device can reach it.
        let writable = direction != DmaDirection::ToDevice;
        let content = content.filter(|_| writable).map(|content| content());
        let mapped = map();
        if let (Ok(iova), Some(content)) = (&mapped, content) {
            self.known().insert(*iova, content);
        }
        let answer = Answer::from_result(&mapped, |iova| Answer::Iova(*iova));
        self.tape.put(&Call::Map(number(len), direction), &answer);
        mapped
    }

    fn unmap(&self, iova: Iova, unmap: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.known().remove(&iova);
        let result = unmap();
        self.tape.put_done(&Call::Unmap(iova), &result);
        result
    }

    fn look(&self, iova: Iova, view: SysMem<'_, Region>) {
        let mut known = self.known();
        let Some(before) = known.get_mut(&iova) else {
            return;
        };
        let mut now = vec![0; before.len()];
        // It has as many bytes as when it was mapped.
        if view.copy_to_slice(0, &mut now, AccessWidth::Auto).is_ok() {
            let runs = runs(before, &now);
            *before = now;
            self.tape.put(&Call::Look(iova), &Answer::Memory(runs));
        }
    }
}

/// The runs of bytes of `now` that are other than they were.
fn runs(before: &[u8], now: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    if before == now {
        return runs;
    }
    let mut since = Vec::new();
    for (at, (old, new)) in before.iter().zip(now).enumerate() {
        since.push(*new);
        if old == new {
            continue;
        }
        // What is between this byte and the last one that was other.
        match runs.last_mut() {
            Some((_, run)) if since.len() <= GAP + 1 => run.append(&mut since),
            _ => {
                runs.push((number(at), vec![*new]));
                since.clear();
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn runs_are_what_is_other_with_small_gaps_in_them() {
        let before = [0; 16];
        assert_eq!(runs(&before, &before), []);
        let mut now = before;
        now[2] = 1;
        now[5] = 2;
        now[15] = 3;
        assert_eq!(runs(&before, &now), [(2, vec![1, 0, 0, 2]), (15, vec![3])]);
        assert_eq!(runs(&before, &[7; 16]), [(0, vec![7; 16])]);
    }
}
