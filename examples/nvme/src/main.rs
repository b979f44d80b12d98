//! `nvme DEV`: what a drive is, whether it keeps what is written to it, and how fast it is.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod bench;

use clap::Parser;
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use nvme::{Nvme, Options};
use pci_host::Host;
use std::{
    error::Error as _,
    process::ExitCode,
    time::{Duration, Instant},
};
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

/// Read an NVMe drive and, if told so, write to it and compare
#[derive(Debug, Parser)]
struct Arguments {
    /// The drive, bound to vfio-pci, such as 04:00.0
    #[arg(value_name = "DEV")]
    device: PciAddress,
    /// The kernel's interface to the IOMMU: auto, type1 or iommufd
    #[arg(long, default_value = "auto")]
    mode: IommuMode,
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
}

fn main() -> ExitCode {
    let Err(error) = run(&Arguments::parse()) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("nvme: {error}");
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
    if let Some(seconds) = arguments.bench {
        for depth in [1, 8, 32] {
            let mut nvme = open(&device, depth, arguments)?;
            println!("{}", bench::run(&mut nvme, Duration::from_secs(seconds))?);
            nvme.close()?;
        }
        return Ok(());
    }
    let mut nvme = open(&device, arguments.depth, arguments)?;
    describe(&nvme, &context, arguments.device)?;
    transfer(&mut nvme, arguments)?;
    nvme.close()
}

fn open<'d>(device: &'d VfioDevice, depth: u16, arguments: &Arguments) -> Result<Nvme<'d>> {
    let options = Options {
        depth,
        interrupts: arguments.interrupts,
    };
    Nvme::new(device, options)
}

fn describe(nvme: &Nvme<'_>, context: &VfioContext, address: PciAddress) -> Result<()> {
    let (info, namespace) = (nvme.info(), nvme.namespace());
    let (major, minor) = nvme.version()?;
    println!("{address}, by {}: NVMe {major}.{minor}", context.mode());
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
