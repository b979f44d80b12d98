//! Configuration space, BARs and interrupts.

use super::devices::{Device, Opened, each};
use io_core::{
    ErrorKind, Io,
    irq::{
        InterruptKind::{self, Intx, Msi, MsiX},
        Interrupts,
    },
};
use std::{fs, time::Duration};

scenarios! { everywhere:
    config_space_read_write
    validate_bars
    intx_enable_trigger_disable
    msi_enable_trigger_disable
    msix_enable_trigger_disable
    reset
}

fn config_space_read_write(devices: &[Device]) {
    each(devices, |opened| {
        let (config, function) = (opened.device.config(), opened.device.function());
        assert_eq!(config.try_read16(0), Ok(function.vendor), "{opened}");
        assert_eq!(config.try_read16(2), Ok(function.device), "{opened}");
        // PCI Local Bus 3.0 section 6.2.2: bit 2 of Command, at 4, is Bus Master.
        let command = config.try_read16(4).unwrap();
        assert_eq!(command & 4, 0, "{opened}: bus master after open");
        config.try_write16(4, command | 4).unwrap();
        assert_eq!(config.try_read16(4), Ok(command | 4), "{opened}");
        config.try_write16(4, command).unwrap();
        assert_eq!(config.try_read16(4), Ok(command), "{opened}");
    });
}

fn validate_bars(devices: &[Device]) {
    each(devices, |opened| {
        let device = &opened.device;
        for index in 0..6 {
            let info = device.region_info(u32::from(index)).unwrap();
            let known = device.function().bar(index);
            assert_eq!(known.is_ok(), info.size != 0, "{opened}: BAR {index}");
            let bar = device.bar(index);
            if info.size == 0 {
                assert_eq!(bar.unwrap_err().kind(), ErrorKind::NotFound, "{opened}");
                continue;
            }
            let bar = bar.unwrap();
            assert_eq!(bar.size(), usize::try_from(info.size).unwrap(), "{opened}");
            let mapped = bar.mmio::<0>().is_ok();
            assert_eq!(mapped, info.mappable, "{opened}: BAR {index}");
        }
    });
}

fn intx_enable_trigger_disable(devices: &[Device]) {
    each(devices, |opened| enable_trigger_disable(opened, Intx));
}

fn msi_enable_trigger_disable(devices: &[Device]) {
    each(devices, |opened| enable_trigger_disable(opened, Msi));
}

fn msix_enable_trigger_disable(devices: &[Device]) {
    each(devices, |opened| enable_trigger_disable(opened, MsiX));
}

fn enable_trigger_disable(opened: &Opened, kind: InterruptKind) {
    let count = Interrupts::info(&opened.device, kind).unwrap().count;
    assert_eq!(count, vectors(opened.name, kind), "{opened}: {kind}");
    if count == 0 {
        let error = opened.device.enable(kind, 0..1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{opened}: {error}");
        return;
    }
    // Twice, which shows that they were disabled.
    for _ in 0..2 {
        let irqs = opened.device.enable(kind, 0..count.min(16)).unwrap();
        for irq in &irqs {
            let what = format!("{opened}: vector {} of {kind}", irq.vector());
            assert_eq!(irq.wait(Duration::ZERO).unwrap(), None, "{what}");
            irq.trigger().unwrap();
            assert_eq!(irq.wait(Duration::ZERO).unwrap(), Some(1), "{what}");
            let quiet = |irq: &dyn io_core::irq::Interrupt| irq.wait(Duration::ZERO).unwrap();
            assert!(irqs.iter().all(|irq| quiet(&**irq).is_none()), "{what}");
        }
    }
}

/// How many vectors QEMU's devices have, as `lspci -v` shows it.
fn vectors(device: &str, kind: InterruptKind) -> u32 {
    match (device, kind) {
        ("edu" | "e1000e" | "nvme" | "virtio-net" | "igb", Intx) => 1,
        ("edu" | "e1000e" | "igb", Msi) => 1,
        ("e1000e", MsiX) => 5,
        ("nvme", MsiX) => 65,
        ("virtio-net", MsiX) => 4,
        ("igb", MsiX) => 10,
        _ => 0,
    }
}

fn reset(devices: &[Device]) {
    each(devices, |opened| {
        let device = &opened.device;
        device.set_bus_master(true).unwrap();
        // What the kernel's own list of ways says.
        let address = device.address();
        let ways = fs::read_to_string(format!("/sys/bus/pci/devices/{address}/reset_method"));
        let reset = device.reset();
        if ways.is_ok_and(|ways| !ways.trim().is_empty()) {
            reset.unwrap_or_else(|error| panic!("{opened}: {error:?}"));
            let command = device.config().try_read16(4).unwrap();
            assert_eq!(command & 6, 2, "{opened}: memory, and no bus mastering");
        } else {
            let error = reset.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{opened}: {error}");
        }
    });
}
