//! Resets of igb and of its virtual functions.

use super::{Functions, PF, SECOND_VF, VF};
use io_core::{
    Bar, ErrorKind, Io, PciDevice,
    event::DeviceEvents,
    irq::{Interrupt, InterruptKind::MsiX, Interrupts},
};
use lab_guest::{Bound, modes};
use std::{fs, time::Duration};
use vfio_backend::VfioDevice;

const SOON: Duration = Duration::from_secs(5);

/// Registers of Intel's 82576 (its datasheet, 8.1.3 and 7.3.4): the general purpose interrupt enable, whose bit 4 is
/// Multiple_MSIX; causes that are set; causes that are enabled; causes that came, which are written
/// to clear them. A virtual function has the last three in the same places.
const GPIE: usize = 0x1514;
const MULTIPLE_MSIX: u32 = 1 << 4;
const EICS: usize = 0x1520;
const EIMS: usize = 0x1524;
const EICR: usize = 0x1580;

/// VET, the type of VLAN frames: 8100h after a reset (the same, 8.2.8).
const VET: usize = 0x38;

/// The device's status, of which no function reads zero.
const STATUS: usize = 0x08;

/// Cache Line Size, a register that nothing depends on (PCI Local Bus 3.0 section 6.2.4).
const CACHE_LINE_SIZE: usize = 0x0c;

fn opened(device: &VfioDevice) -> (Bar, Box<dyn Interrupt>) {
    let irq = device.enable(MsiX, 0..1).unwrap().pop().unwrap();
    (device.bar(0).unwrap(), irq)
}

/// Asserts that the device itself sends its first vector of MSI-X.
fn assert_interrupts(bar: &Bar, irq: &dyn Interrupt, what: &str) {
    let io = bar.io::<0x2000>().unwrap();
    io.try_write32(EIMS, 1).unwrap();
    io.try_write32(EICR, u32::MAX).unwrap();
    io.try_write32(EICS, 1).unwrap();
    assert_eq!(irq.wait(SOON).unwrap(), Some(1), "{what}");
}

fn command(device: &VfioDevice) -> u16 {
    device.config().try_read16(4).unwrap()
}

/// The header in configuration space from the third register on: those before it have Command.
fn header(device: &VfioDevice) -> Vec<u32> {
    let registers = (8..0x40).step_by(4);
    let read = |at| device.config().try_read32(at).unwrap();
    registers.map(read).collect()
}

/// The first way of resetting it that the kernel has.
fn first_way(device: &VfioDevice) -> String {
    let file = format!("/sys/bus/pci/devices/{}/reset_method", device.address());
    let ways = fs::read_to_string(file).unwrap();
    ways.split_whitespace().next().unwrap().to_owned()
}

#[test]
#[ignore = "needs the lab"]
fn a_physical_function_is_reset_by_flr_and_has_its_configuration_and_interrupts() {
    let bound = Bound::new(PF);
    for mode in modes() {
        let device = bound.open_in(mode);
        assert_eq!(first_way(&device), "flr");
        let (bar, irq) = opened(&device);
        let io = bar.io::<0x2000>().unwrap();
        device.set_bus_master(true).unwrap();
        device.config().try_write8(CACHE_LINE_SIZE, 0x10).unwrap();
        let before = header(&device);
        for round in 0..3 {
            let what = format!("{mode}, {round}");
            io.try_write32(VET, 0x88a8).unwrap();
            device.reset().unwrap();
            assert_eq!(io.try_read32(VET).unwrap() & 0xffff, 0x8100, "{what}");
            assert_eq!(header(&device), before, "{what}");
            assert_eq!(command(&device) & 6, 2, "{what}: memory, no bus mastering");
            device.set_bus_master(true).unwrap();
            io.try_write32(GPIE, MULTIPLE_MSIX).unwrap();
            assert_interrupts(&bar, irq.as_ref(), &what);
        }
    }
}

/// All three functions in use, bus mastering on: of each its BAR 0, and its first vector.
fn all_opened(devices: &[VfioDevice; 3]) -> [(Bar, Box<dyn Interrupt>); 3] {
    let all = devices.each_ref().map(opened);
    for device in devices {
        device.set_bus_master(true).unwrap();
    }
    let [(pf, _), ..] = &all;
    let io = pf.io::<0x2000>().unwrap();
    io.try_write32(GPIE, MULTIPLE_MSIX).unwrap();
    io.try_write32(VET, 0x88a8).unwrap();
    assert_all_interrupt(&all, "before");
    all
}

fn assert_all_interrupt(all: &[(Bar, Box<dyn Interrupt>); 3], what: &str) {
    for ((bar, irq), name) in all.iter().zip(["physical", "first", "second"]) {
        assert_interrupts(bar, irq.as_ref(), &format!("{what}, {name}"));
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_virtual_function_is_reset_by_flr_and_the_others_go_on() {
    let functions = Functions::new();
    for mode in modes() {
        let devices = functions.open_all(mode);
        let all = all_opened(&devices);
        let [_, first, _] = &devices;
        assert_eq!(first_way(first), "flr");
        let before = header(first);
        first.reset().unwrap();
        assert_eq!(header(first), before, "{mode}");
        let bus_masters = devices.each_ref().map(|device| command(device) & 4 != 0);
        assert_eq!(bus_masters, [true, false, true], "{mode}");
        let [(pf, _), ..] = &all;
        let vet = pf.io::<0x2000>().unwrap().try_read32(VET).unwrap();
        assert_eq!(vet & 0xffff, 0x88a8, "{mode}: it was not reset");
        first.set_bus_master(true).unwrap();
        assert_all_interrupt(&all, &mode.to_string());
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_reset_of_the_physical_function_takes_its_virtual_ones_which_are_told_nothing() {
    let functions = Functions::new();
    for mode in modes() {
        let devices = functions.open_all(mode);
        let all = all_opened(&devices);
        let [pf, first, second] = &devices;
        let watches = [first, second].map(|vf| vf.watch().unwrap());
        pf.reset().unwrap();
        for (watch, vf) in watches.iter().zip([first, second]) {
            assert_eq!(watch.wait(Duration::from_secs(1)).unwrap(), None, "{mode}");
            assert!(vf.is_present(), "{mode}");
            assert_eq!(command(vf) & 4, 0, "{mode}: no bus mastering");
        }
        // QEMU's do not answer before somebody writes Command, and there is no signal.
        let [(pf_bar, _), (first_bar, _), _] = &all;
        assert_eq!(first_bar.io::<0x10>().unwrap().try_read32(STATUS), Ok(0));
        assert!(!first_bar.is_lost());
        for vf in [first, second] {
            vf.reset().unwrap();
        }
        for device in &devices {
            device.set_bus_master(true).unwrap();
        }
        let io = pf_bar.io::<0x2000>().unwrap();
        io.try_write32(GPIE, MULTIPLE_MSIX).unwrap();
        assert_ne!(first_bar.io::<0x10>().unwrap().try_read32(STATUS), Ok(0));
        assert_all_interrupt(&all, &mode.to_string());
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_hot_reset_with_virtual_functions_is_refused_although_all_are_open() {
    let functions = Functions::new();
    for mode in modes() {
        let devices = functions.open_all(mode);
        let all = all_opened(&devices);
        let [pf, ..] = &devices;
        let mut taken = pf.hot_reset_functions().unwrap();
        taken.sort();
        let names = [PF, VF, SECOND_VF].map(|name| name.parse().unwrap());
        assert_eq!(taken, names, "{mode}");
        let error = pf.hot_reset().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{mode}: {error}");
        assert_eq!(
            error.to_string(),
            "a hot reset of 0000:06:00.0 would reset virtual functions: 0000:06:10.0, 0000:06:10.2",
            "{mode}"
        );
        let hint = error.hint().unwrap();
        let command = "echo 0 | sudo tee /sys/bus/pci/devices/0000:06:00.0/sriov_numvfs";
        assert!(hint.contains(command), "{mode}: {hint}");
        // Nothing has happened.
        assert_all_interrupt(&all, &mode.to_string());
    }
}
