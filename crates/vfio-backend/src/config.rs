//! Configuration space.

use crate::{RegionInfo, VfioDevice};
use io_core::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

/// The configuration space of an open device: 256 bytes, or 4096 on PCI Express.
///
/// Each access is one system call of that width; VFIO shows some registers as it wants them seen
/// (BARs, interrupt vectors), the rest as the device has them. Numbers are little-endian there (PCI
/// Local Bus 3.0 section 6.1), and converted.
///
/// Command (offset 4) and Status (offset 6) are 16 bits each: written with 32 bits, Command would
/// clear the bits of Status that are set.
///
/// Whoever clears the memory bit of Command (bit 1), or puts the device into D3hot, takes its BARs
/// away: an access to a mapped one then raises SIGBUS, which ends the program.
#[derive(Debug, Clone, Copy)]
pub struct ConfigSpace<'a> {
    device: &'a VfioDevice,
    region: &'a RegionInfo,
}

macro_rules! accessors {
    ($($ty:ty, $bits:literal: $read:ident, $write:ident;)*) => {$(
        #[doc = concat!("Reads the ", $bits, "-bit value at `offset` (in bytes).")]
        ///
        /// # Errors
        ///
        /// The offset is outside configuration space or not naturally aligned, or the kernel refused.
        pub fn $read(self, offset: u16) -> Result<$ty> {
            let mut bytes = [0; size_of::<$ty>()];
            let at = self.at(offset, bytes.len())?;
            let count = self.device.file().read_at(&mut bytes, at);
            self.whole(count, "read", offset, bytes.len())?;
            Ok(<$ty>::from_le_bytes(bytes))
        }

        #[doc = concat!("Writes the ", $bits, "-bit `value` at `offset` (in bytes).")]
        ///
        /// # Errors
        ///
        /// The offset is outside configuration space or not naturally aligned, or the kernel refused.
        pub fn $write(self, offset: u16, value: $ty) -> Result<()> {
            let bytes = value.to_le_bytes();
            let at = self.at(offset, bytes.len())?;
            let count = self.device.file().write_at(&bytes, at);
            self.whole(count, "write", offset, bytes.len())
        }
    )*};
}

impl<'a> ConfigSpace<'a> {
    /// The index of its region.
    pub(crate) const REGION: u32 = vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;

    pub(crate) fn new(device: &'a VfioDevice, region: &'a RegionInfo) -> Self {
        Self { device, region }
    }

    accessors! {
        u8, "8": read8, write8;
        u16, "16": read16, write16;
        u32, "32": read32, write32;
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(self) -> u64 {
        self.region.size
    }

    /// The place in the device's file of `len` bytes at `offset`.
    fn at(self, offset: u16, len: usize) -> Result<u64> {
        let fits = u64::try_from(len).is_ok_and(|len| u64::from(offset) + len <= self.size());
        if fits && usize::from(offset) % len == 0 {
            return Ok(self.region.offset + u64::from(offset));
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{len} bytes at {offset:#x} are no aligned access to the {:#x} bytes of configuration \
                 space of {}",
                self.size(),
                self.device.address()
            ),
        ))
    }

    /// Turns anything but a whole access into an error.
    fn whole(
        self,
        count: std::io::Result<usize>,
        what: &str,
        offset: u16,
        len: usize,
    ) -> Result<()> {
        let message = || {
            let address = self.device.address();
            format!("cannot {what} {len} bytes of configuration space of {address} at {offset:#x}")
        };
        match count {
            Ok(count) if count == len => Ok(()),
            Ok(count) => Err(Error::new(
                ErrorKind::Other,
                format!("{}: {count} done", message()),
            )),
            Err(e) => Err(Error::from_os(message(), e)),
        }
    }
}
