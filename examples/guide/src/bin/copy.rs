//! Step 7: memory that the device reads and writes.

use guide::registers::{DMA_COMMAND, DMA_COUNT, DMA_DESTINATION, DMA_SOURCE, SIZE};
use outboard::prelude::*;
use std::{process::ExitCode, time::Duration};

/// Where the device has memory of its own, for its DMA engine.
const OWN: u64 = 0x4_0000;

fn copy(device: &dyn PciDevice) -> Result<()> {
    let none = || Error::new(ErrorKind::Unsupported, "there is no memory for it here");
    let space = device.dma().ok_or_else(none)?;
    let text = b"there and back";
    // It is the program's at first, and an ordinary slice; the engine has 28 address bits.
    let mut memory = space.allocate(0x1000, DmaOptions::default().address_bits(28))?;
    memory[..text.len()].copy_from_slice(text);
    // From here on the device may read and write it, and it is reached through a view.
    let buffer = memory.share()?;

    device.set_bus_master(true)?;
    let (there, back) = (buffer.iova().raw(), buffer.iova().raw() + 0x800);
    transfer(device, there, OWN, text.len(), false)?;
    transfer(device, OWN, back, text.len(), true)?;
    device.set_bus_master(false)?;

    let mut copied = [0; 14];
    buffer
        .view()
        .copy_to_slice(0x800, &mut copied, AccessWidth::Auto)?;
    println!("{}", String::from_utf8_lossy(&copied));
    Ok(())
}

fn transfer(device: &dyn PciDevice, from: u64, to: u64, len: usize, read: bool) -> Result<()> {
    let bar = device.bar(0)?;
    let io = bar.io::<SIZE>()?;
    io.try_write_reg(DMA_SOURCE::from(from))?;
    io.try_write_reg(DMA_DESTINATION::from(to))?;
    io.try_write_reg(DMA_COUNT::from(len as u64))?;
    // Whatever was written to memory before is there before the device is told.
    io.try_write_reg(
        DMA_COMMAND::zeroed()
            .with_from_device(read)
            .with_start(true),
    )?;
    Poll::within(Duration::from_secs(1))
        .try_until(
            || io.try_read(DMA_COMMAND),
            |command| Verdict::ready_if(!command.start()),
        )
        .map(drop)
        .map_err(|error| error.into_error("the transfer does not end"))
}

fn main() -> ExitCode {
    guide::run(copy)
}
