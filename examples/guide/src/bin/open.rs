//! Step 2: what can be done with it here.

use outboard::prelude::*;
use std::process::ExitCode;

fn show(device: &dyn PciDevice) -> Result<()> {
    let kinds = [InterruptKind::Intx, InterruptKind::Msi, InterruptKind::MsiX];
    match device.interrupts() {
        None => println!("no interrupts"),
        Some(interrupts) => {
            for kind in kinds {
                println!("{} vectors of {kind}", interrupts.info(kind)?.count);
            }
        }
    }
    match device.dma() {
        None => println!("no memory for it"),
        Some(_) => println!("memory, by addresses of its own"),
    }
    Ok(())
}

fn main() -> ExitCode {
    guide::run(show)
}
