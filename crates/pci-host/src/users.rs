//! Who uses a device now.

mod finding;

pub use finding::{Code, Finding, UnknownCode};

use crate::{Host, PciFunction, host::read};
use io_core::Result;

impl Host {
    /// Everything that uses a device now: the kernel lets its driver be taken away all the same.
    ///
    /// As root, all of it. An ordinary user does not see what the processes of others have open.
    ///
    /// # Errors
    ///
    /// The machine does not show what it has to.
    pub fn users(&self, function: &PciFunction) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        found.extend(self.virtual_functions_on(function));
        found.sort();
        Ok(found)
    }

    fn virtual_functions_on(&self, function: &PciFunction) -> Option<Finding> {
        let address = function.address;
        let count = read(&self.function_file(address, "sriov_numvfs")).ok()?;
        let count: u32 = count.parse().ok()?;
        (count > 0).then(|| {
            Finding::new(
                Code::Vfs,
                format!("{address} has {count} virtual functions, which go away with its driver"),
                format!(
                    "remove them: echo 0 | sudo tee /sys/bus/pci/devices/{address}/sriov_numvfs"
                ),
            )
        })
    }
}
