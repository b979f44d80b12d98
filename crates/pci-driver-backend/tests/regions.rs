//! Code written for pci-driver's regions, on mappings and snapshots of ours.

use io_core::{
    Io, PciDevice,
    sim::{Edu, SimulatedDevice},
};
use pci_driver::{
    config::PciConfig,
    pci_struct,
    regions::{
        BackedByPciSubregion, PciRegion,
        structured::{PciRegisterRo, PciRegisterRw},
    },
};
use pci_driver_backend::{config_snapshot, region};
use std::{io::Write, sync::Arc};

pci_struct! {
    /// Registers of one width each.
    struct Registers<'a> : 0x10 {
        byte @ 0x01 : PciRegisterRo<'a, u8>,
        half @ 0x02 : PciRegisterRo<'a, u16>,
        word @ 0x04 : PciRegisterRw<'a, u32>,
    }
}

/// A file in place of a device's.
#[derive(Debug)]
struct Memory(std::fs::File);

impl AsRef<std::fs::File> for Memory {
    fn as_ref(&self) -> &std::fs::File {
        &self.0
    }
}

#[test]
fn registers_of_pci_struct_are_those_of_a_mapped_bar() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17])
        .unwrap();
    file.set_len(0x1000).unwrap();
    let bar = device_file::map(&Arc::new(Memory(file)), (0, 0x18), "BAR 0 of a file").unwrap();
    let region = region(bar.mmio::<0x10>().unwrap());
    assert_eq!(
        region.len(),
        0x18,
        "the BAR's size, and not that of its type"
    );
    let registers = Registers::backed_by(&region);
    assert_eq!(registers.byte().read().unwrap(), 0x11);
    assert_eq!(registers.half().read().unwrap(), 0x1312);
    assert_eq!(registers.word().read().unwrap(), 0x1716_1514);
    registers.word().write(0x0102_0304).unwrap();
    assert_eq!(bar.io::<8>().unwrap().try_read32(4), Ok(0x0102_0304));
    assert!(region.read_le_u32(0x18).is_err());
    assert!(region.read_le_u32(2).is_err());
}

#[test]
fn a_snapshot_is_what_configuration_space_was() {
    let device = SimulatedDevice::new("0000:00:03.0".parse().unwrap(), Edu::new());
    let snapshot = config_snapshot(&device).unwrap();
    device.set_bus_master(true).unwrap();
    let config = PciConfig::backed_by(&snapshot);
    assert_eq!(config.vendor_id().read().unwrap(), 0x1234);
    assert_eq!(config.device_id().read().unwrap(), 0x11e8);
    assert!(!config.command().bus_master_enable().read().unwrap());
    let now = config_snapshot(&device).unwrap();
    let config = PciConfig::backed_by(&now);
    assert!(config.command().bus_master_enable().read().unwrap());
    device.trouble(io_core::sim::Trouble::LostAfter(0));
    let error = config_snapshot(&device).unwrap_err();
    assert_eq!(error.to_string(), "0000:00:03.0 does not answer");
}
