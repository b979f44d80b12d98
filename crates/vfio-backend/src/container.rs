//! The container: where the IOMMU's translations for one or more groups live.

use crate::{VfToken, context::unsupported, group::Group, sys};
use io_core::{Error, ErrorKind, Result};
use nix::errno::Errno;
use pci_host::{Host, PciFunction};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
};
use vfio_bindings::bindings::vfio::{VFIO_API_VERSION, VFIO_NOIOMMU_IOMMU, VFIO_TYPE1v2_IOMMU};

/// An open `/dev/vfio/vfio`, and the groups that were put into it.
///
/// The groups stay open as long as the container: with the last of them, the kernel drops all translations.
#[derive(Debug)]
pub(crate) struct Container {
    // Closed before the container.
    groups: Mutex<BTreeMap<u32, Group>>,
    file: OwnedFd,
    iommu: u32,
}

impl Container {
    /// One with a type 1 version 2 IOMMU.
    pub(crate) fn type1(host: &Host) -> Result<Self> {
        let container = Self::open(host, VFIO_TYPE1v2_IOMMU)?;
        if container.knows_its_iommu() {
            return Ok(container);
        }
        Err(unsupported(
            "the kernel has no type 1 version 2 IOMMU for VFIO",
            "load the module: sudo modprobe vfio_iommu_type1",
        ))
    }

    /// One without an IOMMU.
    pub(crate) fn without_iommu(host: &Host) -> Result<Self> {
        let container = Self::open(host, VFIO_NOIOMMU_IOMMU)?;
        if container.knows_its_iommu() {
            return Ok(container);
        }
        Err(unsupported(
            "the kernel does not let VFIO go without an IOMMU",
            "if it is built for that, and you trust the device with all memory of the machine: echo 1 | sudo tee \
             /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        ))
    }

    fn open(host: &Host, iommu: u32) -> Result<Self> {
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
        let version = sys::get_api_version(file.as_fd());
        if version.ok().and_then(|v| u32::try_from(v).ok()) != Some(VFIO_API_VERSION) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} does not speak version {VFIO_API_VERSION} of VFIO's interface",
                    path.display()
                ),
            ));
        }
        Ok(Self {
            groups: Mutex::default(),
            file: file.into(),
            iommu,
        })
    }

    fn knows_its_iommu(&self) -> bool {
        sys::check_extension(self.file.as_fd(), number(self.iommu)).unwrap_or(false)
    }

    /// Opens a device, whose group is put into the container if it is not there yet.
    pub(crate) fn device(
        &self,
        host: &Host,
        function: &PciFunction,
        token: Option<&VfToken>,
    ) -> Result<OwnedFd> {
        let address = function.address;
        let number = function.iommu_group.ok_or_else(|| {
            unsupported(
                format!("{address} is in no IOMMU group, so that VFIO cannot isolate it"),
                "switch the IOMMU on in the firmware's setup and for the kernel",
            )
        })?;
        if self.iommu != VFIO_NOIOMMU_IOMMU && host.is_without_iommu(number) {
            return Err(unsupported(
                format!("there is no IOMMU between {address} and the memory of the machine"),
                "if you trust the device with all of it: IommuMode::NoIommu",
            ));
        }
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(&number) {
            return group.device(address, token);
        }
        let group = Group::open(host, function, number)?;
        group.set_container(self.file.as_fd())?;
        if groups.is_empty() {
            self.set_iommu(function)?;
        }
        let device = group.device(address, token)?;
        groups.insert(number, group);
        Ok(device)
    }

    /// Gives `f` the groups that are in it.
    pub(crate) fn with_groups<T>(&self, f: impl FnOnce(&BTreeMap<u32, Group>) -> T) -> T {
        f(&self.groups.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Chooses the IOMMU, once the container has a group.
    fn set_iommu(&self, function: &PciFunction) -> Result<()> {
        sys::set_iommu(self.file.as_fd(), number(self.iommu)).map_err(|errno| {
            let message = format!("cannot set up the IOMMU for {}", function.address);
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
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The number of an IOMMU, as the ioctls take it.
fn number(iommu: u32) -> i32 {
    i32::try_from(iommu).expect("the number of an IOMMU type is small")
}
