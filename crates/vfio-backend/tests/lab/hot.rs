//! Devices that go away during a test.

use crate::plugged::PLUGGED;
use io_core::pci::PciAddress;
use lab_guest::Qmp;
use pci_host::Host;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

pub use lab_guest::OneProcessor;

const ID: &str = "leaving";
const LIMIT: Duration = Duration::from_secs(20);

/// A device at [`PLUGGED`], with vfio-pci, which has to be unplugged by the test.
pub struct Hot(Qmp);

impl Hot {
    /// Plugs one in that no driver of the kernel takes.
    pub fn plug(driver: &str) -> Self {
        lab_guest::fact("kernel");
        let mut qmp = Qmp::connect().unwrap();
        qmp.device_add("rp2", driver, ID).unwrap();
        let address = PLUGGED.parse().unwrap();
        becomes(address, true);
        settled(address);
        to_vfio(address);
        Self(qmp)
    }

    pub fn open_in(&self, mode: IommuMode) -> VfioDevice {
        let context = VfioContext::new(&Host::system(), mode).unwrap();
        context.open(PLUGGED.parse().unwrap()).unwrap()
    }

    /// Asks the guest to give it back.
    pub fn ask(&mut self) {
        self.0.device_del(ID).unwrap();
    }

    /// Waits until QEMU has it back.
    pub fn gone(&mut self) {
        let mut event = || self.0.event("DEVICE_DELETED", LIMIT).unwrap();
        while event().get("device") != Some(&json!(ID)) {}
        assert!(!sysfs(PLUGGED.parse().unwrap()).exists());
    }
}

/// A slot behind a root port that the kernel drives natively, and the device that is in it since the machine was started.
pub struct Slot {
    slot: lab_guest::Slot,
    pub address: PciAddress,
}

impl Slot {
    /// The slot of the device at `address`, which is bound to vfio-pci and never given back.
    pub fn new(address: &str) -> Self {
        let address = address.parse().unwrap();
        to_vfio(address);
        let slot = lab_guest::Slot::of(address);
        Self { slot, address }
    }

    pub fn open(&self) -> VfioDevice {
        VfioDevice::open(&Host::system(), self.address).unwrap()
    }

    /// Switches the power of the slot off, as if the device were pulled out.
    pub fn cut_power(&self) {
        self.slot.cut_power();
    }

    /// Waits until the kernel has forgotten the device.
    pub fn gone(&self) {
        becomes(self.address, false);
    }
}

/// Waits until the device is there, or is not.
pub fn becomes(address: PciAddress, there: bool) {
    let started = Instant::now();
    while sysfs(address).join("config").exists() != there {
        assert!(started.elapsed() < LIMIT, "{address} there: {}", !there);
        sleep(Duration::from_millis(5));
    }
}

/// Waits until the kernel is through with a device that has just been plugged in. It holds a lock meanwhile, which a scan of
/// the device's bus takes as well.
fn settled(address: PciAddress) {
    fs::write(sysfs(address).join("rescan"), "1").unwrap();
}

/// Gives a device to vfio-pci, once it is there.
pub fn to_vfio(address: PciAddress) {
    becomes(address, true);
    let host = Host::system();
    let plan = host.plan_bind(&host.function(address).unwrap(), "vfio-pci");
    host.execute(&plan.unwrap(), LIMIT).unwrap();
}

pub fn sysfs(address: PciAddress) -> PathBuf {
    Path::new("/sys/bus/pci/devices").join(address.to_string())
}
