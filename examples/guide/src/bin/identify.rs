//! Step 1: what it is.

use outboard::prelude::*;
use std::process::ExitCode;

fn identify(device: &dyn PciDevice) -> Result<()> {
    let config = device.config();
    let (vendor, id) = (config.try_read16(0)?, config.try_read16(2)?);
    println!("{} is {vendor:04x}:{id:04x}", device.address());
    for index in 0..6 {
        if let Ok(bar) = device.bar(index) {
            println!("BAR {index} has {:#x} bytes", bar.size());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    guide::run(identify)
}
