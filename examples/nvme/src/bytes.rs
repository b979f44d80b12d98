//! Reading and writing bytes, with as many commands under way as there may be.

use crate::{Nvme, Operation, Slot};
use io_core::{AccessWidth, Error, ErrorKind, Io, Result};
use std::ops::Range;

/// What is copied, and where to.
enum Bytes<'a> {
    FromDrive(&'a mut [u8]),
    ToDrive(&'a [u8]),
}

impl Nvme<'_> {
    /// Reads the whole of `bytes` from block `lba` on.
    ///
    /// # Errors
    ///
    /// They are not whole blocks, or there are no such blocks; commands are under way, or slots taken; or the drive
    /// could not do it. What is in `bytes` then is not known.
    pub fn read(&mut self, lba: u64, bytes: &mut [u8]) -> Result<()> {
        self.copy(lba, Bytes::FromDrive(bytes))
    }

    /// Writes `bytes` from block `lba` on. After a [`flush`](Self::flush) they stay when the power goes.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read). What is in the blocks then is not known.
    pub fn write(&mut self, lba: u64, bytes: &[u8]) -> Result<()> {
        self.copy(lba, Bytes::ToDrive(bytes))
    }

    /// Sees to it that all that was written is on the medium.
    ///
    /// # Errors
    ///
    /// A command is under way, or the drive could not do it.
    pub fn flush(&mut self) -> Result<()> {
        self.check_idle()?;
        let slot = self.take().ok_or_else(no_slots)?;
        self.submit(slot, Operation::Flush)?;
        let (slot, done) = self.wait()?;
        self.give_back(slot);
        done
    }

    fn copy(&mut self, lba: u64, mut bytes: Bytes<'_>) -> Result<()> {
        self.check_idle()?;
        let len = bytes.len();
        let block = self.namespace().block_size;
        if len % block != 0 {
            let message = format!("{len} bytes are no whole blocks of {block} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        // Which bytes each slot is for.
        let mut parts = Vec::new();
        let (mut next, mut result) = (0, Ok(()));
        loop {
            while next < len && result.is_ok() {
                let Some(slot) = self.take() else { break };
                let part = next..len.min(next + usize::from(self.blocks_max()) * block);
                next = part.end;
                parts.push((slot.number(), part.clone()));
                if let Err(error) = self.start(slot, lba, part, &bytes) {
                    parts.pop();
                    result = Err(error);
                }
            }
            if parts.is_empty() {
                return if next < len {
                    result.and(Err(no_slots()))
                } else {
                    result
                };
            }
            // Whatever goes wrong with one command, the others have to come to their end.
            let (slot, done) = self.wait()?;
            let index = parts.iter().position(|(of, _)| *of == slot.number());
            let part = index.map(|index| parts.swap_remove(index).1);
            let copied = done.and_then(|()| match (&mut bytes, part) {
                (Bytes::FromDrive(bytes), Some(part)) => {
                    let to = bytes.get_mut(part).unwrap_or_default();
                    Ok(self.data(&slot)?.copy_to_slice(0, to, AccessWidth::Auto)?)
                }
                _ => Ok(()),
            });
            self.give_back(slot);
            result = result.and(copied);
        }
    }

    /// Refuses to wait for commands of somebody else, who would never hear of them.
    fn check_idle(&self) -> Result<()> {
        if !self.is_busy() {
            return Ok(());
        }
        let message = "commands are under way: wait for them first";
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Lets the drive copy a part.
    fn start(&mut self, slot: Slot, lba: u64, part: Range<usize>, bytes: &Bytes<'_>) -> Result<()> {
        let block = self.namespace().block_size;
        // Both fit: the namespace has less blocks than there are numbers, and a part is no longer than a slot.
        let lba = lba.saturating_add(u64::try_from(part.start / block).unwrap_or(u64::MAX));
        let blocks = u16::try_from(part.len() / block).unwrap_or(u16::MAX);
        match bytes {
            Bytes::FromDrive(_) => self.submit(slot, Operation::Read(lba, blocks)),
            Bytes::ToDrive(bytes) => {
                let from = bytes.get(part).unwrap_or_default();
                self.data(&slot)?
                    .copy_from_slice(0, from, AccessWidth::Auto)?;
                self.submit(slot, Operation::Write(lba, blocks))
            }
        }
    }
}

impl Bytes<'_> {
    fn len(&self) -> usize {
        match self {
            Self::FromDrive(bytes) => bytes.len(),
            Self::ToDrive(bytes) => bytes.len(),
        }
    }
}

fn no_slots() -> Error {
    Error::new(ErrorKind::Busy, "all slots are taken: give them back first")
}
