//! One driver on every backend that there is, in the lab.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it saw"
)]

use io_core::ErrorKind;
use lab_guest::Bound;
use outboard::{Backend, open_on};
use pci_host::Host;

const EDU: &str = "00:03.0";

/// The driver of edu computes 10!; copies, where there is an IOMMU; and takes an interrupt, where there are any.
fn assert_driven(asked: Option<Backend>, backend: Backend, reason: &str) {
    let opened = open_on(&Host::system(), EDU.parse().unwrap(), asked).unwrap();
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
    let error = open_on(&Host::system(), EDU.parse().unwrap(), Some(asked)).unwrap_err();
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
