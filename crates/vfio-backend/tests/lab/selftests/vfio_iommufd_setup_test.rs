//! A device's own node, bound to iommufd and attached to an address space, call by call.

use super::{
    devices::{Device, Mode},
    raw,
};
use io_core::ErrorKind;
use nix::errno::Errno;
use std::{
    fs::{File, OpenOptions},
    os::fd::AsRawFd,
};

scenarios! { full:
    bind
    get_info_without_bind_fails
    bind_bad_iommufd_fails
    repeated_bind_fails
    attach_detatch_pt
    attach_invalid_pt_fails
}

fn open(path: impl AsRef<std::path::Path>) -> File {
    let options = OpenOptions::new().read(true).write(true).open(path);
    options.unwrap()
}

/// Runs a scenario on the node of each device, and an iommufd.
fn each(devices: &[Device], scenario: impl Fn(&File, &File, &str)) {
    for device in devices {
        let bound = device.bind();
        let node = bound[0].host.vfio_cdev(bound[0].address).unwrap();
        scenario(&open(node), &open("/dev/iommu"), device.name);
    }
}

fn bind(devices: &[Device]) {
    each(devices, |device, iommufd, name| {
        raw::bind(device, iommufd.as_raw_fd()).unwrap();
        // include/uapi/linux/vfio.h: VFIO_DEVICE_FLAGS_PCI is bit 1.
        let flags = raw::get_info(device).unwrap();
        assert_eq!(flags & 2, 2, "{name}");
    });
}

fn get_info_without_bind_fails(devices: &[Device]) {
    each(devices, |device, _, name| {
        assert_eq!(raw::get_info(device), Err(Errno::EINVAL), "{name}");
    });
}

fn bind_bad_iommufd_fails(devices: &[Device]) {
    each(devices, |device, _, name| {
        assert_eq!(raw::bind(device, -2), Err(Errno::EINVAL), "{name}");
        let other = open("/dev/null");
        let result = raw::bind(device, other.as_raw_fd());
        assert_eq!(result, Err(Errno::EBADFD), "{name}");
    });
}

fn repeated_bind_fails(devices: &[Device]) {
    each(devices, |device, iommufd, name| {
        raw::bind(device, iommufd.as_raw_fd()).unwrap();
        let again = raw::bind(device, iommufd.as_raw_fd());
        assert_eq!(again, Err(Errno::EINVAL), "{name}");
    });
    // What our API makes of it.
    let bound = devices[0].bind();
    let (context, address) = (Mode::Iommufd.context(), bound[0].address);
    let _device = context.open(address).unwrap();
    let error = context.open(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

fn attach_detatch_pt(devices: &[Device]) {
    each(devices, |device, iommufd, name| {
        raw::bind(device, iommufd.as_raw_fd()).unwrap();
        let ioas = raw::ioas_alloc(iommufd).unwrap();
        for _ in 0..2 {
            assert_eq!(raw::attach(device, ioas), Ok(()), "{name}");
            assert_eq!(raw::detach(device), Ok(()), "{name}");
        }
    });
}

fn attach_invalid_pt_fails(devices: &[Device]) {
    each(devices, |device, iommufd, name| {
        raw::bind(device, iommufd.as_raw_fd()).unwrap();
        let result = raw::attach(device, u32::MAX);
        assert_eq!(result, Err(Errno::ENOENT), "{name}");
    });
}
