//! Resets of a device, alone and with its neighbours.

use super::ioctl;
use io_core::pci::PciAddress;
use nix::{Result, errno::Errno};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use vfio_bindings::bindings::vfio::VFIO_PCI_HOT_RESET_FLAG_DEV_ID;

/// How many functions there is room for at first, and at most.
const ROOM: usize = 32;
const MOST: usize = 1 << 13;

/// The kernel's number for a function that is not of the same iommufd, and in no group of which one is.
const NOT_OWNED: u32 = u32::MAX;

/// `VFIO_DEVICE_RESET`.
pub(crate) fn device_reset(device: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes no argument.
    unsafe { ioctl::device_reset(device.as_raw_fd()) }.map(drop)
}

/// A function that a hot reset takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) address: PciAddress,
    pub(crate) owner: Owner,
}

/// What the kernel says of who has it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    /// Its group, when the device was opened by its group.
    Group(u32),
    /// Whether it is of the same iommufd, when the device was opened by its own node.
    Iommufd(bool),
}

/// `VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`.
pub(crate) fn get_pci_hot_reset_info(device: BorrowedFd<'_>) -> Result<Vec<Taken>> {
    let mut room = ROOM;
    loop {
        // Three numbers of 32 bits, and two for each function.
        let mut words = vec![0_u32; 3 + 2 * room];
        if let Some(argsz) = words.first_mut() {
            *argsz = u32::try_from(4 * (3 + 2 * room)).unwrap_or(u32::MAX);
        }
        let answer = words.as_mut_ptr().cast();
        // SAFETY: the kernel writes no more than `argsz` bytes, which is the length of `words`.
        let asked = unsafe { ioctl::device_get_pci_hot_reset_info(device.as_raw_fd(), answer) };
        let [_, flags, count, functions @ ..] = words.as_slice() else {
            return Err(Errno::EINVAL);
        };
        let count = usize::try_from(*count).unwrap_or(MOST);
        match asked {
            Err(Errno::ENOSPC) if count > room && count <= MOST => room = count,
            Err(errno) => return Err(errno),
            Ok(_) => {
                let functions = functions.chunks_exact(2).take(count);
                return Ok(functions.filter_map(|words| taken(*flags, words)).collect());
            }
        }
    }
}

/// The function that the kernel describes by these two words: who has it; its domain, bus, device and function.
fn taken(flags: u32, words: &[u32]) -> Option<Taken> {
    let [id, at] = words else { return None };
    let [domain @ .., bus, devfn] = at.to_ne_bytes();
    let domain = u16::from_ne_bytes(domain).into();
    Some(Taken {
        address: PciAddress::new(domain, bus, devfn >> 3, devfn & 7)?,
        owner: if flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID == 0 {
            Owner::Group(*id)
        } else {
            Owner::Iommufd(*id != NOT_OWNED)
        },
    })
}

/// `VFIO_DEVICE_PCI_HOT_RESET`, with the groups of all that it takes; none, if the device was opened by its own node.
pub(crate) fn pci_hot_reset(device: BorrowedFd<'_>, groups: &[BorrowedFd<'_>]) -> Result<()> {
    let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
    let mut words = vec![12_u32.saturating_add(count.saturating_mul(4)), 0, count];
    let fds = groups.iter().map(|group| group.as_raw_fd());
    words.extend(fds.map(|fd: RawFd| u32::from_ne_bytes(fd.to_ne_bytes())));
    // SAFETY: the kernel reads `argsz` bytes, which is the length of `words`.
    unsafe { ioctl::device_pci_hot_reset(device.as_raw_fd(), words.as_ptr().cast()) }.map(drop)
}
