//! A driver that copies memory and sends interrupts, and what goes wrong with its addresses: edu's, because its DMA engine
//! is the only one here that copies what it is told to. Each of its transfers takes 100 ms, so that counts are smaller.

use super::devices::{EDU, Opened, each};
use crate::edu::{ADDRESS_BITS, Edu};
use io_core::{
    AccessWidth, Bar, Io,
    dma::{DmaBuffer, DmaOptions, Iova},
    irq::{Interrupt, InterruptKind::Msi, Interrupts},
};
use std::time::Duration;
use vfio_backend::VfioDevice;

const SOON: Duration = Duration::from_secs(5);
/// Half of edu's memory. QEMU 7.2 ends if a transfer reaches its end.
const COUNT: usize = 2048;

/// A driver of edu.
struct Driver<'d> {
    device: &'d VfioDevice,
    bar: Bar,
    irq: Box<dyn Interrupt>,
}

impl<'d> Driver<'d> {
    fn init(device: &'d VfioDevice) -> Self {
        let bar = device.bar(0).unwrap();
        Edu(&bar).acknowledge();
        let irq = device.enable(Msi, 0..1).unwrap().pop().unwrap();
        device.set_bus_master(true).unwrap();
        Self { device, bar, irq }
    }

    fn remove(self) {
        self.device.set_bus_master(false).unwrap();
    }

    /// Lets the device copy.
    fn memcpy(&self, from: Iova, to: Iova) {
        let count = COUNT.try_into().unwrap();
        Edu(&self.bar).read(from, count);
        Edu(&self.bar).write(to, count);
    }

    fn send_msi(&self) {
        Edu(&self.bar).raise(1);
        assert_eq!(self.irq.wait(SOON).unwrap(), Some(1));
        assert_eq!(Edu(&self.bar).acknowledge(), 1);
        self.no_msi();
    }

    fn no_msi(&self) {
        assert_eq!(self.irq.wait(Duration::ZERO).unwrap(), None);
    }
}

/// Runs a scenario with a driver and memory in each mode.
fn each_driver(scenario: impl Fn(&Driver<'_>, &Memory<'_>, &Opened)) {
    each(&[EDU], |opened| {
        let driver = Driver::init(&opened.device);
        scenario(&driver, &Memory::new(&opened.device), opened);
        driver.no_msi();
        driver.remove();
    });
}

/// Memory that a device can reach, and addresses where it reaches none.
struct Memory<'d> {
    device: &'d VfioDevice,
    from: DmaBuffer,
    to: DmaBuffer,
    unmapped: Iova,
}

impl<'d> Memory<'d> {
    fn new(device: &'d VfioDevice) -> Self {
        let buffer = || {
            let options = DmaOptions::default().address_bits(ADDRESS_BITS);
            let memory = device.dma().unwrap().allocate(COUNT, options);
            memory.unwrap().share().unwrap()
        };
        let (from, to, gone) = (buffer(), buffer(), buffer());
        let unmapped = gone.iova();
        drop(gone);
        Self {
            device,
            from,
            to,
            unmapped,
        }
    }

    /// Fills the buffers: one with bytes that begin with `first` and count, the other with their opposites.
    fn fill(&self, first: u8) {
        for (at, byte) in (first..=u8::MAX).cycle().take(COUNT).enumerate() {
            self.from.view().try_write8(at, byte).unwrap();
            self.to.view().try_write8(at, !byte).unwrap();
        }
    }

    fn bytes(buffer: &DmaBuffer) -> Vec<u8> {
        let mut bytes = vec![0; COUNT];
        let copied = buffer
            .view()
            .copy_to_slice(0, &mut bytes, AccessWidth::Auto);
        copied.unwrap();
        bytes
    }

    /// Lets `driver` copy, and looks whether it has.
    fn memcpy(&self, driver: &Driver<'_>, first: u8, what: &Opened) {
        self.fill(first);
        assert_ne!(Self::bytes(&self.to), Self::bytes(&self.from), "{what}");
        driver.memcpy(self.from.iova(), self.to.iova());
        assert_eq!(Self::bytes(&self.to), Self::bytes(&self.from), "{what}");
        driver.no_msi();
    }

    /// Lets `driver` copy to where nothing is mapped: nothing else has changed.
    fn memcpy_to_unmapped(&self, driver: &Driver<'_>, what: &Opened) {
        self.fill(7);
        let before = [&self.from, &self.to].map(Self::bytes);
        driver.memcpy(self.from.iova(), self.unmapped);
        assert_eq!([&self.from, &self.to].map(Self::bytes), before, "{what}");
        driver.no_msi();
    }

    /// Lets `driver` copy from there: what arrives is the device's affair, but what was mapped last there does not.
    fn memcpy_from_unmapped(&self, driver: &Driver<'_>, what: &Opened) {
        let options = DmaOptions::default().at(self.unmapped);
        let secret = self.device.dma().unwrap().allocate(COUNT, options);
        let mut secret = secret.unwrap();
        secret.fill(0x5e);
        drop(secret.share().unwrap());
        self.fill(9);
        let before = Self::bytes(&self.from);
        driver.memcpy(self.unmapped, self.to.iova());
        assert_eq!(Self::bytes(&self.from), before, "{what}");
        assert_ne!(Self::bytes(&self.to), [0x5e; COUNT], "{what}");
        driver.no_msi();
    }
}

#[test]
#[ignore = "needs the lab"]
fn init_remove() {
    each(&[EDU], |opened| {
        for _ in 0..10 {
            let driver = Driver::init(&opened.device);
            driver.send_msi();
            driver.remove();
            let command = opened.device.config().try_read16(4).unwrap();
            assert_eq!(command & 4, 0, "{opened}: no bus master");
        }
    });
}

#[test]
#[ignore = "needs the lab"]
fn memcpy_success() {
    each_driver(|driver, memory, what| memory.memcpy(driver, 1, what));
}

#[test]
#[ignore = "needs the lab"]
fn memcpy_storm() {
    each_driver(|driver, memory, what| {
        for first in 0..4 {
            memory.memcpy(driver, first, what);
        }
    });
}

#[test]
#[ignore = "needs the lab"]
fn memcpy_from_unmapped_iova() {
    each_driver(|driver, memory, what| memory.memcpy_from_unmapped(driver, what));
}

#[test]
#[ignore = "needs the lab"]
fn memcpy_to_unmapped_iova() {
    each_driver(|driver, memory, what| memory.memcpy_to_unmapped(driver, what));
}

#[test]
#[ignore = "needs the lab"]
fn send_msi() {
    each_driver(|driver, _, _| driver.send_msi());
}

#[test]
#[ignore = "needs the lab"]
fn mix_and_match() {
    each_driver(|driver, memory, what| {
        for first in 0..2 {
            memory.memcpy(driver, first, what);
            memory.memcpy_from_unmapped(driver, what);
            driver.send_msi();
            memory.memcpy_to_unmapped(driver, what);
            driver.send_msi();
        }
        memory.memcpy(driver, 100, what);
    });
}
