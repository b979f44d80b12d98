//! Step 3: a register, by its offset.

use outboard::prelude::*;
use std::process::ExitCode;

fn reach(device: &dyn PciDevice) -> Result<()> {
    let bar = device.bar(0)?;
    let io = bar.io::<0x100>()?;
    println!("identification: {:#010x}", io.try_read32(0x00)?);
    io.try_write32(0x04, 0x1234_5678)?;
    println!("complement:     {:#010x}", io.try_read32(0x04)?);
    if let Err(error) = io.try_read32(0x10_0000) {
        println!("{error}");
    }
    Ok(())
}

fn main() -> ExitCode {
    guide::run(reach)
}
