//! What the programs of docs/guide share: the device that they drive, and its registers.

// Those of the example driver.
#[path = "../../edu/src/registers.rs"]
pub mod registers;

use outboard::{
    io_core::sim::{Edu, SimulatedDevice},
    prelude::*,
};
use std::{env, error::Error as _, process::ExitCode};

/// Runs `driver` on the device that the command line names, or on a simulated edu if it names none.
pub fn run(driver: impl FnOnce(&dyn PciDevice) -> Result<()>) -> ExitCode {
    match device().and_then(|device| driver(&*device)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            if let Some(hint) = error.hint() {
                eprintln!(" hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn device() -> Result<Box<dyn PciDevice>> {
    let Some(name) = env::args().nth(1) else {
        let address = PciAddress::new(0, 0, 3, 0).expect("it is an address");
        return Ok(Box::new(SimulatedDevice::new(address, Edu::new())));
    };
    let opened = outboard::open(&name)?;
    eprintln!("{name} by {}: {}", opened.backend, opened.reason);
    Ok(opened.device)
}
