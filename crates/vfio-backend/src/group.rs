//! The IOMMU group: what can be given to a program, and what stands in the way.

use crate::{VfToken, node, sys, vf_token};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use pci_host::{Host, PciFunction};
use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};
use vfio_bindings::bindings::vfio::VFIO_GROUP_FLAGS_VIABLE;

/// An open `/dev/vfio/GROUP`. The kernel lets one program have it at a time.
#[derive(Debug)]
pub(crate) struct Group {
    file: File,
    path: PathBuf,
}

impl Group {
    /// Opens the group `number` of `function`.
    pub(crate) fn open(host: &Host, function: &PciFunction, number: u32) -> Result<Self> {
        let address = function.address;
        let path = host.vfio_group(number);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| open_error(host, function, number, &path, e))?;
        let group = Self { file, path };
        let flags = sys::group_flags(group.file.as_fd()).map_err(|errno| {
            let message = format!("cannot ask for the status of {}", group.path.display());
            Error::from_os(message, io::Error::from(errno))
        })?;
        if flags & VFIO_GROUP_FLAGS_VIABLE == 0 {
            let reason = not_viable(host, number, address)?;
            return Err(reason.unwrap_or_else(|| no_pci_device(number, address)));
        }
        Ok(group)
    }

    /// Puts it into a container.
    pub(crate) fn set_container(&self, container: BorrowedFd<'_>) -> Result<()> {
        sys::group_set_container(self.file.as_fd(), container).map_err(|errno| {
            let message = format!("cannot put {} into a VFIO container", self.path.display());
            Error::from_os(message, io::Error::from(errno))
        })
    }

    /// The file of the member at `address`.
    pub(crate) fn device(&self, address: PciAddress, token: Option<&VfToken>) -> Result<OwnedFd> {
        let token = token.map_or_else(String::new, |token| format!(" vf_token={token}"));
        let name = format!("{address}{token}");
        let name = CString::new(name).expect("neither an address nor a UUID has a NUL");
        sys::group_get_device_fd(self.file.as_fd(), &name).map_err(|errno| {
            let message = format!("cannot open {address} in {}", self.path.display());
            vf_token::explain(Error::from_os(message, io::Error::from(errno)))
        })
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The error of a group with members that other drivers have, if there are such members.
pub(crate) fn not_viable(host: &Host, number: u32, address: PciAddress) -> Result<Option<Error>> {
    let in_the_way: Vec<_> = host
        .iommu_group(number)?
        .into_iter()
        .filter(stands_in_the_way)
        .collect();
    if in_the_way.is_empty() {
        return Ok(None);
    }
    let list = |separator, of: fn(&PciFunction) -> String| {
        in_the_way
            .iter()
            .map(of)
            .collect::<Vec<_>>()
            .join(separator)
    };
    let names = list(", ", |member| {
        let driver = member.driver.as_deref().unwrap_or_default();
        format!("{} ({driver})", member.address)
    });
    let message = format!(
        "{address} shares IOMMU group {number} with devices that other drivers have: {names}"
    );
    Ok(Some(Error::new(ErrorKind::Busy, message).with_hint(
        format!(
            "the IOMMU cannot keep them apart; bind them to vfio-pci too: {}",
            list("; ", |member| format!(
                "sudo outboard bind {}",
                member.address
            ))
        ),
    )))
}

fn no_pci_device(number: u32, address: PciAddress) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!("{address} shares IOMMU group {number} with devices that other drivers have"),
    )
    .with_hint(format!(
        "none of them is a PCI device: ls /sys/kernel/iommu_groups/{number}/devices"
    ))
}

/// Whether a member keeps its group from being opened. The kernel does not mind a bridge's driver.
fn stands_in_the_way(member: &PciFunction) -> bool {
    let driver = member.driver.as_deref();
    !member.is_bridge && !member.has_vfio_driver() && driver.is_some_and(|name| name != "pci-stub")
}

fn open_error(
    host: &Host,
    function: &PciFunction,
    group: u32,
    path: &Path,
    source: io::Error,
) -> Error {
    let address = function.address;
    let error = Error::from_os(
        format!("cannot open {} of {address}", path.display()),
        source,
    );
    let hint = match error.kind() {
        ErrorKind::PermissionDenied if error.errno() == Some(nix::libc::EPERM) => {
            let hint = if host.is_without_iommu(group) {
                "without an IOMMU it takes CAP_SYS_RAWIO, whoever owns the node: run it with sudo"
            } else {
                "it is not the node's owner and mode that refuse it: a container has to be given the node \
                 (docker run --device), and a security module may have a rule"
            };
            return host.or_lockdown(error.with_hint(hint));
        }
        ErrorKind::PermissionDenied => {
            let members = host.iommu_group(group).unwrap_or_default();
            let members: Vec<_> = members.iter().map(|m| m.address.to_string()).collect();
            let hint = node::permission_hint(host, path, Some(address));
            format!(
                "{hint} (it gives every device of IOMMU group {group}: {})",
                members.join(", ")
            )
        }
        ErrorKind::Busy => node::holder_hint(host, function),
        ErrorKind::NotFound => format!("is {address} still bound? sudo outboard bind {address}"),
        _ => return error,
    };
    error.with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::machine::with_group;

    #[test]
    fn a_capability_is_lacking_only_without_an_iommu() {
        let hint = |name| {
            let (_root, host, function) = with_group(name);
            let source = io::Error::from_raw_os_error(nix::libc::EPERM);
            let error = open_error(&host, &function, 7, &host.vfio_group(7), source);
            error.hint().unwrap().to_owned()
        };
        assert!(hint("vfio-noiommu\n").contains("CAP_SYS_RAWIO"));
        let with_iommu = hint("");
        assert!(!with_iommu.contains("CAP_SYS_RAWIO"), "{with_iommu}");
        assert!(with_iommu.contains("container"), "{with_iommu}");
    }
}
