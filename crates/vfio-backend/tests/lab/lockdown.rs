//! A kernel that is locked down: what it refuses, and what VFIO can do all the same.

use crate::{
    edu::{ADDRESS_BITS, Edu},
    places::{EDU, TESTDEV},
};
use io_core::{Error, ErrorKind, Io, dma::DmaOptions, irq::InterruptKind::Msi};
use lab_guest::Bound;
use memmap2::MmapOptions;
use pci_host::Host;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    process::Command,
    time::Duration,
};

/// Locks the kernel down, for as long as the machine runs.
fn lock_down() -> Host {
    assert_eq!(lab_guest::fact("kernel"), "stock");
    let file = Path::new("/sys/kernel/security/lockdown");
    if !file.exists() {
        let mut mount = Command::new("mount");
        mount.args(["-t", "securityfs", "securityfs", "/sys/kernel/security"]);
        assert!(mount.status().unwrap().success());
        assert_eq!(Host::system().lockdown(), None);
        fs::write(file, "integrity").unwrap();
    }
    Host::system()
}

#[test]
#[ignore = "needs the lab"]
fn vfio_does_all_that_it_does_otherwise() {
    let host = lock_down();
    assert_eq!(host.lockdown().as_deref(), Some("integrity"));
    let bound = Bound::new(EDU);
    let device = bound.open().unwrap();
    device.set_bus_master(true).unwrap();
    let bar = device.bar(0).unwrap();
    let irq = io_core::PciDevice::interrupts(&device).unwrap();
    let irq = irq.enable(Msi, 0..1).unwrap().pop().unwrap();
    let options = DmaOptions::default().address_bits(ADDRESS_BITS);
    let mut memory = device.dma().unwrap().allocate(4096, options).unwrap();
    memory[..6].copy_from_slice(b"locked");
    let buffer = memory.share().unwrap();
    Edu(&bar).read(buffer.iova(), 6);
    buffer.view().try_write8(0, 0).unwrap();
    Edu(&bar).write(buffer.iova(), 6);
    assert_eq!(&buffer.unshare().unwrap()[..6], b"locked");
    Edu(&bar).raise(1);
    assert_eq!(irq.wait(Duration::from_secs(5)).unwrap(), Some(1));
    Edu(&bar).acknowledge();

    let bound = Bound::new(TESTDEV);
    let ports = bound.open().unwrap().bar(1).unwrap();
    ports.io::<1>().unwrap().try_write8(0, 0).unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn what_is_refused_to_root_too_is_explained() {
    let host = lock_down();
    let folder = format!("/sys/bus/pci/devices/0000:{EDU}");
    let open = |name| {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.open(Path::new(&folder).join(name)).unwrap()
    };
    let write = |mut file: File| file.write(&[0]).unwrap_err();
    let map = |file: &File| MmapOptions::new().len(4096).map_raw(file).unwrap_err();
    let refused: [io::Error; 2] = [write(open("config")), map(&open("resource0"))];
    for refused in refused {
        let error = Error::from_os("cannot reach the device", refused);
        let error = host.or_lockdown(error);
        assert_eq!(error.errno(), Some(1), "EPERM");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let hint = error.hint().unwrap();
        assert!(hint.contains("locked down (integrity)"), "{hint}");
    }
}
