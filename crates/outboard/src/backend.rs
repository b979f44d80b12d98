//! What carries the accesses to a device.

use io_core::{Error, ErrorKind, Result};
use std::{fmt, str::FromStr};

/// What carries the accesses to a device.
///
/// There is none for devices without an IOMMU: that is `unsafe`, and an affair of vfio-backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// VFIO, by iommufd and the device's own node.
    Iommufd,
    /// VFIO, by a container, groups and their type 1 IOMMU.
    Type1,
    /// uio_pci_generic, or another UIO driver.
    Uio,
    /// `/sys` alone, for a device that has no driver.
    Sysfs,
}

impl Backend {
    /// All of them, the best first.
    pub const ALL: [Self; 4] = [Self::Iommufd, Self::Type1, Self::Uio, Self::Sysfs];

    /// The word for it, which [`FromStr`] takes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Iommufd => "iommufd",
            Self::Type1 => "type1",
            Self::Uio => "uio",
            Self::Sysfs => "sysfs",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Backend {
    type Err = Error;

    /// `iommufd`, `type1`, `uio` or `sysfs`.
    ///
    /// ```
    /// use outboard::Backend;
    /// assert_eq!("uio".parse::<Backend>()?, Backend::Uio);
    /// let error = "dpdk".parse::<Backend>().unwrap_err();
    /// assert_eq!(error.to_string(), "dpdk is no backend: iommufd, type1, uio and sysfs are");
    /// # Ok::<(), io_core::Error>(())
    /// ```
    fn from_str(word: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|backend| backend.word() == word).ok_or_else(|| {
            let message = format!("{word} is no backend: iommufd, type1, uio and sysfs are");
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}
