//! A load whose every block is known: what was acknowledged is read back, also when the drive was lost meanwhile.
//!
//! Cells of some blocks are written and read at random, as many at once as there are slots. A cell is filled with its
//! address and the number of its write, so that a lost write and a cell in the wrong place are seen. After a loss, all
//! writes that were not acknowledged are written again, under the same numbers, and all that was ever acknowledged is
//! read.

use crate::{Nvme, Operation, Options, Slot};
use io_core::{AccessWidth, Error, ErrorKind, Io, PciDevice, Result, recovery::Work};
use std::{
    fmt::Write,
    ops::ControlFlow,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The bytes of a cell, if a block has no more.
const CELL: usize = 4096;
/// How long a command may take before the controller is reset for it.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a step waits for a completion.
const SHORT: Duration = Duration::from_millis(100);
/// How many completions are waited for in a step.
const STEP: usize = 64;

/// The load. It is [`Work`]: [`until_gone`](io_core::recovery::until_gone) runs it.
pub struct Soak<'d> {
    device: &'d dyn PciDevice,
    options: Options,
    /// The blocks that are overwritten: the first one, and how many.
    blocks: (u64, u64),
    until: Instant,
    cells: Vec<Cell>,
    /// What each slot is under way with.
    under_way: Vec<Option<Task>>,
    /// The blocks of a cell.
    cell_blocks: u16,
    /// Whether the drive was lost, and what was acknowledged has not been read since.
    is_doubtful: bool,
    last_write: u64,
    random: u64,
    tell: Box<dyn FnMut(&str) + 'd>,
    /// What was done.
    pub tally: Tally,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Writes that the drive has acknowledged.
    pub writes: u64,
    /// Reads that were right.
    pub reads: u64,
    /// How often the drive was lost and brought up again.
    pub recoveries: u32,
    /// Whether something was read that is not what was acknowledged.
    pub is_wrong: bool,
}

/// What is known of a cell.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// The number of the write that was acknowledged last; 0 for none.
    acknowledged: u64,
    /// That of one which was given to the drive, and not acknowledged yet.
    pending: Option<u64>,
    is_busy: bool,
}

/// A command that is under way.
#[derive(Debug, Clone, Copy)]
struct Task {
    cell: usize,
    is_write: bool,
    since: Instant,
}

impl<'d> Soak<'d> {
    /// A load for so long, on so many blocks from this one on, which are OVERWRITTEN. `tell` is told of its beginning, and of
    /// losses.
    pub fn new(
        device: &'d dyn PciDevice,
        options: Options,
        blocks: (u64, u64),
        time: Duration,
        tell: impl FnMut(&str) + 'd,
    ) -> Self {
        // Numbers that no earlier load has used.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(1, |now| now.as_micros());
        Self {
            device,
            options,
            blocks,
            until: Instant::now() + time,
            cells: Vec::new(),
            under_way: Vec::new(),
            cell_blocks: 1,
            is_doubtful: false,
            last_write: u64::try_from(now).unwrap_or(1),
            random: 1,
            tell: Box::new(tell),
            tally: Tally::default(),
        }
    }

    /// What has to be on the drive now: for each cell a line with its first block, the number of the write that was
    /// acknowledged last (0 for none), and that of a later one which may be there in its place (or 0).
    #[must_use]
    pub fn ledger(&self) -> String {
        let mut text = String::new();
        for (index, cell) in self.cells.iter().enumerate() {
            let (lba, pending) = (self.lba(index), cell.pending.unwrap_or(0));
            // Writing to a String does not fail.
            let _ = writeln!(text, "{lba} {} {pending}", cell.acknowledged);
        }
        text
    }

    fn lba(&self, cell: usize) -> u64 {
        let cell = u64::try_from(cell).unwrap_or(u64::MAX);
        let offset = cell.saturating_mul(u64::from(self.cell_blocks));
        self.blocks.0.saturating_add(offset)
    }

    /// The bytes of a cell after this write.
    fn content(&self, cell: usize, write: u64, len: usize) -> Vec<u8> {
        let record = [self.lba(cell), write];
        let bytes = record.into_iter().flat_map(u64::to_le_bytes);
        let bytes: Vec<u8> = bytes.collect();
        bytes.into_iter().cycle().take(len).collect()
    }

    /// A number that looks random: a linear congruential generator with Knuth's constants for MMIX.
    fn random(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    /// A cell at random that nothing is under way with, and whether it is to be written.
    fn choose(&mut self) -> Option<(usize, bool)> {
        let count = u64::try_from(self.cells.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.random() % count).unwrap_or(0);
        let is_write = self.random() % 2 == 0;
        let cell = self.cells.get(index).filter(|cell| !cell.is_busy)?;
        Some((index, is_write || cell.acknowledged == 0))
    }

    /// Lets the drive write a cell, or read it.
    fn start(
        &mut self,
        nvme: &mut Nvme<'_>,
        slot: Slot,
        cell: usize,
        is_write: bool,
    ) -> Result<()> {
        let lba = self.lba(cell);
        let len = usize::from(self.cell_blocks) * nvme.namespace().block_size;
        let Some(entry) = self.cells.get_mut(cell) else {
            nvme.give_back(slot);
            return Ok(());
        };
        entry.is_busy = true;
        let operation = if is_write {
            // One that is written again has its number already.
            let write = *entry.pending.get_or_insert_with(|| {
                self.last_write += 1;
                self.last_write
            });
            let bytes = self.content(cell, write, len);
            nvme.data(&slot)?
                .copy_from_slice(0, &bytes, AccessWidth::Auto)?;
            Operation::Write(lba, self.cell_blocks)
        } else {
            // What is there from before must not be taken for what was read.
            nvme.data(&slot)?
                .copy_from_slice(0, &vec![0xa5; len], AccessWidth::Auto)?;
            Operation::Read(lba, self.cell_blocks)
        };
        if let Some(under_way) = self.under_way.get_mut(usize::from(slot.number())) {
            let since = Instant::now();
            *under_way = Some(Task {
                cell,
                is_write,
                since,
            });
        }
        nvme.submit(slot, operation)
    }

    /// Waits for a completion, and takes note of it.
    fn reap(&mut self, nvme: &mut Nvme<'_>) -> Result<()> {
        let Some((slot, done)) = nvme.wait_for(SHORT)? else {
            return self.check_times();
        };
        let task = self.under_way.get_mut(usize::from(slot.number()));
        let Some(task) = task.and_then(Option::take) else {
            return Err(self.error(ErrorKind::Other, "completed what was not under way"));
        };
        // It may be the mark of a reset, or of bus mastering that was off. If not, patience has an end.
        done.map_err(|error| {
            self.error(ErrorKind::Lost, "does not carry out commands")
                .with_source(error)
        })?;
        let checked = if task.is_write {
            Ok(())
        } else {
            self.check(nvme, &slot, task.cell)
        };
        nvme.give_back(slot);
        checked?;
        let Some(cell) = self.cells.get_mut(task.cell) else {
            return Ok(());
        };
        cell.is_busy = false;
        if task.is_write {
            cell.acknowledged = cell.pending.take().unwrap_or(cell.acknowledged);
            self.tally.writes += 1;
        } else {
            self.tally.reads += 1;
        }
        Ok(())
    }

    /// Compares what was read with what was acknowledged.
    fn check(&mut self, nvme: &Nvme<'_>, slot: &Slot, cell: usize) -> Result<()> {
        let len = usize::from(self.cell_blocks) * nvme.namespace().block_size;
        let mut bytes = vec![0; len];
        nvme.data(slot)?
            .copy_to_slice(0, &mut bytes, AccessWidth::Auto)?;
        let write = self.cells.get(cell).map_or(0, |cell| cell.acknowledged);
        if bytes == self.content(cell, write, len) {
            return Ok(());
        }
        self.tally.is_wrong = true;
        let lba = self.lba(cell);
        let what = format!(
            "has other data than write {write}, which it acknowledged, from block {lba} on"
        );
        Err(self.error(ErrorKind::Other, &what))
    }

    /// Gives up on a controller that one command is too long under way with.
    fn check_times(&self) -> Result<()> {
        let tasks = self.under_way.iter().flatten();
        if tasks
            .clone()
            .all(|task| task.since.elapsed() < COMMAND_TIMEOUT)
        {
            return Ok(());
        }
        let what = format!("did not complete a command within {COMMAND_TIMEOUT:?}");
        Err(self.error(ErrorKind::TimedOut, &what))
    }

    /// Does this with each of the cells, as many at once as there are slots, and waits for all.
    fn all(&mut self, nvme: &mut Nvme<'_>, cells: Vec<usize>, is_write: bool) -> Result<()> {
        let mut cells = cells.into_iter();
        loop {
            while let Some(slot) = nvme.take() {
                let Some(cell) = cells.next() else {
                    nvme.give_back(slot);
                    break;
                };
                self.start(nvme, slot, cell, is_write)?;
            }
            if !nvme.is_busy() {
                return Ok(());
            }
            self.reap(nvme)?;
        }
    }

    /// Writes again what was not acknowledged, and reads all that was.
    fn settle(&mut self, nvme: &mut Nvme<'_>) -> Result<()> {
        self.all(nvme, Vec::new(), false)?;
        let which = |cells: &[Cell], is: fn(&Cell) -> bool| -> Vec<usize> {
            let those = cells.iter().enumerate().filter(|(_, cell)| is(cell));
            those.map(|(index, _)| index).collect()
        };
        let pending = which(&self.cells, |cell| cell.pending.is_some());
        self.all(nvme, pending, true)?;
        let acknowledged = which(&self.cells, |cell| cell.acknowledged != 0);
        self.all(nvme, acknowledged, false)
    }

    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("the drive {} {what}", self.device.address()))
    }
}

impl<'d> Work for Soak<'d> {
    type Driver = Nvme<'d>;
    type Done = ();

    fn bring_up(&mut self) -> Result<Nvme<'d>> {
        // Whatever was under way, nothing of it is any more.
        self.under_way = vec![None; usize::from(self.options.depth)];
        self.cells.iter_mut().for_each(|cell| cell.is_busy = false);
        self.is_doubtful = !self.cells.is_empty();
        let nvme = Nvme::new(self.device, self.options)?;
        if self.cells.is_empty() {
            let namespace = nvme.namespace();
            self.cell_blocks = u16::try_from(CELL / namespace.block_size)
                .unwrap_or(1)
                .max(1);
            let cells = self.blocks.1 / u64::from(self.cell_blocks);
            if cells < u64::from(self.options.depth) {
                let what = "needs a cell of 4 KiB at least for each command that is under way";
                return Err(self.error(ErrorKind::InvalidInput, what));
            }
            self.cells = vec![Cell::default(); usize::try_from(cells).unwrap_or(usize::MAX)];
            let blocks = self.blocks.1;
            (self.tell)(&format!("writing and reading {blocks} blocks"));
        }
        Ok(nvme)
    }

    fn step(&mut self, nvme: &mut Nvme<'d>) -> Result<ControlFlow<()>> {
        let is_over = Instant::now() >= self.until;
        if is_over || self.is_doubtful {
            self.settle(nvme)?;
            self.is_doubtful = false;
            return Ok(if is_over {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            });
        }
        for _ in 0..STEP {
            while let Some(slot) = nvme.take() {
                match self.choose() {
                    Some((cell, is_write)) => self.start(nvme, slot, cell, is_write)?,
                    None => {
                        nvme.give_back(slot);
                        break;
                    }
                }
            }
            if nvme.is_busy() {
                self.reap(nvme)?;
            }
        }
        self.check_times()?;
        Ok(ControlFlow::Continue(()))
    }

    fn quiesce(&mut self, nvme: &mut Nvme<'d>) -> Result<()> {
        self.all(nvme, Vec::new(), false)?;
        nvme.flush()
    }

    fn recovered(&mut self, why: &Error, after: Duration) {
        self.tally.recoveries += 1;
        (self.tell)(&format!("recovered after {after:.1?}: {why}"));
    }
}

impl std::fmt::Debug for Soak<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut output = f.debug_struct("Soak");
        output
            .field("device", &self.device)
            .field("tally", &self.tally);
        output.finish_non_exhaustive()
    }
}
