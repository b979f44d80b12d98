//! `outboard fw load`.

use crate::{
    cli::LoadArgs,
    failure::{Exit, Failure},
    progress::Progress,
    report::{Report, complain},
    units,
};
use firmware::{ReadBack, Sha256, Upload, UploadError};
use io_core::{Error, Region, SysOrIoMap, pci::PciAddress};
use pci_host::{BarResource, Host, PciFunction};
use serde_json::json;
use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::Path,
    time::{Duration, Instant},
};
use vfio_backend::VfioDevice;

/// Loads a file into a BAR, reads it back and compares.
pub fn run(args: &LoadArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let function = args.device.find(&host)?;
    let address = function.address;
    let resource = function.memory_bar(args.bar)?;
    let image = read_image(args, address, resource)?;
    let width = args.access_width();
    // All that can be refused is refused before the device is opened, which may reset it.
    let size = usize::try_from(resource.size).unwrap_or(usize::MAX);
    Upload::check(size, args.offset, image.len(), width)
        .map_err(|error| refused(args, address, error))?;
    if args.dry_run {
        return Ok(dry_run(args, &function, &image));
    }

    let device = VfioDevice::open(&host, address)?;
    let bar = device.bar(args.bar)?;
    let region = bar.mmio::<0>()?;
    let target = SysOrIoMap::<Region>::from(region);
    let upload =
        Upload::new(target, args.offset, &image, width).map_err(|e| refused(args, address, e))?;

    let started = Instant::now();
    let mut progress = Progress::new("writing", image.len());
    upload
        .write(|done| progress.at(done))
        .map_err(Error::from)?;
    drop(progress);
    let write_time = started.elapsed();

    let started = Instant::now();
    let mut progress = Progress::new("verifying", image.len());
    let back = upload
        .read_back(|done| progress.at(done))
        .map_err(Error::from)?;
    drop(progress);
    let read_time = started.elapsed();

    note_reset(&function);
    let sha256 = Sha256::of(&image);
    if let Some(failure) = difference(args, address, &back, sha256) {
        return Err(failure);
    }
    let times = [write_time, read_time];
    Ok(report(args, &function, &image, sha256, &back, times))
}

/// Reads the file, and no more of it than the BAR has room for.
fn read_image(args: &LoadArgs, address: PciAddress, bar: &BarResource) -> Result<Vec<u8>, Failure> {
    let path = &args.file;
    let failed = |e: io::Error| {
        let exit = match e.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::InvalidFile,
        };
        Failure::new(exit, format!("cannot read {}: {e}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let room = bar
        .size
        .saturating_sub(u64::try_from(args.offset).unwrap_or(u64::MAX));
    let too_large = |has: String| {
        let message = format!(
            "{} has {has} bytes, and BAR {} of {} has room for {room} at offset {:#x}",
            path.display(),
            args.bar,
            address,
            args.offset
        );
        Failure::new(Exit::InvalidFile, message).with_hint("nothing was written to the device")
    };
    if length > room {
        return Err(too_large(length.to_string()));
    }
    let mut image = Vec::new();
    file.take(room.saturating_add(1))
        .read_to_end(&mut image)
        .map_err(failed)?;
    if u64::try_from(image.len()).is_ok_and(|len| len > room) {
        return Err(too_large(format!("more than {room}")));
    }
    Ok(image)
}

/// What the library says of an image, said of the file.
fn refused(args: &LoadArgs, address: PciAddress, error: UploadError) -> Failure {
    let path = args.file.display();
    let message = format!(
        "cannot load {path} into BAR {} of {}: {error}",
        args.bar, address
    );
    let failure = Failure::new(Exit::InvalidFile, message);
    match error {
        UploadError::Length { width, .. } => failure.with_hint(format!(
            "fill the last access up with zeros (--pad), or choose a narrower --width than {width}"
        )),
        UploadError::Offset { .. } => failure.with_hint("choose another --offset or --width"),
        _ => failure,
    }
}

/// The failure of a load whose read-back is not what was written.
fn difference(
    args: &LoadArgs,
    address: PciAddress,
    back: &ReadBack,
    sha256: Sha256,
) -> Option<Failure> {
    let found = back.difference?;
    let message = format!(
        "what was read back from BAR {} of {} differs from {}, first at offset {:#x} of the file: \
         wrote {:#04x}, read {:#04x} (sha256 of the file {sha256}, of what was read back {})",
        args.bar,
        address,
        args.file.display(),
        found.offset,
        found.expected,
        found.found,
        back.sha256
    );
    let failure = Failure::new(Exit::Different, message);
    Some(match args.width {
        _ if found.found == 0xff => failure
            .with_hint("0xff is also what is read where there is no memory, or no device any more"),
        None => failure.with_hint("does this memory take one access width only? try --width 4"),
        Some(_) => failure.with_hint("is this memory meant to be read? some is write-only"),
    })
}

/// Says so if what was loaded may not stay.
fn note_reset(function: &PciFunction) {
    if !function.reset_methods.is_empty() {
        complain(
            " note",
            &format!(
                "the kernel resets {} when it is closed ({}): what was loaded may not stay",
                function.address,
                function.reset_methods.join(", ")
            ),
        );
    }
}

/// What is known before the device is opened.
fn dry_run(args: &LoadArgs, function: &PciFunction, image: &[u8]) -> Report {
    let bound = function.has_vfio_driver();
    let but = if bound {
        ""
    } else {
        "; it is not bound to vfio-pci, which it must be"
    };
    Report {
        schema: "outboard.fw.load/1",
        data: json!({
            "address": function.address.to_string(),
            "bar": args.bar,
            "offset": args.offset,
            "bytes": image.len(),
            "bound": bound,
            "dry_run": true,
        }),
        text: format!(
            "{} fits: {} bytes at offset {:#x} of BAR {} of {}; the device was not opened{but}\n",
            args.file.display(),
            image.len(),
            args.offset,
            args.bar,
            function.address
        ),
    }
}

fn report(
    args: &LoadArgs,
    function: &PciFunction,
    image: &[u8],
    sha256: Sha256,
    back: &ReadBack,
    [write_time, read_time]: [Duration; 2],
) -> Report {
    let (device, bar, offset, bytes) = (function.address, args.bar, args.offset, image.len());
    let mut text = String::new();
    let mut line = |what: &str, says: String| {
        writeln!(text, "{what:<20}{says}").expect("a string takes whatever is written");
    };
    let path = Path::display(&args.file);
    line(
        "loaded",
        format!("{path} into BAR {bar} of {device}, at offset {offset:#x}"),
    );
    line("written", speed(bytes, write_time));
    line(
        "read back",
        speed(bytes, read_time) + ", hashing and comparing included",
    );
    line("sha256 of file", sha256.to_string());
    line("sha256 of read-back", back.sha256.to_string());
    line(
        "verified",
        "every byte that was read back is the file's".to_owned(),
    );
    Report {
        schema: "outboard.fw.load/1",
        data: json!({
            "address": device.to_string(),
            "bar": bar,
            "offset": offset,
            "bytes": bytes,
            "write_seconds": write_time.as_secs_f64(),
            "read_seconds": read_time.as_secs_f64(),
            "sha256_file": sha256.to_string(),
            "sha256_read_back": back.sha256.to_string(),
            "verified": true,
            "reset_on_close": function.reset_methods,
        }),
        text,
    }
}

fn speed(bytes: usize, time: Duration) -> String {
    format!(
        "{bytes} bytes in {:.3} s, {}",
        time.as_secs_f64(),
        units::rate(bytes, time)
    )
}
