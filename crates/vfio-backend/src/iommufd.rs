//! iommufd: an address space, and the devices in it by their own nodes.

use crate::{VfToken, group, node, sys::iommufd, vf_token};
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
    file: OwnedFd,
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
                ErrorKind::PermissionDenied => node::permission_hint(host, &path, None),
                _ => return error,
            };
            error.with_hint(hint)
        })?;
        let ioas = iommufd::ioas_alloc(file.as_fd()).map_err(|errno| {
            let message = format!("cannot make an address space in {}", path.display());
            Error::from_os(message, io::Error::from(errno))
        })?;
        let file = file.into();
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
                ErrorKind::PermissionDenied => node::permission_hint(host, &path, Some(address)),
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
        if let Err(errno) = bound {
            // What is found open then is not this one.
            drop(file);
            return Err(bind_error(host, function, &path, errno));
        }
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
        Errno::EBUSY => open_already(host, function, errno),
        Errno::EINVAL if is_open(host, function, path) => open_already(host, function, errno),
        Errno::EINVAL => error.with_hint(format!(
            "the kernel's log may say why: sudo dmesg; if another program has it open: sudo fuser -v {} names it",
            path.display()
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

/// Whether somebody has the device open, as far as this can be found out: this program does, or the kernel does not give
/// its group away.
fn is_open(host: &Host, function: &PciFunction, path: &Path) -> bool {
    let group = function.iommu_group.map(|group| host.vfio_group(group));
    host.has_open(path)
        || group.is_some_and(|group| {
            open(&group).is_err_and(|e| e.raw_os_error() == Some(nix::libc::EBUSY))
        })
}

fn open_already(host: &Host, function: &PciFunction, errno: Errno) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!("{} is open already", function.address),
    )
    .with_source(io::Error::from(errno))
    .with_hint(node::holder_hint(host, function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::machine::with_group;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn einval_is_open_already_only_if_somebody_has_it_open() {
        let (root, host, function) = with_group("");
        let path = Path::new("/dev/vfio/devices/vfio0");
        let error = bind_error(&host, &function, path, Errno::EINVAL);
        assert_eq!(error.kind(), ErrorKind::Other, "{error}");
        assert!(error.hint().unwrap().contains("dmesg"));

        let descriptors = root.path().join("proc/self/fd");
        fs::create_dir_all(&descriptors).unwrap();
        symlink(path, descriptors.join("5")).unwrap();
        let error = bind_error(&host, &function, path, Errno::EINVAL);
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert_eq!(error.to_string(), "0000:01:00.0 is open already");
    }
}
