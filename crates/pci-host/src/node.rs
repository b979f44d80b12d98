//! The nodes through which a program opens a function, once a driver has it.

use crate::{Host, PciFunction, function::is_vfio_driver, host::read};
use io_core::{Error, ErrorKind, Result};
use std::{
    fs::File,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How often the device node is looked for.
const NODE_INTERVAL: Duration = Duration::from_millis(2);

impl Host {
    /// The node of an IOMMU group: `/dev/vfio/7`, or `/dev/vfio/noiommu-0` if there is no IOMMU behind it.
    #[must_use]
    pub fn vfio_group(&self, group: u32) -> PathBuf {
        if self.is_without_iommu(group) {
            self.vfio_dir().join(format!("noiommu-{group}"))
        } else {
            self.vfio_dir().join(group.to_string())
        }
    }

    /// Whether a group is one that VFIO made of a device without an IOMMU.
    #[must_use]
    pub fn is_without_iommu(&self, group: u32) -> bool {
        // What the kernel calls them.
        let name = read(&self.iommu_group_dir(group).join("name"));
        name.is_ok_and(|name| name == "vfio-noiommu")
    }

    /// Whether a function that is in no IOMMU group may be in one once a driver has it: some IOMMUs come late
    /// (virtio's), and VFIO makes groups of its own where it is told to go without an IOMMU.
    pub(crate) fn gives_groups_late(&self) -> bool {
        self.has_iommu() || self.vfio_goes_without_iommu()
    }

    /// Waits until the node through which a program opens the function is there, and returns it. Of a function that was
    /// `bound` a moment ago it is opened too, which some kernels refuse for a while after a hot-plug.
    pub(crate) fn wait_for_node(
        &self,
        function: &PciFunction,
        driver: &str,
        timeout: Duration,
        bound: bool,
    ) -> Result<Option<PathBuf>> {
        let find = || match function.iommu_group {
            Some(group) if is_vfio_driver(driver) => Some(self.vfio_group(group)),
            _ => self.uio_node(function.address),
        };
        if !is_vfio_driver(driver) && driver != "uio_pci_generic" {
            return Ok(None);
        }
        let is_fresh_vfio = bound && is_vfio_driver(driver);
        let started = Instant::now();
        loop {
            // The clock first, so that there is always one look after the deadline.
            let late = started.elapsed() >= timeout;
            let node = find();
            match node {
                Some(node) if node.exists() && !(is_fresh_vfio && is_not_ready(&node)) => {
                    return Ok(Some(node));
                }
                node if late => {
                    let node = node.map_or("its device node".into(), |n| n.display().to_string());
                    return Err(Error::new(
                        ErrorKind::TimedOut,
                        format!("{node} did not appear within {timeout:?}"),
                    )
                    .with_hint("is udev, or devtmpfs, at work on this machine?"));
                }
                _ => thread::sleep(NODE_INTERVAL),
            }
        }
    }
}

/// Whether the kernel says of a group's node that there is no such device, which it does until it is through with it.
fn is_not_ready(node: &Path) -> bool {
    const ENODEV: i32 = 19;
    File::open(node).is_err_and(|e| e.raw_os_error() == Some(ENODEV))
}
