//! Opening a device and closing it, beside the calls that the kernel needs at least.

use std::ffi::CString;
use std::path::Path;

use outboard_bench::Target;
use pci_host::Host;
use vfio_backend::{IommuMode, VfioContext};

use crate::contest::Contest;
use crate::{Result, bound, ioctls};

/// edu, which the kernel cannot reset: that would take longer than all else.
const DEVICE: &str = "0000:00:03.0";

pub fn rows(contest: &Contest<'_>) -> Result<()> {
    let what = "open and close";
    if !contest.wants(what) {
        return Ok(());
    }
    let function = bound::bind(DEVICE)?;
    let (host, mode) = (Host::system(), contest.mode);
    let mut ours = |passes| {
        for _ in 0..passes {
            let context = VfioContext::new(&host, mode).expect("the kernel has the mode");
            context.open(function.address).expect("it is bound");
        }
    };
    if mode == IommuMode::Iommufd {
        let node = host.vfio_cdev(function.address).ok_or("no node")?;
        let mut theirs = |passes| {
            for _ in 0..passes {
                let iommufd = ioctls::open(&host.iommufd());
                let device = ioctls::open(&node);
                ioctls::attach(&iommufd, &device);
                // As ours: the device before what it is in.
                drop(device);
            }
        };
        let sides = (what, "the ioctls");
        contest.row(sides, Target::Nothing, 1, (&mut ours, &mut theirs));
    } else {
        let group = function.iommu_group.ok_or("no group")?;
        let group = host.vfio_group(group);
        let address = CString::new(DEVICE)?;
        let mut theirs = |passes| {
            for _ in 0..passes {
                let container = ioctls::open(Path::new("/dev/vfio/vfio"));
                let group = ioctls::open(&group);
                let device = ioctls::open_in_group(&container, &group, &address);
                drop(device);
                drop(group);
            }
        };
        let sides = (what, "the ioctls");
        contest.row(sides, Target::Nothing, 1, (&mut ours, &mut theirs));
    }
    Ok(())
}
