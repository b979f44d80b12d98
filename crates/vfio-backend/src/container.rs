//! The container: where the IOMMU's translations for one or more groups live.

use crate::sys;
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use nix::errno::Errno;
use pci_host::Host;
use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::AsFd,
};
use vfio_bindings::bindings::vfio::{VFIO_API_VERSION, VFIO_TYPE1v2_IOMMU};

/// An open `/dev/vfio/vfio`.
#[derive(Debug)]
pub(crate) struct Container {
    file: File,
}

/// The IOMMU that this crate uses, as the ioctls take it.
fn type1v2() -> i32 {
    i32::try_from(VFIO_TYPE1v2_IOMMU).expect("the number of an IOMMU type is small")
}

impl Container {
    pub(crate) fn open(host: &Host) -> Result<Self> {
        let path = host.vfio_dir().join("vfio");
        // The standard library opens with O_CLOEXEC.
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(|e| {
            let error = Error::from_os(format!("cannot open {}", path.display()), e);
            let hint = match error.kind() {
                ErrorKind::NotFound => "load the module: sudo modprobe vfio-pci".to_owned(),
                ErrorKind::PermissionDenied => format!(
                    "this node gives nothing by itself and is meant for everyone: sudo chmod 0666 {}",
                    path.display()
                ),
                _ => return error,
            };
            error.with_hint(hint)
        })?;
        let container = Self { file };
        let version = sys::get_api_version(container.file.as_fd());
        if version.ok().and_then(|v| u32::try_from(v).ok()) != Some(VFIO_API_VERSION) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} does not speak version {VFIO_API_VERSION} of VFIO's interface",
                    path.display()
                ),
            ));
        }
        if !sys::check_extension(container.file.as_fd(), type1v2()).unwrap_or(false) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the kernel has no type 1 version 2 IOMMU for VFIO",
            )
            .with_hint("load the module: sudo modprobe vfio_iommu_type1"));
        }
        Ok(container)
    }

    /// Chooses the IOMMU, for the device at `address`. The container must have its group by now.
    pub(crate) fn set_iommu(&self, address: PciAddress) -> Result<()> {
        sys::set_iommu(self.file.as_fd(), type1v2()).map_err(|errno| {
            let message = format!("cannot set up the IOMMU for {address}");
            let error = Error::from_os(message, io::Error::from(errno));
            match errno {
                Errno::EPERM => error.with_hint(
                    "the machine's IOMMU does not remap interrupts, so that a device could raise \
                     any of them; if you trust the device: echo 1 | sudo tee \
                     /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
                ),
                _ => error,
            }
        })
    }
}

impl AsFd for Container {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}
