//! The configuration space of a function, as bytes.

use super::{CapabilityList, Command, Header, HeaderError, Status, capability};

/// The configuration space of a function, or as much of it as there is.
///
/// It borrows bytes that were read elsewhere, a file of sysfs or a region of VFIO say: 256 of a
/// conventional function, 4096 of PCI Express, 64 where an ordinary user reads sysfs, or any other
/// number. What lies behind their end is `None`, never 0. Numbers are little-endian.
///
/// ```
/// use io_core::pci::Config;
/// # let mut space = [0u8; 256];
/// # space[..8].copy_from_slice(&[0x86, 0x80, 0xd3, 0x10, 0x06, 0x04, 0x10, 0x00]);
/// # space[0x34] = 0xc8;
/// # space[0xc8..0xd0].copy_from_slice(&[0x01, 0x00, 0x22, 0xc8, 0x00, 0x20, 0x00, 0x00]);
///
/// let config = Config::new(&space);
/// let header = config.header()?;
/// assert_eq!((header.vendor_id, header.device_id), (0x8086, 0x10d3));
/// for capability in config.capabilities() {
///     println!("[{:02x}] {:?}", capability.offset, capability.body()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Config<'a> {
    bytes: &'a [u8],
}

impl<'a> Config<'a> {
    /// The configuration space with these bytes, from offset 0 on.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// All bytes.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The byte at `offset`, if it is here.
    #[must_use]
    pub fn read8(self, offset: u16) -> Option<u8> {
        self.array(offset).map(|[byte]| byte)
    }

    /// The 2 bytes at `offset`, aligned or not, if they are here.
    #[must_use]
    pub fn read16(self, offset: u16) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// The 4 bytes at `offset`, aligned or not, if they are here.
    #[must_use]
    pub fn read32(self, offset: u16) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// Whether nobody answers: the first 16 bytes (or as many as are here) are all ones, which is
    /// what a read of a function yields that does not exist or has gone.
    ///
    /// A vendor id of `0xffff` alone does not say so: a virtual function (SR-IOV 1.1 section
    /// 3.4.1.1) has it in its own configuration space.
    #[must_use]
    pub fn is_absent(self) -> bool {
        !self.bytes.is_empty() && self.bytes.iter().take(16).all(|&byte| byte == 0xff)
    }

    /// The Command register, if it is here.
    #[must_use]
    pub fn command(self) -> Option<Command> {
        self.read16(Command::OFFSET).map(Command::from_bits)
    }

    /// The Status register, if it is here.
    #[must_use]
    pub fn status(self) -> Option<Status> {
        self.read16(6).map(Status::from_bits)
    }

    /// The header: the first 64 bytes, decoded.
    ///
    /// # Errors
    ///
    /// Nobody answers ([`Config::is_absent`]), or fewer than 64 bytes are here.
    pub fn header(self) -> Result<Header, HeaderError> {
        Header::decode(self)
    }

    /// The capabilities below 256, in the order of their list (PCI Local Bus 3.0 section 6.7).
    ///
    /// The list is empty if Status says that there is none, or if nobody answers.
    #[must_use]
    pub fn capabilities(self) -> CapabilityList<'a> {
        capability::list(self)
    }

    /// The extended capabilities, from 0x100 on, in the order of their list (PCI Express Base 6.0
    /// section 7.6.3). The list is empty if there are no more than 256 bytes.
    #[must_use]
    pub fn extended_capabilities(self) -> CapabilityList<'a> {
        capability::extended_list(self)
    }

    fn array<const N: usize>(self, offset: u16) -> Option<[u8; N]> {
        self.bytes
            .get(usize::from(offset)..)?
            .first_chunk()
            .copied()
    }
}

impl std::fmt::Debug for Config<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({} bytes)", self.bytes.len())
    }
}
