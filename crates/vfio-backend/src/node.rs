//! The nodes through which devices are opened: who may open them, and who has them open.

use io_core::{Error, ErrorKind, pci::PciAddress};
use pci_host::{Host, PciFunction};
use std::path::{Path, PathBuf};

/// How this user comes to open the node of a function, or `/dev/iommu`.
pub(crate) fn permission_hint(host: &Host, node: &Path, function: Option<PciAddress>) -> String {
    if let Some(group) = host.group_of_node(node) {
        return format!(
            "it is for the group {group}: sudo usermod --append --groups {group} $USER, and log in again"
        );
    }
    let now = format!("sudo chown $USER {}", node.display());
    match function {
        Some(address) => format!(
            "give your user that node: {now}, which lasts until the device is bound again; for good, where the rules of \
             Outboard for udev are installed (docs/udev.md): sudo outboard access grant {address} $USER"
        ),
        None => format!(
            "give your user that node: {now}, which lasts until the machine starts again; for good, the rules of Outboard \
             for udev give it to the group outboard: cargo xtask install (docs/udev.md)"
        ),
    }
}

/// The error of a device that is opened once more in the context that has it open.
pub(crate) fn open_here(address: PciAddress) -> Error {
    let message = format!("{address} is open already, in this program");
    Error::new(ErrorKind::Busy, message).with_hint(
        "a clone of its VfioDevice is another handle to it; it is closed with the last of them, and of its BARs, interrupts \
         and buffers",
    )
}

/// Who has a device open, or another one of its group.
pub(crate) fn holder_hint(host: &Host, function: &PciFunction) -> String {
    let nodes = nodes(host, function);
    if let Some(node) = nodes.iter().find(|node| host.has_open(node)) {
        return format!(
            "this program has {} open: one VfioContext opens all devices of a group, and each of them once",
            node.display()
        );
    }
    let nodes: Vec<_> = nodes.iter().map(|n| n.display().to_string()).collect();
    format!(
        "another program has it open: sudo fuser -v {} names it",
        nodes.join(" ")
    )
}

/// The nodes by which the kernel can have given the device away, or another one of its group: those of the members, and
/// that of the group.
fn nodes(host: &Host, function: &PciFunction) -> Vec<PathBuf> {
    let group = function.iommu_group;
    let members = group.and_then(|group| host.iommu_group(group).ok());
    let members = members.unwrap_or_default();
    let cdevs = members.iter().filter_map(|m| host.vfio_cdev(m.address));
    group
        .map(|group| host.vfio_group(group))
        .into_iter()
        .chain(cdevs)
        .collect()
}

/// A machine that tests have written.
#[cfg(test)]
pub(crate) mod machine {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// One with a function in group 7, to which the kernel gives this name.
    pub(crate) fn with_group(name: &str) -> (TempDir, Host, PciFunction) {
        let root = TempDir::new().unwrap();
        let group = root.path().join("sys/kernel/iommu_groups/7");
        let device = root.path().join("sys/bus/pci/devices/0000:01:00.0");
        for folder in [&group, &device] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(group.join("name"), name).unwrap();
        std::os::unix::fs::symlink(&group, device.join("iommu_group")).unwrap();
        let empty = format!("{0} {0} {0}\n", "0x0000000000000000").repeat(7);
        let files = [
            ("vendor", "0x1234"),
            ("device", "0x11e8"),
            ("subsystem_vendor", "0x1af4"),
            ("subsystem_device", "0x1100"),
            ("class", "0x00ff00"),
            ("revision", "0x10"),
            ("resource", &empty),
        ];
        for (file, text) in files {
            fs::write(device.join(file), text).unwrap();
        }
        fs::write(device.join("config"), [0; 64]).unwrap();
        let host = Host::at(root.path());
        let function = host.function("0000:01:00.0".parse().unwrap()).unwrap();
        (root, host, function)
    }
}
