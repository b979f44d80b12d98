//! iommufd: an address space, and the devices in it by their own nodes.

use crate::{VfToken, group, sys::iommufd, vf_token};
use io_core::{Error, ErrorKind, Result};
use nix::errno::Errno;
use pci_host::{Host, PciFunction};
use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// An open `/dev/iommu` with one address space.
#[derive(Debug)]
pub(crate) struct Iommufd {
    file: File,
    ioas: u32,
}

impl Iommufd {
    pub(crate) fn open(host: &Host) -> Result<Self> {
        let path = host.iommufd();
        let file = open(&path).map_err(|e| {
            let error = Error::from_os(format!("cannot open {}", path.display()), e);
            let hint = match error.kind() {
                ErrorKind::NotFound => {
                    "the kernel has no iommufd (Linux 6.2 and later, CONFIG_IOMMUFD), or its \
                                        module is not loaded: sudo modprobe iommufd"
                        .to_owned()
                }
                ErrorKind::PermissionDenied => format!(
                    "give your user that node: sudo chown $USER {}",
                    path.display()
                ),
                _ => return error,
            };
            error.with_hint(hint)
        })?;
        let ioas = iommufd::ioas_alloc(file.as_fd()).map_err(|errno| {
            let message = format!("cannot make an address space in {}", path.display());
            Error::from_os(message, io::Error::from(errno))
        })?;
        Ok(Self { file, ioas })
    }

    /// Whether the kernel gives devices nodes of their own, without which there is no use for it.
    pub(crate) fn has_devices(&self, host: &Host) -> bool {
        host.vfio_dir().join("devices").exists()
    }

    /// The number of its address space.
    pub(crate) fn ioas(&self) -> u32 {
        self.ioas
    }

    /// Opens a device and puts it into the address space.
    pub(crate) fn device(
        &self,
        host: &Host,
        function: &PciFunction,
        token: Option<&VfToken>,
    ) -> Result<OwnedFd> {
        let address = function.address;
        let path = host.vfio_cdev(address).ok_or_else(|| {
            let message = format!("VFIO has no node for {address} alone, which iommufd needs");
            Error::new(ErrorKind::Unsupported, message).with_hint(
                "the kernel has to be built with CONFIG_VFIO_DEVICE_CDEV; IommuMode::Type1 needs no such node",
            )
        })?;
        let file = open(&path).map_err(|e| {
            let error = Error::from_os(format!("cannot open {} of {address}", path.display()), e);
            let hint = match error.kind() {
                ErrorKind::PermissionDenied => format!(
                    "give your user that node: sudo chown $USER {}",
                    path.display()
                ),
                _ => return error,
            };
            error.with_hint(hint)
        })?;
        let bind = |token| iommufd::device_bind(file.as_fd(), self.file.as_fd(), token);
        let token = token.map(VfToken::bytes);
        // Kernels that do not ask for tokens here (before Linux 6.17) do not take any.
        let bound = bind(token).or_else(|errno| match errno {
            Errno::EINVAL if token.is_some() => bind(None),
            errno => Err(errno),
        });
        bound.map_err(|errno| bind_error(host, function, &path, errno))?;
        iommufd::device_attach(file.as_fd(), self.ioas).map_err(|errno| {
            let message = format!("cannot put {address} into an address space of the IOMMU");
            let error = Error::from_os(message, io::Error::from(errno));
            match errno {
                Errno::EADDRINUSE | Errno::EINVAL => error.with_hint(
                    "memory may be mapped already at addresses that this device's IOMMU reserves: open all devices \
                     of a context before mapping memory",
                ),
                _ => error,
            }
        })?;
        Ok(file.into())
    }
}

impl AsFd for Iommufd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

// The standard library opens with O_CLOEXEC.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Why a device cannot be bound to an iommufd.
fn bind_error(host: &Host, function: &PciFunction, path: &Path, errno: Errno) -> Error {
    let address = function.address;
    let message = format!("cannot bind {} of {address} to iommufd", path.display());
    let error = Error::from_os(message, io::Error::from(errno));
    match errno {
        Errno::EBUSY | Errno::EINVAL => Error::new(
            ErrorKind::Busy,
            format!("{address} is open already, in this program or another"),
        )
        .with_source(io::Error::from(errno))
        .with_hint(format!(
            "sudo fuser -v {}{} names it",
            path.display(),
            function
                .iommu_group
                .map(|group| format!(" {}", host.vfio_group(group).display()))
                .unwrap_or_default()
        )),
        Errno::EPERM => {
            let group = function.iommu_group.unwrap_or_default();
            match group::not_viable(host, group, address) {
                Ok(Some(reason)) => reason,
                _ => error.with_hint(
                    "the machine's IOMMU does not remap interrupts, so that a device could raise any of them (if \
                     you trust the device: echo 1 | sudo tee /sys/module/iommufd/parameters/allow_unsafe_interrupts); \
                     or another program has a device of the same group",
                ),
            }
        }
        _ => vf_token::explain(error),
    }
}
