//! What somebody does to a device who does not have it: through sysfs.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use io_core::pci::PciAddress;

const LIMIT: Duration = Duration::from_secs(20);

/// A device, as somebody sees it who does not have it.
#[derive(Debug, Clone, Copy)]
pub struct Outside(PciAddress);

impl Outside {
    /// The device at `address`, which need not be there.
    #[must_use]
    pub fn new(address: PciAddress) -> Self {
        Self(address)
    }

    /// Its folder in sysfs.
    #[must_use]
    pub fn folder(self) -> PathBuf {
        Path::new("/sys/bus/pci/devices").join(self.0.to_string())
    }

    /// Lets the kernel reset it.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn reset(self) -> io::Result<()> {
        fs::write(self.folder().join("reset"), "1")
    }

    /// Removes it, which takes as long as somebody has it.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn remove(self) -> io::Result<()> {
        fs::write(self.folder().join("remove"), "1")
    }

    /// Lets the kernel find it again, and waits for it.
    ///
    /// # Panics
    ///
    /// It is not there.
    pub fn rescan(self) {
        fs::write("/sys/bus/pci/rescan", "1").expect("rescan");
        self.becomes(true);
    }

    /// Waits until it is there, or is not.
    ///
    /// # Panics
    ///
    /// That does not come within 20 s.
    pub fn becomes(self, there: bool) {
        let started = Instant::now();
        while self.folder().join("config").exists() != there {
            assert!(started.elapsed() < LIMIT, "{} there: {}", self.0, !there);
            sleep(Duration::from_millis(5));
        }
    }

    /// Sets or clears bits of Command (PCI Local Bus 3.0 section 6.2.2), behind the back of who has it.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn command(self, bits: u16, on: bool) -> io::Result<()> {
        self.change(4, bits, if on { bits } else { 0 })
    }

    /// Puts it into D3hot, or back into D0 (PCI Power Management 1.2, 3.2.4), behind the back of who has it.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or it has no such capability.
    pub fn d3hot(self, on: bool) -> io::Result<()> {
        let at = capability(&self.config()?, 1)? + 4;
        self.change(at, 3, if on { 3 } else { 0 })
    }

    /// Changes those of 16 bits that are in `mask`.
    fn change(self, at: u64, mask: u16, bits: u16) -> io::Result<()> {
        let (config, mut old) = (self.config()?, [0; 2]);
        config.read_exact_at(&mut old, at)?;
        let new = u16::from_le_bytes(old) & !mask | bits;
        config.write_all_at(&new.to_le_bytes(), at)
    }

    fn config(self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .open(self.folder().join("config"))
    }
}

/// Where the capability `id` is in a configuration space.
pub(crate) fn capability(config: &File, id: u8) -> io::Result<u64> {
    let byte = |at: u64| -> io::Result<u8> {
        let mut byte = [0];
        config.read_exact_at(&mut byte, at)?;
        let [byte] = byte;
        Ok(byte)
    };
    let mut at = byte(0x34)?.into();
    for _ in 0..48 {
        if at == 0 {
            break;
        }
        if byte(at)? == id {
            return Ok(at);
        }
        at = byte(at + 1)?.into();
    }
    let message = format!("there is no capability {id:#x}");
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
