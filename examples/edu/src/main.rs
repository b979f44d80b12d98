//! `edu DEV`: lets QEMU's educational device do all that it can.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use clap::Parser;
use edu::{Edu, MEMORY_SIZE};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use pci_host::Host;
use std::{error::Error as _, process::ExitCode};
use vfio_backend::{IommuMode, VfioContext};

/// Let QEMU's educational device do all that it can
#[derive(Debug, Parser)]
struct Arguments {
    /// The device, bound to vfio-pci, such as 00:03.0
    #[arg(value_name = "DEV")]
    device: PciAddress,
    /// The kernel's interface to the IOMMU: auto, type1 or iommufd
    #[arg(long, default_value = "auto")]
    mode: IommuMode,
}

fn main() -> ExitCode {
    let Err(error) = run(&Arguments::parse()) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("edu: {error}");
    if let Some(source) = error.source() {
        eprintln!("because: {source}");
    }
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<()> {
    let context = VfioContext::new(&Host::system(), arguments.mode)?;
    let device = context.open(arguments.device)?;
    let mut edu = Edu::new(&device)?;
    let (major, minor) = edu.version();
    println!(
        "edu {major}.{minor} at {}, by {}",
        arguments.device,
        context.mode()
    );

    edu.check_liveness(0x1234_5678)?;
    println!("alive");
    println!("polled: 10! = {}", edu.factorial(10)?);
    copy_there_and_back(&edu)?;
    println!("polled: {MEMORY_SIZE} bytes copied there and back");

    let kind = edu.use_interrupt()?;
    edu.raise(0x8000)?;
    println!("{kind}: raised and acknowledged");
    println!("{kind}: 12! = {}", edu.factorial(12)?);
    copy_there_and_back(&edu)?;
    println!("{kind}: {MEMORY_SIZE} bytes copied there and back");
    Ok(())
}

/// Fills the device's memory by DMA, and compares what it gives back.
fn copy_there_and_back(edu: &Edu<'_>) -> Result<()> {
    let there: Vec<u8> = (0..=250).cycle().take(MEMORY_SIZE).collect();
    let mut back = vec![0; MEMORY_SIZE];
    edu.write(0, &there)?;
    edu.read(0, &mut back)?;
    match there
        .iter()
        .zip(&back)
        .position(|(there, back)| there != back)
    {
        None => Ok(()),
        Some(offset) => {
            let message =
                format!("what came back from the device differs from offset {offset:#x} on");
            Err(Error::new(ErrorKind::Other, message))
        }
    }
}
