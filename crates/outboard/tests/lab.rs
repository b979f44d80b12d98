//! One driver on every backend that there is, in the lab.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it saw"
)]

use io_core::{
    ErrorKind, PciDevice,
    contract::{Finding, Verdict, broken, check},
    record::{Recording, Replay},
    sim::{self, SimulatedDevice},
};
use lab_guest::Bound;
use outboard::{Backend, open_on};
use pci_host::Host;
use std::{fs::OpenOptions, io::Write};

const EDU: &str = "00:03.0";

/// The driver of edu computes 10!; copies, where there is an IOMMU; and takes an interrupt, where there are any.
fn assert_driven(asked: Option<Backend>, backend: Backend, reason: &str) {
    let opened = open_on(&Host::system(), &EDU.parse().unwrap(), asked).unwrap();
    println!("{}: {}", opened.backend, opened.reason);
    assert_eq!((opened.backend, opened.reason.as_str()), (backend, reason));
    let mut edu = edu::Edu::new(&*opened.device).unwrap();
    assert_eq!(edu.factorial(10).unwrap(), 3_628_800);
    let mut copied = [0; 4];
    let copy = edu
        .write(0, b"copy")
        .and_then(|()| edu.read(0, &mut copied));
    let vfio = matches!(backend, Backend::Iommufd | Backend::Type1);
    assert_eq!(copy.is_ok(), vfio, "{copy:?}");
    assert_eq!(&copied == b"copy", vfio);
    let interrupt = edu.use_interrupt();
    assert_eq!(
        interrupt.is_ok(),
        backend != Backend::Sysfs,
        "{interrupt:?}"
    );
    if interrupt.is_ok() {
        assert_eq!(edu.factorial(12).unwrap(), 479_001_600);
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_device_is_opened_by_what_fits_or_by_what_is_asked_for() {
    let full = lab_guest::fact("kernel") == "full";
    let asked = "it was asked for";
    {
        let _bound = Bound::new(EDU);
        if full {
            let reason = "it is bound to vfio-pci, and the kernel has iommufd";
            assert_driven(None, Backend::Iommufd, reason);
            assert_driven(Some(Backend::Iommufd), Backend::Iommufd, asked);
        } else {
            let reason = "it is bound to vfio-pci, and the kernel has no iommufd for it";
            assert_driven(None, Backend::Type1, reason);
        }
        assert_driven(Some(Backend::Type1), Backend::Type1, asked);
        assert_refused(Backend::Uio, "it is bound to vfio-pci");
    }
    {
        let _bound = Bound::to(EDU, "uio_pci_generic");
        assert_driven(None, Backend::Uio, "it is bound to uio_pci_generic");
        assert_driven(Some(Backend::Uio), Backend::Uio, asked);
        assert_refused(Backend::Sysfs, "it is bound to uio_pci_generic");
    }
    assert_driven(None, Backend::Sysfs, "no driver has it");
    assert_refused(Backend::Type1, "no driver has it");
}

fn assert_refused(asked: Backend, now: &str) {
    let error = open_on(&Host::system(), &EDU.parse().unwrap(), Some(asked)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotBound);
    let message = format!("0000:00:03.0 cannot be opened by {asked}: {now}");
    assert_eq!(error.to_string(), message);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("sudo outboard bind 0000:00:03.0")
    );
}

/// What is there of a device, by the names in `io_core::contract`, in which nothing is broken. It is left for the host,
/// which compares docs/backends.md with it.
fn there(device: &dyn PciDevice, name: &str, how: &str) -> Vec<&'static str> {
    let findings = check(device);
    println!("{} by {how}:", device.address());
    for finding in &findings {
        println!("  {finding}");
    }
    assert_eq!(broken(&findings).count(), 0, "{how}: {findings:#?}");
    let mut lines = String::new();
    for Finding { what, verdict } in &findings {
        let verdict = if *verdict == Verdict::Kept {
            "yes"
        } else {
            "-"
        };
        lines += &format!("{name}\t{how}\t{what}\t{verdict}\n");
    }
    let path = lab_guest::results().join("contract.txt");
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(lines.as_bytes()).unwrap();
    let kept = findings.iter().filter(|f| f.verdict == Verdict::Kept);
    kept.map(|finding| finding.what).collect()
}

/// Each backend's findings of the function, which vfio-pci and uio_pci_generic take as well as no driver.
fn each_backend(address: &str, name: &str) -> Vec<(Backend, Vec<&'static str>)> {
    let full = lab_guest::fact("kernel") == "full";
    let open = |backend: Backend| {
        let host = Host::system();
        let opened = open_on(&host, &address.parse().unwrap(), Some(backend)).unwrap();
        let found = there(&*opened.device, name, backend.word());
        assert_recorded(&*opened.device, name, backend, &found);
        (backend, found)
    };
    let mut all = Vec::new();
    {
        let _bound = Bound::new(address);
        all.extend(full.then(|| open(Backend::Iommufd)));
        all.push(open(Backend::Type1));
    }
    {
        let _bound = Bound::to(address, "uio_pci_generic");
        all.push(open(Backend::Uio));
    }
    let free = Host::system().function(address.parse().unwrap()).unwrap();
    if free.driver.is_none() {
        all.push(open(Backend::Sysfs));
    }
    all
}

/// The contract is kept when the device is recorded, and by the recording when it is replayed: there is what was `found`
/// without it, but for mappings.
fn assert_recorded(device: &dyn PciDevice, name: &str, backend: Backend, found: &[&'static str]) {
    let recording = Recording::new(device, Vec::new()).unwrap();
    let recorded = check(&recording);
    assert_eq!(
        broken(&recorded).count(),
        0,
        "{backend}, recorded: {recorded:#?}"
    );
    let bytes = recording.finish().unwrap();
    println!("  recorded in {} bytes", bytes.len());
    let replay = Replay::new(bytes).unwrap();
    // The page has what a recording of VFIO can do.
    let replayed = if backend == Backend::Type1 {
        there(&replay, name, "replay")
    } else {
        let kept = check(&replay)
            .into_iter()
            .filter(|f| f.verdict == Verdict::Kept);
        kept.map(|finding| finding.what).collect()
    };
    assert_eq!((replay.deviation(), replay.left()), (None, 0));
    let unmapped = found.iter().filter(|what| **what != "BARs, mapped");
    assert_eq!(replayed, unmapped.copied().collect::<Vec<_>>());
}

#[test]
#[ignore = "needs the lab"]
fn every_backend_keeps_the_contract_on_each_kind_of_device() {
    let base = ["configuration space", "bus mastering", "BARs"];
    // What the device has of it, by lspci and its reset_method: mapped BARs, INTx, MSI, MSI-X, a reset.
    let devices = [
        ("00:03.0", "edu", [true, true, true, false, false]),
        (
            "00:10.0",
            "ivshmem-plain",
            [true, false, false, false, false],
        ),
        (
            "00:11.0",
            "ivshmem-doorbell",
            [true, false, false, true, false],
        ),
        ("00:13.0", "pci-testdev", [true, false, false, false, false]),
        ("03:00.0", "e1000e", [true, true, true, true, true]),
        ("04:00.0", "nvme", [true, true, false, true, true]),
    ];
    for (address, name, [mapped, intx, msi, msix, reset]) in devices {
        for (backend, found) in each_backend(address, name) {
            let vfio = matches!(backend, Backend::Iommufd | Backend::Type1);
            let mut expected = base.to_vec();
            let rest = [
                ("BARs, mapped", mapped),
                ("INTx", intx && backend != Backend::Sysfs),
                ("MSI", msi && vfio),
                ("MSI-X", msix && vfio),
                ("DMA", vfio),
                ("events", vfio),
                ("reset", reset),
            ];
            expected.extend(
                rest.iter()
                    .filter(|(_, there)| *there)
                    .map(|(what, _)| what),
            );
            assert_eq!(found, expected, "{address}, {backend}");
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn the_simulated_device_keeps_the_contract_in_the_lab_too() {
    let device = SimulatedDevice::new(EDU.parse().unwrap(), sim::Edu::new());
    let found = there(&device, "edu", "simulated");
    assert!(found.contains(&"reset"), "{found:?}");
}

mod noiommu {
    #![expect(unsafe_code, reason = "opens devices without an IOMMU")]

    use super::{EDU, there};
    use lab_guest::Bound;
    use std::fs;
    use vfio_backend::{IommuMode, UnsafeNoIommu, VfioContext};

    #[test]
    #[ignore = "needs the lab"]
    fn vfio_keeps_the_contract_without_an_iommu() {
        let switch = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
        fs::write(switch, "1").unwrap();
        for (address, name, rest) in [
            (EDU, "edu", &["BARs, mapped", "INTx", "MSI", "events"][..]),
            (
                "04:00.0",
                "nvme",
                &["BARs, mapped", "INTx", "MSI-X", "events", "reset"],
            ),
        ] {
            let bound = Bound::new(address);
            // SAFETY: the devices are told no addresses.
            let mode = IommuMode::NoIommu(unsafe { UnsafeNoIommu::new() });
            let context = VfioContext::new(&bound.host, mode).unwrap();
            let device = context.open(bound.address).unwrap();
            let mut expected = vec!["configuration space", "bus mastering", "BARs"];
            expected.extend(rest);
            assert_eq!(there(&device, name, "noiommu"), expected);
        }
    }
}
