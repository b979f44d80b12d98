//! Devices and drivers that go while a program has them.

use crate::{EDU, SOON, UIO, by_sysfs, by_uio, command, enables};
use io_core::{ErrorKind, Io, PciDevice, irq::InterruptKind};
use lab_guest::Outside;
use std::fs;

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_removed_while_it_is_open_answers_no_more_and_its_successor_is_left_alone() {
    let device = by_sysfs(EDU);
    let bar = device.bar(0).unwrap();
    device.set_bus_master(true).unwrap();
    let outside = Outside::new(device.address());
    outside.remove().unwrap();
    outside.becomes(false);
    assert!(!device.is_present());
    for error in [
        device.set_bus_master(false).unwrap_err(),
        device.set_memory_decode(true).unwrap_err(),
        device.reset().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
        assert_eq!(error.hint(), None, "{error}");
    }
    // Whatever it reads, the program survives it.
    _ = bar.io::<0x100>().unwrap().try_read32(0);
    outside.rescan();
    let successor = by_sysfs(EDU);
    let enabled = enables(EDU);
    successor.set_bus_master(true).unwrap();
    drop((bar, device));
    assert_eq!(command(EDU) & 6, 6);
    assert_eq!(enables(EDU), enabled);
    drop(successor);
    assert_eq!(command(EDU) & 4, 0);
}

#[test]
#[ignore = "needs the lab"]
fn a_node_whose_driver_has_let_go_is_lost_to_who_waits() {
    let (device, _bound) = by_uio(EDU);
    let irqs = PciDevice::interrupts(&device).unwrap();
    let irq = irqs.enable(InterruptKind::Intx, 0..1).unwrap().remove(0);
    let address = device.address().to_string();
    fs::write(format!("/sys/bus/pci/drivers/{UIO}/unbind"), address).unwrap();
    let error = irq.wait(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    let hint = error.hint();
    assert_eq!(hint, Some("its driver has let go of the device"));
    drop((irq, device));
    assert_eq!(command(EDU) & 4, 0);
}
