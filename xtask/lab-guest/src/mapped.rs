//! Disks made of others by the device mapper, for as long as a test: what LVM, LUKS and multipath make.
#![expect(unsafe_code, reason = "the device mapper is told by ioctls")]

use nix::errno::Errno;
use std::{
    fs::{File, read_to_string},
    os::fd::AsRawFd,
};

/// The length of `struct dm_ioctl` (include/uapi/linux/dm-ioctl.h), where `name` and `uuid` are in it, and the length of the
/// `struct dm_target_spec` behind it.
const CALL: usize = 312;
const NAME: usize = 48;
const UUID: usize = NAME + 128;
const TARGET: usize = 40;

/// A call, a target and its parameters.
type Buffer = [u8; 512];

nix::ioctl_readwrite_bad!(
    dev_create,
    nix::request_code_readwrite!(0xfd, 3, CALL),
    Buffer
);
nix::ioctl_readwrite_bad!(
    dev_remove,
    nix::request_code_readwrite!(0xfd, 4, CALL),
    Buffer
);
nix::ioctl_readwrite_bad!(
    dev_resume,
    nix::request_code_readwrite!(0xfd, 6, CALL),
    Buffer
);
nix::ioctl_readwrite_bad!(
    table_load,
    nix::request_code_readwrite!(0xfd, 9, CALL),
    Buffer
);

type Call = unsafe fn(i32, *mut Buffer) -> nix::Result<i32>;

/// A disk that is a part of another one, by the target `linear`.
pub struct Mapped {
    name: String,
}

impl Mapped {
    /// Maps the first 32 MiB of the disk called `disk` in `/sys/class/block`. LVM, LUKS and multipath are known by how
    /// `uuid` begins.
    ///
    /// # Panics
    ///
    /// The kernel refuses it.
    #[must_use]
    pub fn new(name: &str, uuid: &str, disk: &str) -> Self {
        let number = read_to_string(format!("/sys/class/block/{disk}/dev")).expect("a disk");
        let mapped = Self {
            name: name.to_owned(),
        };
        mapped
            .call(dev_create, uuid, None)
            .expect("a new mapped disk");
        mapped
            .call(table_load, "", Some(&format!("{} 0", number.trim())))
            .expect("a table");
        mapped.call(dev_resume, "", None).expect("a disk in use");
        mapped
    }

    fn call(&self, call: Call, uuid: &str, linear: Option<&str>) -> Result<(), Errno> {
        let mut buffer: Buffer = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| {
            let place = buffer.get_mut(at..at + bytes.len());
            place.expect("short names").copy_from_slice(bytes);
        };
        let mut words = vec![4_u32, 0, 0, 512, 312];
        words.extend(linear.map(|_| 1));
        for (position, word) in words.into_iter().enumerate() {
            put(position * 4, &word.to_ne_bytes());
        }
        put(NAME, self.name.as_bytes());
        put(UUID, uuid.as_bytes());
        if let Some(parameters) = linear {
            put(CALL + 8, &(32_u64 << 11).to_ne_bytes());
            put(CALL + 24, b"linear");
            put(CALL + TARGET, parameters.as_bytes());
        }
        let control = File::options()
            .read(true)
            .write(true)
            .open("/dev/mapper/control")
            .expect("the device mapper");
        // SAFETY: the kernel reads and writes within the 512 bytes that the call says it has.
        unsafe { call(control.as_raw_fd(), &raw mut buffer) }.map(drop)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let removed = self.call(dev_remove, "", None);
        if !std::thread::panicking() {
            removed.expect("nobody uses it any more");
        }
    }
}
