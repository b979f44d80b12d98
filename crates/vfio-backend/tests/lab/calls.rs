//! What is reached by calls: the expansion ROM, and BARs where they are not mapped.

use crate::{
    places::{EDU, NIC, TESTDEV},
    plugged::{PLUGGED, Plugged},
};
use io_core::{AccessWidth, ErrorKind, Io, PciDevice, Width, irq::InterruptKind::MsiX};
use lab_guest::Bound;
use std::fs;

/// The image is SeaBIOS's for a graphics card, which is of no use to edu.
#[test]
#[ignore = "needs the lab"]
fn the_expansion_rom_is_read_as_the_kernel_reads_it() {
    let _edu = Plugged::new(
        "edu",
        &serde_json::json!({ "romfile": "vgabios-stdvga.bin" }),
    );
    let bound = Bound::new(PLUGGED);
    // Open, it decodes memory; otherwise the kernel cannot read the ROM.
    let device = bound.open().unwrap();
    let file = format!("/sys/bus/pci/devices/{PLUGGED}/rom");
    fs::write(&file, "1").unwrap();
    let expected = fs::read(&file).unwrap();
    fs::write(&file, "0").unwrap();
    assert!(expected.starts_with(&[0x55, 0xaa]) && expected.len() > 0x4000);

    let rom = device.rom().unwrap();
    let io = rom.io::<0x4000>().unwrap();
    for width in [
        AccessWidth::Auto,
        AccessWidth::Exact(Width::U8),
        AccessWidth::Exact(Width::U32),
    ] {
        // The kernel maps the ROM anew for each access: all of it would take a minute.
        for at in [0, expected.len() - 0x100] {
            let mut found = [0; 0x100];
            io.copy_to_slice(at, &mut found, width).unwrap();
            assert_eq!(found, expected[at..][..0x100], "{width:?}");
        }
    }
    assert_eq!(io.try_read16(0), Ok(0xaa55));
    assert!(rom.size() > expected.len());
    assert_eq!(
        io.try_read32(rom.size() - 4),
        Ok(u32::MAX),
        "behind the image"
    );
    assert!(io.try_read64(0).is_err(), "two accesses");
    assert!(io.try_write32(0, 0).is_err(), "it can be read only");
    assert!(rom.mmio::<4>().is_err());
    drop((rom, device));

    let bound = Bound::new(EDU);
    let error = bound.open().unwrap().rom().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "0000:00:03.0 has no expansion ROM");
}

#[test]
#[ignore = "needs the lab"]
fn eight_bytes_at_once_are_for_memory_and_not_for_ports() {
    let bound = Bound::new(TESTDEV);
    let device = bound.open().unwrap();
    let (memory, ports) = (
        device.bar_by_calls(0).unwrap(),
        device.bar_by_calls(1).unwrap(),
    );
    assert!(memory.io::<16>().unwrap().try_read64(0).is_ok());
    for ports in [ports, device.bar(1).unwrap()] {
        assert!(ports.io::<16>().unwrap().try_read64(0).is_err());
    }
}

/// e1000e's table of vectors is at the start of BAR 3, as its configuration space says. PCI Express Base Specification,
/// "Vector Control for MSI-X Table Entries": bit 0, the mask, is set after a reset; all other bits are reserved.
#[test]
#[ignore = "needs the lab"]
fn the_table_of_msi_x_is_all_ones_by_calls_and_itself_where_it_is_mapped() {
    let bound = Bound::new(NIC);
    let device = bound.open().unwrap();
    assert!(device.region_info(3).unwrap().msix_mappable);
    let (mapped, called) = (device.bar(3).unwrap(), device.bar_by_calls(3).unwrap());
    let table = mapped.mmio::<0x10>().unwrap();
    let read = || [0, 4, 8, 12].map(|at| called.io::<0x10>().unwrap().try_read32(at).unwrap());
    assert_eq!(table.read32::<12>(), 1, "masked");
    assert_eq!(read(), [u32::MAX; 4]);
    let irqs = device.interrupts().unwrap().enable(MsiX, 0..1);
    let _irqs = irqs.unwrap();
    assert_eq!(table.read32::<12>(), 0, "the kernel has unmasked it");
    // Intel SDM volume 3, section 12.11.1: where messages go.
    assert_eq!(table.read32::<0>() >> 20, 0xfee);
    assert_eq!(read(), [u32::MAX; 4]);
}
