//! Step 5: waiting for the device, by looking.

use guide::registers::{FACTORIAL, SIZE, STATUS};
use outboard::prelude::*;
use std::{process::ExitCode, time::Duration};

fn factorial(device: &dyn PciDevice) -> Result<()> {
    let bar = device.bar(0)?;
    let io = bar.io::<SIZE>()?;
    io.try_write_reg(FACTORIAL::from(10))?;
    Poll::within(Duration::from_secs(1))
        .try_until(
            || io.try_read(STATUS),
            |status| Verdict::ready_if(!status.computing()),
        )
        .map_err(|error| error.into_error("10! is not computed"))?;
    println!("10! = {}", io.try_read(FACTORIAL)?.into_raw());
    Ok(())
}

fn main() -> ExitCode {
    guide::run(factorial)
}
