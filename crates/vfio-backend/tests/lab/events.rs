//! Devices that are wanted back while they are open, or that fail: docs/device-loss.md has the times that these tests print.
#![expect(
    clippy::print_stdout,
    reason = "the times are for who reads the test's output"
)]

use crate::{
    edu::{ADDRESS_BITS, Edu},
    hot::{Hot, becomes, sysfs, to_vfio},
    places::{EDU, NIC},
    plugged::PLUGGED,
};
use io_core::{
    Bar, ErrorKind, Io, PciDevice,
    dma::DmaOptions,
    event::{
        DeviceEvent::{Failed, RemovalRequested},
        DeviceEvents, Ending, until_event,
    },
    irq::{InterruptKind::Intx, Interrupts},
    pci::PciAddress,
};
use lab_guest::{Bound, modes};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use std::{
    fs,
    ops::ControlFlow,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use vfio_backend::VfioDevice;

const SOON: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

/// edu's first register (QEMU's docs/specs/edu.rst).
const IDENTIFICATION: u32 = 0x0100_00ed;

/// VET of an 82574, the type of VLAN frames: 8100h after a reset (its datasheet, 10.2.2.9).
const VET: usize = 0x38;

/// What holds a device open: it, and a BAR.
fn held(device: VfioDevice) -> (VfioDevice, Bar) {
    let bar = device.bar(0).unwrap();
    (device, bar)
}

/// Asserts that the device works as ever.
fn assert_works(device: &VfioDevice, bar: &Bar) {
    assert_eq!(bar.io::<4>().unwrap().try_read32(0), Ok(IDENTIFICATION));
    assert!(device.is_present());
}

#[test]
#[ignore = "needs the lab"]
fn events_that_are_triggered_come_once_and_are_readable() {
    for mode in modes() {
        let bound = Bound::new(NIC);
        let device = bound.open_in(mode);
        let watch = device.watch().unwrap();
        // It tells of edges only.
        let (mut poll, mut told) = (Poll::new().unwrap(), Events::with_capacity(4));
        let fd = watch.as_raw_fd();
        let mut source = SourceFd(&fd);
        let registry = poll.registry();
        registry
            .register(&mut source, Token(0), Interest::READABLE)
            .unwrap();
        let mut readable = || {
            poll.poll(&mut told, Some(Duration::ZERO)).unwrap();
            !told.is_empty()
        };
        assert_eq!(watch.wait(Duration::ZERO).unwrap(), None);
        for event in [RemovalRequested, Failed] {
            assert!(!readable());
            watch.trigger(event).unwrap();
            watch.trigger(event).unwrap();
            assert!(readable());
            assert_eq!(watch.wait(SOON).unwrap(), Some(event));
            assert_eq!(watch.wait(Duration::ZERO).unwrap(), None);
        }
        let busy = device.watch().unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
        drop(watch);
        let watch = device.watch().unwrap();
        watch.trigger(Failed).unwrap();
        assert_eq!(watch.wait(SOON).unwrap(), Some(Failed));
        drop(device);
        let closed = watch.trigger(Failed).unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::NotFound, "{closed}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_device_without_pci_express_does_not_fail_and_is_wanted_back_all_the_same() {
    let bound = Bound::new(EDU);
    let device = bound.open().unwrap();
    let watch = device.watch().unwrap();
    let error = watch.trigger(Failed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    watch.trigger(RemovalRequested).unwrap();
    assert_eq!(watch.wait(SOON).unwrap(), Some(RemovalRequested));
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_unplugged_goes_when_its_handle_and_its_bars_are_dropped() {
    for mode in modes() {
        let mut hot = Hot::plug("edu");
        let (device, bar) = held(hot.open_in(mode));
        let watch = device.watch().unwrap();
        let asked = Instant::now();
        hot.ask();
        assert_eq!(watch.wait(SOON).unwrap(), Some(RemovalRequested));
        let told = asked.elapsed();
        assert_works(&device, &bar);
        device.set_bus_master(false).unwrap();
        drop(device);
        thread::sleep(SHORT);
        assert_eq!(bar.io::<4>().unwrap().try_read32(0), Ok(IDENTIFICATION));
        let released = Instant::now();
        drop(bar);
        hot.gone();
        let gone = released.elapsed();
        println!("unplugged, {mode}: told after {told:.1?}, gone {gone:.1?} after its release");
    }
}

#[test]
#[ignore = "needs the lab"]
fn work_ends_when_its_device_is_unplugged_and_has_let_go_of_it() {
    for mode in modes() {
        let mut hot = Hot::plug("edu");
        let device = hot.open_in(mode);
        device.set_bus_master(true).unwrap();
        let space = device.dma().unwrap();
        let options = DmaOptions::default().address_bits(ADDRESS_BITS);
        let buffer = space.allocate(4096, options).unwrap().share().unwrap();
        let bar = device.bar(0).unwrap();
        let irq = device.enable(Intx, 0..1).unwrap().pop().unwrap();
        let (mut asked, mut steps) = (None, 0);
        let held = (bar, buffer, irq);
        let ending = {
            let (asked, steps, hot) = (&mut asked, &mut steps, &mut hot);
            until_event(&device, move || {
                let (bar, buffer, _irq) = &held;
                Edu(bar).read(buffer.iova(), 64);
                *steps += 1;
                if *steps == 10 {
                    hot.ask();
                    *asked = Some(Instant::now());
                }
                Ok(ControlFlow::<()>::Continue(()))
            })
        };
        assert_eq!(ending.unwrap(), Ending::Event(RemovalRequested), "{mode}");
        let told = asked.unwrap().elapsed();
        assert_eq!(device.config().try_read16(4).unwrap() & 4, 0, "bus master");
        drop(device);
        hot.gone();
        let gone = asked.unwrap().elapsed();
        println!("work, {mode}: {steps} steps, ended after {told:.1?}, gone after {gone:.1?}");
    }
}

/// Writes to a file of sysfs in another thread, as a person would in a shell: the kernel returns when the device has been
/// let go of. What is returned says when it did.
fn echo(text: &str, path: &str) -> mpsc::Receiver<Instant> {
    let (sender, receiver) = mpsc::channel();
    let (text, path) = (text.to_owned(), path.to_owned());
    thread::spawn(move || {
        fs::write(&path, text).unwrap();
        sender.send(Instant::now()).unwrap();
    });
    receiver
}

/// Holds a device while somebody takes it by such a write, and lets go of it.
fn taken_by(what: &str, hot: &Hot, text: &str, path: &str) {
    for again in [false, true] {
        let (device, bar) = held(hot.open_in(*modes().last().unwrap()));
        let watch = device.watch().unwrap();
        let asked = Instant::now();
        let done = echo(text, path);
        assert_eq!(watch.wait(SOON).unwrap(), Some(RemovalRequested));
        let told = asked.elapsed();
        assert!(done.recv_timeout(SHORT).is_err(), "it waits for us");
        assert_works(&device, &bar);
        if again {
            let second = watch.wait(Duration::from_secs(15)).unwrap();
            assert_eq!(second, Some(RemovalRequested));
            println!("{what}: told again after {:.1?}", asked.elapsed());
        }
        drop((device, bar));
        let released = Instant::now();
        let done = done.recv_timeout(SOON).unwrap();
        let gone = done.saturating_duration_since(released);
        println!("{what}: told after {told:.1?}, done {gone:.1?} after its release");
        let address = PLUGGED.parse().unwrap();
        if !sysfs(address).exists() {
            fs::write("/sys/bus/pci/rescan", "1").unwrap();
            becomes(address, true);
        }
        to_vfio(address);
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_removed_in_sysfs_is_waited_for() {
    let mut hot = Hot::plug("edu");
    let path = format!("/sys/bus/pci/devices/{PLUGGED}/remove");
    taken_by("removed", &hot, "1", &path);
    hot.ask();
    hot.gone();
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_is_unbound_while_it_is_open_is_waited_for() {
    let mut hot = Hot::plug("edu");
    taken_by(
        "unbound",
        &hot,
        PLUGGED,
        "/sys/bus/pci/drivers/vfio-pci/unbind",
    );
    hot.ask();
    hot.gone();
}

/// Lets the kernel find an uncorrectable error in a device's AER registers, by the `struct aer_error_inj` of its
/// drivers/pci/pcie/aer_inject.c.
fn inject(address: PciAddress, uncorrectable: u32) {
    let mut bytes = vec![address.bus(), address.device(), address.function(), 0];
    let domain = address.domain();
    for number in [uncorrectable, 0, 0, 0, 0, 0, domain] {
        bytes.extend(number.to_ne_bytes());
    }
    fs::write("/dev/aer_inject", bytes).unwrap();
}

/// Uncorrectable errors (PCI Express Base 5.0, 7.8.4.2): one that is not fatal by default, and one that is (7.8.4.4).
const COMPLETION_TIMEOUT: u32 = 1 << 14;
const DATA_LINK_PROTOCOL: u32 = 1 << 4;

mod full {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn an_error_that_is_not_fatal_is_told_and_the_device_goes_on() {
        for mode in modes() {
            let bound = Bound::new(NIC);
            let (device, bar) = held(bound.open_in(mode));
            let io = bar.io::<0x100>().unwrap();
            io.try_write32(VET, 0x88a8).unwrap();
            let watch = device.watch().unwrap();
            let injected = Instant::now();
            inject(bound.address, COMPLETION_TIMEOUT);
            assert_eq!(watch.wait(SOON).unwrap(), Some(Failed));
            println!("not fatal, {mode}: told after {:.1?}", injected.elapsed());
            assert_eq!(watch.wait(Duration::from_secs(2)).unwrap(), None);
            assert_eq!(io.try_read32(VET), Ok(0x88a8), "it was not reset");
            assert!(device.is_present());
        }
    }
}

mod pciehp;
