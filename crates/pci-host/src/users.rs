//! Who uses a device now.

mod display;
mod finding;
mod network;
mod process;
mod session;
mod storage;

pub(crate) use display::boot_display;
pub use finding::{Code, Finding, UnknownCode};
pub(crate) use network::{Reach, ways};

use crate::{Host, PciFunction};
use io_core::Result;

impl Host {
    /// Everything that is seen to use a device now. The kernel lets its driver be taken away all the same.
    ///
    /// As root, all of it: an ordinary user does not see what the processes of others have open. Network interfaces, their
    /// addresses and their routes are those of this network namespace (and the addresses of IPv4 those of this machine,
    /// which the kernel is asked for); of routes it is the main table.
    ///
    /// # Errors
    ///
    /// The machine does not show what it has to.
    pub fn users(&self, function: &PciFunction) -> Result<Vec<Finding>> {
        let mut found = network::users(self, function);
        found.extend(storage::users(self, function));
        found.extend(display::users(self, function));
        found.extend(process::users(self, function));
        found.extend(self.virtual_functions_on(function));
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn virtual_functions_on(&self, function: &PciFunction) -> Option<Finding> {
        let address = function.address;
        let count = self.virtual_functions(address);
        let what = if count == 1 {
            "function, which goes"
        } else {
            "functions, which go"
        };
        (count > 0).then(|| {
            Finding::new(
                Code::Vfs,
                format!("{address} has {count} virtual {what} away with its driver"),
                format!(
                    "remove them: echo 0 | sudo tee /sys/bus/pci/devices/{address}/sriov_numvfs"
                ),
            )
        })
    }
}
