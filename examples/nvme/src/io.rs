//! I/O: commands that are under way at the same time.

use crate::{
    ControllerInfo, Nvme,
    command::Command,
    controller::{COMMAND_TIMEOUT, Controller},
    prp::{self, Prp},
};
use io_core::{
    Error, ErrorKind, Io, Region, Result, SysMem,
    dma::{DmaBuffer, DmaOptions, Iova},
};
use std::time::Duration;

/// The most bytes of one command.
const TRANSFER: usize = 128 << 10;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Reads so many blocks from this one on.
    Read(u64, u16),
    /// Writes so many blocks from this one on.
    Write(u64, u16),
    /// Sees to it that what was written is on the medium.
    Flush,
}

/// Room for one command and its data. Who has it can fill it or look into it; while the command is under way, nobody
/// has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(u16);

impl Slot {
    /// Its number, less than [`Nvme::depth`]. A slot has the same one when it comes back.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.0
    }
}

/// The memory of all slots.
#[derive(Debug)]
pub(crate) struct Slots {
    data: DmaBuffer,
    lists: DmaBuffer,
    page: u64,
    /// The size of a slot's data, in bytes.
    transfer: usize,
    /// The size of a slot's list of pages, in bytes.
    list: usize,
    free: Vec<Slot>,
    /// Whether the slot of this number is under way.
    under_way: Vec<bool>,
    /// How many are.
    busy: usize,
}

impl Slots {
    pub(crate) fn new(
        controller: &Controller<'_>,
        info: &ControllerInfo,
        depth: u16,
    ) -> Result<Self> {
        let page = controller.page_size();
        let page_bytes = usize::try_from(page).unwrap_or(usize::MAX);
        let most = match info.transfer_max {
            0 => TRANSFER,
            // In units of the least page size, which is ours.
            power => page_bytes.checked_shl(u32::from(power)).unwrap_or(TRANSFER),
        };
        let (space, count) = (controller.dma()?, usize::from(depth));
        let transfer = most.clamp(page_bytes, TRANSFER.max(page_bytes));
        // All pages of a slot but the first. A list must not cross a page: this one fits in the smallest, and its size
        // is a power of 2.
        let list = transfer / page_bytes * prp::ENTRY_SIZE;
        let options = DmaOptions::default();
        Ok(Self {
            data: space.allocate(count * transfer, options)?.share()?,
            lists: space.allocate(count * list, options)?.share()?,
            page,
            transfer,
            list,
            free: (0..depth).rev().map(Slot).collect(),
            under_way: vec![false; count],
            busy: 0,
        })
    }

    pub(crate) fn depth(&self) -> usize {
        self.under_way.len()
    }

    /// Where the first `len` bytes of a slot are, for a command.
    fn prp(&self, slot: &Slot, len: usize) -> Result<Prp> {
        let at = |buffer: &DmaBuffer, offset: usize| {
            Iova::new(buffer.iova().raw() + u64::try_from(offset).unwrap_or(u64::MAX))
        };
        let number = usize::from(slot.0);
        let (data, list) = (at(&self.data, number * self.transfer), number * self.list);
        let prp = Prp::new(data, len, self.page, at(&self.lists, list));
        let view = self.lists.view().subview::<0>(list, self.list)?;
        for (i, page) in prp::rest(data, len, self.page).enumerate() {
            view.try_write64(i * prp::ENTRY_SIZE, page)?;
        }
        Ok(prp)
    }
}

impl Nvme<'_> {
    /// The most blocks of one command.
    #[must_use]
    pub fn blocks_max(&self) -> u16 {
        u16::try_from(self.slots.transfer / self.namespace.block_size).unwrap_or(u16::MAX)
    }

    /// How many commands may be under way at once.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.slots.depth()
    }

    /// A slot, if one is free.
    pub fn take(&mut self) -> Option<Slot> {
        self.slots.free.pop()
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, slot: Slot) {
        self.slots.free.push(slot);
    }

    /// The data of a slot: [`blocks_max`](Self::blocks_max) blocks.
    ///
    /// # Errors
    ///
    /// The slot is another drive's.
    pub fn data(&self, slot: &Slot) -> Result<SysMem<'_, Region>> {
        let size = self.slots.transfer;
        Ok(self
            .slots
            .data
            .view()
            .subview(usize::from(slot.0) * size, size)?)
    }

    /// Lets the drive carry out a command, with the data of `slot`. It begins at the latest with the next
    /// [`wait`](Self::wait), in any order with others.
    ///
    /// # Errors
    ///
    /// There are no such blocks, or more than [`blocks_max`](Self::blocks_max).
    pub fn submit(&mut self, slot: Slot, operation: Operation) -> Result<()> {
        let command = match self.command(&slot, operation) {
            Ok(command) => command,
            Err(error) => {
                self.give_back(slot);
                return Err(error);
            }
        };
        if let Some(under_way) = self.slots.under_way.get_mut(usize::from(slot.0)) {
            *under_way = true;
            self.slots.busy += 1;
        }
        Ok(self.queue.push(slot.0, &command)?)
    }

    fn command(&self, slot: &Slot, operation: Operation) -> Result<Command> {
        let id = self.namespace.id;
        Ok(match operation {
            Operation::Flush => Command::flush(id),
            Operation::Read(lba, blocks) => {
                Command::read(id, lba, blocks, self.place(slot, lba, blocks)?)
            }
            Operation::Write(lba, blocks) => {
                Command::write(id, lba, blocks, self.place(slot, lba, blocks)?)
            }
        })
    }

    /// Where the data of these blocks are, if there are such blocks.
    fn place(&self, slot: &Slot, lba: u64, blocks: u16) -> Result<Prp> {
        let invalid = |why| {
            let message = format!("cannot transfer {blocks} blocks from block {lba} on: {why}");
            Err(Error::new(ErrorKind::InvalidInput, message))
        };
        if blocks == 0 || blocks > self.blocks_max() {
            return invalid(format!("a command has 1 to {}", self.blocks_max()));
        }
        let end = lba.checked_add(u64::from(blocks));
        if end.is_none_or(|end| end > self.namespace.blocks) {
            return invalid(format!("the namespace has {}", self.namespace.blocks));
        }
        self.slots
            .prp(slot, usize::from(blocks) * self.namespace.block_size)
    }

    /// Whether a command is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.slots.busy > 0
    }

    /// Waits for any command that is under way, and returns its slot, and whether it was carried out.
    ///
    /// # Errors
    ///
    /// None is under way, none is completed in time, or the controller does not run any more.
    pub fn wait(&mut self) -> Result<(Slot, Result<()>)> {
        match self.wait_for(COMMAND_TIMEOUT)? {
            Some(done) => Ok(done),
            None => Err(self.queue.timed_out(COMMAND_TIMEOUT)),
        }
    }

    /// As [`wait`](Self::wait), but no longer than this: `None` if none is completed within `timeout`, and the controller
    /// runs still.
    ///
    /// # Errors
    ///
    /// None is under way, or the controller does not run any more: [`ErrorKind::Lost`]. No command that is under way will
    /// be completed then, and this `Nvme` is of no more use.
    pub fn wait_for(&mut self, timeout: Duration) -> Result<Option<(Slot, Result<()>)>> {
        let address = self.controller.device().address();
        if !self.is_busy() {
            let message = format!("no command of {address} is under way");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let registers = self.controller.registers()?;
        let done = self.queue.wait(registers, timeout);
        let Some(done) = done.map_err(|e| self.controller.explain(e))? else {
            return Ok(None);
        };
        match self.slots.under_way.get_mut(usize::from(done.id)) {
            Some(under_way) if *under_way => {
                *under_way = false;
                self.slots.busy -= 1;
            }
            _ => {
                let message = format!(
                    "{address} has completed command {}, which is not under way",
                    done.id
                );
                return Err(Error::new(ErrorKind::Other, message));
            }
        }
        let result = if done.status.is_success() {
            Ok(())
        } else {
            let message = format!("{address} did not carry out a command: {}", done.status);
            Err(Error::new(ErrorKind::Other, message))
        };
        Ok(Some((Slot(done.id), result)))
    }
}
