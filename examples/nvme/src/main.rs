//! `nvme DEV`: what a drive is, whether it keeps what is written to it, how fast it is, and what becomes of it when it goes
//! away.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod bench;

use clap::Parser;
use io_core::{
    Error, ErrorKind, PciDevice, Result, event::Ending, pci::PciAddress, recovery::until_gone,
};
use nvme::{Nvme, Options, soak::Soak};
use outboard::{Backend, open_on, prelude::Selector};
use pci_host::Host;
use std::{
    error::Error as _,
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// It was let go of because somebody wants it.
const WANTED_BACK: u8 = 3;
/// It was pulled out, or did not come back after a loss.
const LOST: u8 = 4;
/// It has other data than it acknowledged.
const WRONG_DATA: u8 = 5;

/// How long a drive that was lost may take to come back.
const PATIENCE: Duration = Duration::from_secs(20);

/// Read an NVMe drive and, if told so, write to it and compare
#[derive(Debug, Parser)]
#[command(
    after_help = "Exit status: 0 if all went well, also after losses that it recovered from; 1 if something failed; \
    2 for wrong arguments; 3 if the drive was let go of because somebody wants it; 4 if it was lost for good; \
    5 if it has other data than it acknowledged."
)]
struct Arguments {
    /// The drive, bound to vfio-pci, such as 04:00.0 or path:0000:00:07.0/00.0
    #[arg(value_name = "DEV")]
    device: Selector,
    /// What carries it: iommufd or type1, as others give it no memory; if it is not said, what fits
    #[arg(long)]
    backend: Option<Backend>,
    /// How many commands are under way at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth: u16,
    /// Wait for interrupts, and do not look for completions all the time
    #[arg(long)]
    interrupts: bool,
    /// The first block
    #[arg(long, value_name = "LBA", default_value_t = 0)]
    lba: u64,
    /// How many blocks are read, or written
    #[arg(long, value_name = "N", default_value_t = 2048)]
    blocks: u32,
    /// OVERWRITE these blocks with a pattern, read them back, and compare
    #[arg(long)]
    write: bool,
    /// Read single blocks at random for so many seconds, at depths 1, 8 and 32 (and without --depth)
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["write", "depth"])]
    bench: Option<u64>,
    /// OVERWRITE the blocks at random for so many seconds, and read them back, also when the drive is lost meanwhile
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["write", "bench"])]
    soak: Option<u64>,
    /// Where to write what has to be on the drive at the end: a line for each 4 KiB with the first block, the number of
    /// the last write that was acknowledged, and that of one which may be there in its place
    #[arg(long, value_name = "FILE", requires = "soak")]
    ledger: Option<PathBuf>,
}

fn main() -> ExitCode {
    let error = match run(&Arguments::parse()) {
        Ok(status) => return status,
        Err(error) => error,
    };
    eprintln!("nvme: {error}");
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
    let opened = open_on(&Host::system(), &arguments.device, arguments.backend)?;
    let device = &*opened.device;
    if let Some(seconds) = arguments.bench {
        for depth in [1, 8, 32] {
            let mut nvme = open(device, depth, arguments)?;
            println!("{}", bench::run(&mut nvme, Duration::from_secs(seconds))?);
            nvme.close()?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(seconds) = arguments.soak {
        return soak(device, Duration::from_secs(seconds), arguments);
    }
    let mut nvme = open(device, arguments.depth, arguments)?;
    describe(&nvme, opened.backend, device.address())?;
    transfer(&mut nvme, arguments)?;
    nvme.close()?;
    Ok(ExitCode::SUCCESS)
}

/// Lets the load run until its end, or that of the drive.
fn soak(device: &dyn PciDevice, time: Duration, arguments: &Arguments) -> Result<ExitCode> {
    let address = device.address();
    let options = options(arguments.depth, arguments);
    let blocks = (arguments.lba, arguments.blocks.into());
    let tell = |what: &str| println!("{address}: {what}");
    let mut soak = Soak::new(device, options, blocks, time, tell);
    let ending = until_gone(device, PATIENCE, &mut soak);
    let tally = soak.tally;
    println!(
        "{address}: {} writes acknowledged, {} reads, recovered {} times",
        tally.writes, tally.reads, tally.recoveries
    );
    if let Some(path) = &arguments.ledger {
        fs::write(path, soak.ledger()).map_err(|error| {
            let message = format!("cannot write the ledger {}", path.display());
            Error::from_os(message, error)
        })?;
    }
    match ending {
        Ok(Ending::Done(())) => {
            println!("{address}: all that was acknowledged is there");
            Ok(ExitCode::SUCCESS)
        }
        Ok(Ending::Event(event)) => {
            eprintln!("nvme: {address} was let go of: {event}");
            Ok(WANTED_BACK.into())
        }
        Err(error) if tally.is_wrong => {
            eprintln!("nvme: {error}");
            Ok(WRONG_DATA.into())
        }
        Err(error) => Err(error),
    }
}

fn open<'d>(device: &'d dyn PciDevice, depth: u16, arguments: &Arguments) -> Result<Nvme<'d>> {
    Nvme::new(device, options(depth, arguments))
}

fn options(depth: u16, arguments: &Arguments) -> Options {
    Options {
        depth,
        interrupts: arguments.interrupts,
    }
}

fn describe(nvme: &Nvme<'_>, backend: Backend, address: PciAddress) -> Result<()> {
    let (info, namespace) = (nvme.info(), nvme.namespace());
    let (major, minor) = nvme.version()?;
    println!("{address}, by {backend}: NVMe {major}.{minor}");
    println!(
        "{}, serial number {}, firmware {}",
        info.model, info.serial, info.firmware
    );
    println!(
        "namespace {}: {} blocks of {} bytes",
        namespace.id, namespace.blocks, namespace.block_size
    );
    Ok(())
}

fn transfer(nvme: &mut Nvme<'_>, arguments: &Arguments) -> Result<()> {
    let (lba, block) = (arguments.lba, nvme.namespace().block_size);
    let len = usize::try_from(arguments.blocks)
        .unwrap_or(usize::MAX)
        .saturating_mul(block);
    let mut read = vec![0; len];
    if !arguments.write {
        timed("read", arguments.blocks, || nvme.read(lba, &mut read))?;
        println!("nothing was written: --write overwrites these blocks");
        return Ok(());
    }
    // No two blocks are the same, wherever they are.
    let pattern: Vec<u8> = (0_u64..)
        .flat_map(|i| (i + lba).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(len)
        .collect();
    timed("wrote", arguments.blocks, || {
        nvme.write(lba, &pattern)?;
        nvme.flush()
    })?;
    timed("read", arguments.blocks, || nvme.read(lba, &mut read))?;
    match pattern
        .iter()
        .zip(&read)
        .position(|(wrote, read)| wrote != read)
    {
        None => println!("what was read is what was written"),
        Some(at) => {
            let message =
                format!("what was read differs from what was written, from byte {at:#x} on");
            return Err(Error::new(ErrorKind::Other, message));
        }
    }
    Ok(())
}

/// Does it, and says how long it took.
fn timed(what: &str, blocks: u32, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    act()?;
    println!("{what} {blocks} blocks in {:.1?}", started.elapsed());
    Ok(())
}
