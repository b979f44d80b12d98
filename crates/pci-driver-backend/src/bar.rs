//! BARs: mapped where the kernel lets all of them be, and by calls otherwise.
#![expect(unsafe_code, reason = "makes views of mappings")]

use crate::region;
use io_core::{
    Bar, Error, ErrorKind, Fault, MmioRaw, Offset, RegionOps, Result, Width, pci::PciAddress,
};
use pci_driver::{
    backends::vfio::VfioPciDevice,
    device::PciDevice as _,
    regions::{OwningPciRegion, PciRegion as _, Permissions},
};

/// The BAR of this index, 0 to 5.
pub(crate) fn bar(device: &VfioPciDevice, address: PciAddress, index: u8) -> Result<Bar> {
    // The crate would count the expansion ROM and configuration space on as BARs if it had them in its list.
    let region = device.bar(usize::from(index)).ok_or_else(|| {
        let there: Vec<_> = (0..6)
            .filter(|index| device.bar(*index).is_some())
            .map(|index| index.to_string())
            .collect();
        let message = format!("{address} has no BAR {index}");
        Error::new(ErrorKind::NotFound, message)
            .with_hint(format!("its BARs: {}", there.join(", ")))
    })?;
    let name = format!("BAR {index} of {address}");
    let size = usize::try_from(region.len()).map_err(|_| {
        let message = format!("{name} is larger than this process can address");
        Error::new(ErrorKind::Unsupported, message)
    })?;
    if !region.is_mappable() || region.permissions() != Permissions::ReadWrite {
        return Ok(Bar::called(Called { region, name, size }));
    }
    let mapped = region
        .map(.., Permissions::ReadWrite)
        .map_err(|e| Error::from_os(format!("cannot map {name}"), e))?;
    let raw = MmioRaw::new_region(mapped.as_mut_ptr(), mapped.len())?;
    let again = {
        let name = name.clone();
        move || {
            let message = format!("pci-driver cannot map {name} again in its place");
            Err(Error::new(ErrorKind::Unsupported, message)
                .with_hint("drop it, and ask the device for it anew"))
        }
    };
    // SAFETY: `mapped` keeps it mapped until it is dropped, and gives nobody references to it.
    let bar = unsafe { Bar::mapped(raw, name, mapped) };
    // SAFETY: the pages are those of one mmap, which `mapped` alone has, and unmaps whatever is in them by then.
    unsafe { bar.survive(again) }
}

/// A BAR that is reached by calls.
#[derive(Debug)]
struct Called {
    region: OwningPciRegion,
    name: String,
    size: usize,
}

impl RegionOps for Called {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self) -> usize {
        self.size
    }

    fn widest(&self) -> Width {
        Width::U32
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        region::read(&self.region, at, bytes)
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        region::write(&self.region, at, bytes)
    }
}
