//! `cargo xtask demo`: firmware goes into a PCI device's memory and is found there from outside.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::board::Iommu;
use crate::error::{Context, Result};
use crate::lab::{self, Rootfs};
use crate::{kernel, packages, program};

/// OpenSBI, the firmware of RISC-V machines. QEMU's data package has it; on later distributions the package opensbi.
const IMAGES: [&str; 2] = [
    "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin",
    "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin",
];

/// The device of the topology whose BAR 2 is a file on the host.
const DEVICE: &str = "0000:00:10.0";

/// What the guest does. It stops at the first failure.
const SCRIPT: &str = include_str!("guest/demo.sh");

/// How long the guest may take.
const SECONDS: u64 = 120;

/// Runs the demo. The status to exit with is that of the first command that failed.
pub fn run() -> Result<u8> {
    packages::ensure_lab()?;
    let image = image()?;
    let folder = image.parent().unwrap_or(Path::new("/"));
    let out = tempfile::tempdir().context(|| "cannot make a temporary folder")?;
    println!(
        "This boots a virtual machine with emulated PCI devices (some seconds). What follows runs inside it."
    );
    let words = ["sh", "-e", "-c", SCRIPT, "demo", DEVICE];
    let mut command: Vec<OsString> = words.map(OsString::from).to_vec();
    command.push(image.clone().into());
    let status = lab::run(&lab::Options {
        kernel: kernel::Choice::Stock,
        iommu: Iommu::Intel,
        devices: Vec::new(),
        qemu_version: None,
        qmp: false,
        qemu: Vec::new(),
        share: vec![folder.to_owned()],
        out: Some(out.path().to_owned()),
        rootfs: Rootfs::Minimal,
        udev: false,
        restarted: None,
        append: None,
        kvm: false,
        count: false,
        timeout: Some(SECONDS),
        command,
    })?;
    if status == 0 {
        prove(&image, &out.path().join("ivshmem.mem"))?;
    }
    Ok(status)
}

/// A firmware image that comes with the distribution.
fn image() -> Result<PathBuf> {
    // Without symbolic links, which may lead out of the folder that the guest sees.
    let find = || {
        IMAGES
            .iter()
            .find_map(|path| Path::new(path).canonicalize().ok())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    packages::ensure(&["opensbi"])?;
    find().ok_or_else(|| format!("the package opensbi has none of {}", IMAGES.join(", ")).into())
}

/// Compares the file behind the device's memory with the image, without any of our own code having a part in it.
fn prove(image: &Path, memory: &Path) -> Result<()> {
    let expected = fs::read(image).context(|| format!("cannot read {}", image.display()))?;
    let memory_bytes = fs::read(memory).context(|| format!("cannot read {}", memory.display()))?;
    let length = expected.len();
    println!(
        "\nBack on the host. BAR 2 of the device is a file here, which QEMU maps into the guest:"
    );
    let head = memory.with_extension("head");
    fs::write(&head, memory_bytes.get(..length).unwrap_or_default())?;
    let sums = program::run(Command::new("sha256sum").args([image, &head]))?;
    let sums = String::from_utf8_lossy(&sums).into_owned();
    let mut sums = sums
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let (of_image, of_memory) = (sums.next().unwrap_or("?"), sums.next().unwrap_or("?"));
    println!("  sha256 of {}:\n    {of_image}", image.display());
    println!("  sha256 of the first {length} bytes of that file:\n    {of_memory}");
    let rest = memory_bytes.get(length..).unwrap_or_default();
    if memory_bytes.get(..length) != Some(expected.as_slice()) {
        return Err("the memory behind the device is not the image: the upload went wrong".into());
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err("the upload wrote behind the end of the image".into());
    }
    println!(
        "They are identical, byte for byte, and the {} bytes behind them are still zero: the image went\n\
         through VFIO into the device, and nothing else was touched.",
        rest.len()
    );
    Ok(())
}
