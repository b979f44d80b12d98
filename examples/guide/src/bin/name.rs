//! Step 4: registers by their names.

use guide::registers::{ID, LIVENESS, SIZE};
use outboard::prelude::*;
use std::process::ExitCode;

fn identify(device: &dyn PciDevice) -> Result<()> {
    let bar = device.bar(0)?;
    let io = bar.io::<SIZE>()?;
    let id = io.try_read(ID)?;
    println!("{id:?}");
    println!("version {}.{}", id.major(), id.minor());
    io.try_write_reg(LIVENESS::from(0x1234_5678))?;
    println!("{:?}", io.try_read(LIVENESS)?);
    Ok(())
}

fn main() -> ExitCode {
    guide::run(identify)
}
