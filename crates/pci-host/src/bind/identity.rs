//! Which function it is, whatever number its bus has.

use crate::{DevicePath, Host, PciFunction};
use io_core::{Error, ErrorKind, Result};
use std::fmt;

/// Which function it is: where it is plugged in, and what it says it is.
///
/// Another device may be at an address after a hot-plug, and bus numbers change. The way through the bridges, with the ids,
/// stays the same for a device that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Where it is by the bridges in front of it.
    pub path: DevicePath,
    /// Vendor, device, and those of the board.
    pub ids: [u16; 4],
}

impl Identity {
    /// The identity of `function`.
    pub(crate) fn of(host: &Host, function: &PciFunction) -> Self {
        Self {
            path: host.device_path(function.address),
            ids: [
                function.vendor,
                function.device,
                function.subsystem_vendor,
                function.subsystem_device,
            ],
        }
    }

    /// Refuses if another function is at the address of `function` now, or none.
    pub(crate) fn check(&self, host: &Host, function: &PciFunction) -> Result<PciFunction> {
        let now = host.function(function.address)?;
        let found = Self::of(host, &now);
        if found == *self {
            return Ok(now);
        }
        let message = format!(
            "{} is another device than a moment ago: {found}, which was {self}",
            function.address
        );
        Err(Error::new(ErrorKind::Busy, message)
            .with_hint("devices are being plugged in or renumbered: look at `outboard list` again"))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            ids: [vendor, device, board_vendor, board],
        } = self;
        write!(
            f,
            "{path} {vendor:04x}:{device:04x}:{board_vendor:04x}:{board:04x}"
        )
    }
}
