//! `edu DEV`: lets QEMU's educational device do all that it can.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use clap::Parser;
use edu::{soak::Soak, tour};
use io_core::{
    Error, ErrorKind, PciDevice, Result, event,
    record::{Ending, Recording, Replay},
    recovery::until_gone,
};
use outboard::{Backend, Opened, open_on, prelude::Selector};
use pci_host::Host;
use std::{
    error::Error as _,
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

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
    #[arg(
        value_name = "DEV",
        required_unless_present = "replay",
        conflicts_with = "replay"
    )]
    device: Option<Selector>,
    /// What carries it: iommufd, type1, uio or sysfs; if it is not said, what fits
    #[arg(long, conflicts_with = "replay")]
    backend: Option<Backend>,
    /// Let it compute and copy for so many seconds, and check all that it does, also when it is lost meanwhile
    #[arg(long, value_name = "SECONDS", conflicts_with = "replay")]
    soak: Option<u64>,
    /// Write all that is done with the device to this file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Do the same without a device, by what --record wrote to this file
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
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
    let device = match (&arguments.replay, &arguments.device) {
        (Some(file), _) => return replay(file),
        (None, Some(device)) => device,
        (None, None) => return Err(Error::new(ErrorKind::InvalidInput, "no device is named")),
    };
    let Opened {
        device,
        backend,
        reason,
    } = open_on(&Host::system(), device, arguments.backend)?;
    let how = (backend.word(), reason.as_str());
    let Some(file) = &arguments.record else {
        return work(&*device, arguments.soak, how);
    };
    let cannot = |e| Error::from_os(format!("cannot write {}", file.display()), e);
    let recording = Recording::new(&*device, File::create(file).map_err(cannot)?)?;
    let worked = work(&recording, arguments.soak, how);
    let finished = recording.finish();
    let status = worked?;
    finished?;
    Ok(status)
}

/// Drives the device that is recorded in this file.
fn replay(file: &Path) -> Result<ExitCode> {
    let cannot = |e| Error::from_os(format!("cannot read {}", file.display()), e);
    let bytes = fs::read(file).map_err(cannot)?;
    let device = Replay::new(bytes).map_err(|e| {
        let hint = e.hint().unwrap_or("edu --record writes one").to_owned();
        let message = format!("cannot replay {}", file.display());
        Error::new(e.kind(), message).with_source(e).with_hint(hint)
    })?;
    let reason = format!("{} has it recorded", file.display());
    let worked = work(&device, None, ("replay", &reason));
    if let Some(deviation) = device.deviation() {
        return Err(Error::new(ErrorKind::Other, deviation.to_string()));
    }
    match device.ending() {
        Ending::Finished => {}
        Ending::Cut => eprintln!("edu: the recording is cut off at its end"),
        Ending::Damaged(at) => eprintln!("edu: the recording is damaged from byte {at} on"),
    }
    worked
}

/// Drives the device, which is carried by this, for that reason.
fn work(device: &dyn PciDevice, soak_for: Option<u64>, how: (&str, &str)) -> Result<ExitCode> {
    match soak_for {
        Some(seconds) => soak(device, Duration::from_secs(seconds)),
        None => tour(device, how, |line| println!("{line}")).map(|()| ExitCode::SUCCESS),
    }
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
        Ok(event::Ending::Done(())) => Ok(ExitCode::SUCCESS),
        Ok(event::Ending::Event(event)) => {
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
