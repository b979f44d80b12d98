//! The interrupts of a device.

use super::{argsz, ioctl};
use nix::{Result, errno::Errno};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, vfio_irq_info, vfio_irq_set,
};

/// `VFIO_DEVICE_GET_IRQ_INFO`.
pub(crate) fn get_info(device: BorrowedFd<'_>, index: u32) -> Result<vfio_irq_info> {
    let mut info = vfio_irq_info {
        argsz: argsz::<vfio_irq_info>(),
        index,
        ..Default::default()
    };
    // SAFETY: the kernel writes no more than `argsz` bytes, the size of `info`.
    unsafe { ioctl::device_get_irq_info(device.as_raw_fd(), &raw mut info) }?;
    Ok(info)
}

/// Why vectors are not enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotEnabled {
    /// The kernel failed.
    Failed(Errno),
    /// The kernel could have had so many vectors, fewer than were asked for, and has enabled none.
    Fewer(i32),
}

impl From<Errno> for NotEnabled {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// Signals the vectors from `start` on through these eventfds; none for one that is -1.
pub(crate) fn set_eventfds(
    device: BorrowedFd<'_>,
    index: u32,
    start: u32,
    eventfds: &[RawFd],
) -> std::result::Result<(), NotEnabled> {
    let count = u32::try_from(eventfds.len()).unwrap_or(u32::MAX);
    let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    match set(device, index, flags, start, count, eventfds)? {
        0 => Ok(()),
        count => Err(NotEnabled::Fewer(count)),
    }
}

/// Does not signal this vector any more.
pub(crate) fn forget(device: BorrowedFd<'_>, index: u32, vector: u32) -> Result<()> {
    let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    set(device, index, flags, vector, 1, &[-1]).map(drop)
}

/// Disables all of the index: with no vectors, "trigger" means that.
pub(crate) fn disable(device: BorrowedFd<'_>, index: u32) -> Result<()> {
    let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    set(device, index, flags, 0, 0, &[]).map(drop)
}

/// Signals a vector, as if the device had.
pub(crate) fn trigger(device: BorrowedFd<'_>, index: u32, vector: u32) -> Result<()> {
    let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    set(device, index, flags, vector, 1, &[]).map(drop)
}

/// Masks a vector, or unmasks it.
pub(crate) fn set_masked(
    device: BorrowedFd<'_>,
    index: u32,
    vector: u32,
    masked: bool,
) -> Result<()> {
    let action = if masked {
        VFIO_IRQ_SET_ACTION_MASK
    } else {
        VFIO_IRQ_SET_ACTION_UNMASK
    };
    let flags = VFIO_IRQ_SET_DATA_NONE | action;
    set(device, index, flags, vector, 1, &[]).map(drop)
}

/// `VFIO_DEVICE_SET_IRQS`: the structure, and descriptors behind it. More than 0 is not success: it is how many vectors
/// there could have been.
fn set(
    device: BorrowedFd<'_>,
    index: u32,
    flags: u32,
    start: u32,
    count: u32,
    descriptors: &[RawFd],
) -> Result<i32> {
    let size = size_of::<vfio_irq_set>() + size_of_val(descriptors);
    let argsz = u32::try_from(size).unwrap_or(u32::MAX);
    // Five numbers of 32 bits, and one for each descriptor.
    let mut words: Vec<u32> = vec![argsz, flags, index, start, count];
    words.extend(
        descriptors
            .iter()
            .map(|fd| u32::from_ne_bytes(fd.to_ne_bytes())),
    );
    // SAFETY: the kernel reads `argsz` bytes, which is the length of `words`.
    unsafe { ioctl::device_set_irqs(device.as_raw_fd(), words.as_ptr().cast()) }
}
