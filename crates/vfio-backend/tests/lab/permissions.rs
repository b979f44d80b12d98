//! What this user may not do, and who else has a device open.

use crate::{nobody, places::EDU};
use io_core::{ErrorKind, PciDevice, irq::InterruptKind::Msi};
use lab_guest::{Bound, modes};
use pci_host::Host;
use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
};
use vfio_backend::{IommuMode, VfioContext};

#[test]
#[ignore = "needs the lab"]
fn a_device_that_another_program_has_open_is_busy_and_its_nodes_are_named() {
    if let Some(mode) = nobody::told() {
        let context = VfioContext::new(&Host::system(), mode.parse().unwrap()).unwrap();
        let error = context.open(EDU.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{mode}: {error}");
        let hint = error.hint().unwrap();
        assert!(
            hint.starts_with("another program has it open: sudo fuser -v "),
            "{hint}"
        );
        let cdev = Host::system().vfio_cdev(EDU.parse().unwrap());
        let nodes = [Some("/dev/vfio/".into()), cdev];
        for node in nodes.iter().flatten() {
            assert!(hint.contains(&node.display().to_string()), "{hint}");
        }
        return;
    }
    for (first, second) in modes()
        .into_iter()
        .flat_map(|first| modes().into_iter().map(move |s| (first, s)))
    {
        let bound = Bound::new(EDU);
        let _device = bound.open_in(first);
        nobody::give(&bound, nobody::NOBODY);
        let name =
            "permissions::a_device_that_another_program_has_open_is_busy_and_its_nodes_are_named";
        nobody::run(name, 64, &second.to_string());
        nobody::give(&bound, 0);
    }
}

/// Who may not open a node is told which, and how to be given it, now and for good.
#[test]
#[ignore = "needs the lab"]
fn who_may_not_open_a_node_is_told_how_to_be_given_it() {
    if let Some(words) = nobody::told() {
        let words: Vec<_> = words.splitn(3, ' ').collect();
        let [mode, node, for_good] = words[..] else {
            panic!("{words:?}")
        };
        let open = || VfioContext::new(&Host::system(), mode.parse()?)?.open(EDU.parse().unwrap());
        let error = open().unwrap_err();
        assert_eq!(
            (error.kind(), error.errno()),
            (ErrorKind::PermissionDenied, Some(13)),
            "EACCES: {error}"
        );
        assert!(error.to_string().contains(node), "{error}");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains(&format!("sudo chown $USER {node},")),
            "{hint}"
        );
        assert!(hint.contains(for_good), "{hint}");
        return;
    }
    let bound = Bound::new(EDU);
    let run = |mode: IommuMode, node: &Path, for_good: &str| {
        let word = format!("{mode} {} {for_good}", node.display());
        nobody::run(
            "permissions::who_may_not_open_a_node_is_told_how_to_be_given_it",
            64,
            &word,
        );
    };
    let rule = format!("sudo outboard access grant {} $USER", bound.address);
    run(IommuMode::Type1, &nobody::group(&bound), &rule);
    if modes().contains(&IommuMode::Iommufd) {
        run(IommuMode::Iommufd, &bound.host.iommufd(), "xtask");
        chown(bound.host.iommufd(), Some(nobody::NOBODY), None).unwrap();
        let cdev = bound.host.vfio_cdev(bound.address).unwrap();
        run(IommuMode::Iommufd, &cdev, &rule);
        chown(bound.host.iommufd(), Some(0), None).unwrap();
    }
}

mod noremap {
    use super::*;
    use crate::plugged::PLUGGED;

    /// Lets devices without interrupt remapping be opened, or not.
    fn allow(mode: IommuMode, value: &str) -> PathBuf {
        let module = match mode {
            IommuMode::Iommufd => "iommufd",
            _ => "vfio_iommu_type1",
        };
        let switch = Path::new("/sys/module")
            .join(module)
            .join("parameters/allow_unsafe_interrupts");
        fs::write(&switch, value).unwrap();
        switch
    }

    #[test]
    #[ignore = "needs the lab"]
    fn an_iommu_that_does_not_remap_interrupts_is_refused_and_the_switch_is_named() {
        for mode in modes() {
            let bound = Bound::new(EDU);
            let switch = allow(mode, "0");
            let context = VfioContext::new(&bound.host, mode).unwrap();
            let error = context.open(bound.address).unwrap_err();
            assert_eq!(
                (error.kind(), error.errno()),
                (ErrorKind::PermissionDenied, Some(1)),
                "EPERM: {error}"
            );
            let hint = error.hint().unwrap();
            assert!(hint.contains("does not remap interrupts"), "{hint}");
            assert!(
                hint.contains(&format!("echo 1 | sudo tee {}", switch.display())),
                "{hint}"
            );
            // What it says works.
            allow(mode, "1");
            context.open(bound.address).unwrap();
            allow(mode, "0");
        }
    }

    /// QEMU's nec-usb-xhci has 16 vectors of MSI. The machine has it in the root port that is empty elsewhere: pulled out,
    /// it would not tell that it is gone.
    #[test]
    #[ignore = "needs the lab"]
    fn fewer_vectors_than_were_asked_for_are_none_and_their_number_is_told() {
        for mode in modes() {
            let bound = Bound::new(PLUGGED);
            allow(mode, "1");
            let device = bound.open_in(mode);
            let interrupts = device.interrupts().unwrap();
            assert_eq!(interrupts.info(Msi).unwrap().count, 16);
            let error = interrupts.enable(Msi, 0..16).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(
                error.to_string(),
                "cannot enable 16 vectors of MSI of 0000:02:00.0: the kernel can have 1, and has enabled none",
                "{mode}"
            );
            assert!(error.hint().unwrap().contains("remaps interrupts"));
            let irqs = interrupts.enable(Msi, 0..1).unwrap();
            irqs[0].trigger().unwrap();
            assert_eq!(irqs[0].wait(std::time::Duration::ZERO).unwrap(), Some(1));
            allow(mode, "0");
        }
    }
}
