//! DMA of an edu: between memory and the 4 KiB that it has itself.

use crate::{
    Edu, SOON,
    interrupt::DMA_DONE,
    registers::{DMA_COMMAND, DMA_COUNT, DMA_DESTINATION, DMA_SOURCE, SIZE},
};
use io_core::{
    AccessWidth, Error, ErrorKind, Io, PciDevice, Result,
    dma::{DmaBuffer, DmaOptions},
    poll::{Poll, Verdict},
};

/// How much of the device's memory can be used, in bytes: it has 4096, and QEMU 7.2 ends the whole machine when a
/// transfer touches the last one.
pub const MEMORY_SIZE: usize = 4095;

/// Where the device's memory is, as its DMA engine takes it.
const MEMORY: u64 = 0x4_0000;
/// The number of address bits of its DMA engine.
const ADDRESS_BITS: u32 = 28;
/// The most bytes that are transferred at once.
const TRANSFER: usize = 2048;

/// Memory for transfers, which the device can address; `None` where no IOMMU maps any.
pub(crate) fn buffer(device: &dyn PciDevice) -> Result<Option<DmaBuffer>> {
    let Some(space) = device.dma() else {
        return Ok(None);
    };
    let options = DmaOptions::default().address_bits(ADDRESS_BITS);
    space.allocate(TRANSFER, options)?.share().map(Some)
}

impl Edu<'_> {
    /// Lets the device copy `bytes` to its own memory, from `offset` (in bytes) on.
    ///
    /// # Errors
    ///
    /// They do not fit there ([`MEMORY_SIZE`]), there is no DMA, or the device does not come to an end.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let mut at = self.memory(offset, bytes.len())?;
        let buffer = self.buffer()?;
        for part in bytes.chunks(TRANSFER) {
            buffer.view().copy_from_slice(0, part, AccessWidth::Auto)?;
            let count = self.transfer(buffer.iova().raw(), at, part.len(), false)?;
            at += count;
        }
        Ok(())
    }

    /// Lets the device copy its own memory, from `offset` (in bytes) on, to the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let mut at = self.memory(offset, bytes.len())?;
        let buffer = self.buffer()?;
        for part in bytes.chunks_mut(TRANSFER) {
            // What is there from before must not be taken for what was read.
            let stale = vec![0xa5; part.len()];
            buffer
                .view()
                .copy_from_slice(0, &stale, AccessWidth::Auto)?;
            let count = self.transfer(at, buffer.iova().raw(), part.len(), true)?;
            buffer.view().copy_to_slice(0, part, AccessWidth::Auto)?;
            at += count;
        }
        Ok(())
    }

    /// Lets the device copy, waits until it has, and returns how many bytes it were.
    fn transfer(&self, from: u64, to: u64, len: usize, from_device: bool) -> Result<u64> {
        let registers = self.bar.io::<SIZE>()?;
        let count = u64::try_from(len).unwrap_or(u64::MAX);
        registers.try_write_reg(DMA_SOURCE::from(from))?;
        registers.try_write_reg(DMA_DESTINATION::from(to))?;
        registers.try_write_reg(DMA_COUNT::from(count))?;
        // What was written to memory before is there before the device is told to read it: the accessors see to it.
        registers.try_write_reg(
            DMA_COMMAND::zeroed()
                .with_start(true)
                .with_from_device(from_device)
                .with_interrupt(self.interrupt.is_some()),
        )?;
        match &self.interrupt {
            Some(interrupt) => interrupt.wait_for(&self.bar, DMA_DONE)?,
            None => self.poll_transfer()?,
        }
        Ok(count)
    }

    pub(crate) fn poll_transfer(&self) -> Result<()> {
        let registers = self.bar.io::<SIZE>()?;
        Poll::within(SOON)
            .try_until(
                || registers.try_read(DMA_COMMAND),
                |command| Verdict::ready_if(!command.start()),
            )
            .map(drop)
            .map_err(|e| {
                let message = format!("{} does not finish a transfer", self.device.address());
                e.into_error(message)
            })
    }

    fn buffer(&self) -> Result<&DmaBuffer> {
        self.buffer.as_ref().ok_or_else(|| {
            let message = format!(
                "{} is given no memory here: that takes VFIO, and an IOMMU",
                self.device.address()
            );
            Error::new(ErrorKind::Unsupported, message)
        })
    }

    /// The address of these bytes of the device's memory, if it has them.
    fn memory(&self, offset: usize, len: usize) -> Result<u64> {
        let end = offset.checked_add(len);
        match u64::try_from(offset) {
            Ok(offset) if end.is_some_and(|end| end <= MEMORY_SIZE) => Ok(MEMORY + offset),
            _ => {
                let message = format!(
                    "{len:#x} bytes at {offset:#x} do not fit in the {MEMORY_SIZE:#x} bytes of memory of {}",
                    self.device.address()
                );
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}
