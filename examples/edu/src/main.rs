//! `edu DEV`: lets QEMU's educational device do all that it can.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use clap::Parser;
use edu::{Edu, MEMORY_SIZE, soak::Soak};
use io_core::{Error, ErrorKind, PciDevice, Result, event::Ending, recovery::until_gone};
use outboard::{Backend, Opened, open_on, prelude::Selector};
use pci_host::Host;
use std::{error::Error as _, process::ExitCode, time::Duration};

/// It was let go of because somebody wants it.
const WANTED_BACK: u8 = 3;
/// It was pulled out, or did not come back after a loss.
const LOST: u8 = 4;
/// It gave wrong results.
const WRONG_DATA: u8 = 5;

/// How long a device that was lost may take to come back.
const PATIENCE: Duration = Duration::from_secs(20);

/// Let QEMU's educational device do all that it can
#[derive(Debug, Parser)]
#[command(
    after_help = "Exit status: 0 if all went well, also after losses that it recovered from; 1 if something failed; \
    2 for wrong arguments; 3 if the device was let go of because somebody wants it; 4 if it was lost for good; \
    5 if it gave wrong results."
)]
struct Arguments {
    /// The device, bound to vfio-pci or uio_pci_generic, or to no driver, such as 00:03.0 or 1234:11e8
    #[arg(value_name = "DEV")]
    device: Selector,
    /// What carries it: iommufd, type1, uio or sysfs; if it is not said, what fits
    #[arg(long)]
    backend: Option<Backend>,
    /// Let it compute and copy for so many seconds, and check all that it does, also when it is lost meanwhile
    #[arg(long, value_name = "SECONDS")]
    soak: Option<u64>,
}

fn main() -> ExitCode {
    let error = match run(&Arguments::parse()) {
        Ok(status) => return status,
        Err(error) => error,
    };
    eprintln!("edu: {error}");
    if let Some(source) = error.source() {
        eprintln!("because: {source}");
    }
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
    match error.kind() {
        ErrorKind::Lost => LOST.into(),
        _ => ExitCode::FAILURE,
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Opened {
        device,
        backend,
        reason,
    } = open_on(&Host::system(), &arguments.device, arguments.backend)?;
    if let Some(seconds) = arguments.soak {
        return soak(&*device, Duration::from_secs(seconds));
    }
    let mut edu = Edu::new(&*device)?;
    let (major, minor) = edu.version();
    let address = device.address();
    println!("edu {major}.{minor} at {address}, by {backend}: {reason}");

    edu.check_liveness(0x1234_5678)?;
    println!("alive");
    println!("polled: 10! = {}", edu.factorial(10)?);
    copy_there_and_back(&*device, &edu, "polled")?;
    if device.interrupts().is_none() {
        println!("no interrupts come by {backend}");
        return Ok(ExitCode::SUCCESS);
    }
    let kind = edu.use_interrupt()?;
    edu.raise(0x8000)?;
    println!("{kind}: raised and acknowledged");
    println!("{kind}: 12! = {}", edu.factorial(12)?);
    copy_there_and_back(&*device, &edu, &kind.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Lets the load run until its end, or that of the device.
fn soak(device: &dyn PciDevice, time: Duration) -> Result<ExitCode> {
    let address = device.address();
    let tell = |what: &str| println!("{address}: {what}");
    let mut soak = Soak::new(device, time, tell);
    let ending = until_gone(device, PATIENCE, &mut soak);
    let tally = soak.tally;
    println!(
        "{address}: {} factorials and {} copies were right, recovered {} times",
        tally.factorials, tally.copies, tally.recoveries
    );
    match ending {
        Ok(Ending::Done(())) => Ok(ExitCode::SUCCESS),
        Ok(Ending::Event(event)) => {
            eprintln!("edu: {address} was let go of: {event}");
            Ok(WANTED_BACK.into())
        }
        Err(error) if tally.is_wrong => {
            eprintln!("edu: {error}");
            Ok(WRONG_DATA.into())
        }
        Err(error) => Err(error),
    }
}

/// Fills the device's memory by DMA, and compares what it gives back, if it can have memory.
fn copy_there_and_back(device: &dyn PciDevice, edu: &Edu<'_>, how: &str) -> Result<()> {
    if device.dma().is_none() {
        println!("{how}: no memory for it, and so no copies");
        return Ok(());
    }
    let there: Vec<u8> = (0..=250).cycle().take(MEMORY_SIZE).collect();
    let mut back = vec![0; MEMORY_SIZE];
    edu.write(0, &there)?;
    edu.read(0, &mut back)?;
    match there
        .iter()
        .zip(&back)
        .position(|(there, back)| there != back)
    {
        None => {
            println!("{how}: {MEMORY_SIZE} bytes copied there and back");
            Ok(())
        }
        Some(offset) => {
            let message =
                format!("what came back from the device differs from offset {offset:#x} on");
            Err(Error::new(ErrorKind::Other, message))
        }
    }
}
