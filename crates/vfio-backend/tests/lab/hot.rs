//! Devices that go away during a test.

use crate::plugged::PLUGGED;
use io_core::pci::PciAddress;
use lab_guest::Qmp;
use nix::libc;
use pci_host::Host;
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

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
    port: PathBuf,
    pub address: PciAddress,
}

impl Slot {
    /// The slot of the device at `address`, which is bound to vfio-pci and never given back.
    pub fn new(address: &str) -> Self {
        let address = address.parse().unwrap();
        to_vfio(address);
        let port = fs::canonicalize(sysfs(address)).unwrap();
        let port = port.parent().unwrap().to_owned();
        Self { port, address }
    }

    pub fn open(&self) -> VfioDevice {
        VfioDevice::open(&Host::system(), self.address).unwrap()
    }

    /// Switches the power of the slot off, as if the device were pulled out, and has the register as before (PCI Express Base
    /// 5.0, 7.5.3.10: bits 9:8 are the power indicator, 11b is off; bit 10 switches the power off).
    ///
    /// If the kernel saw the register in between it would take the slot for one that it has switched off itself, and tell
    /// nobody: it does not run meanwhile.
    pub fn cut_power(&self) {
        let mut options = OpenOptions::new();
        let config = options.read(true).write(true);
        let config = config.open(self.port.join("config")).unwrap();
        let byte = |at: u64| {
            let mut byte = [0];
            config.read_exact_at(&mut byte, at).unwrap();
            u64::from(byte[0])
        };
        // The PCI Express capability has the id 10h; Slot Control is 18h behind its start.
        let mut at = byte(0x34);
        while byte(at) != 0x10 {
            at = byte(at + 1);
            assert_ne!(at, 0, "a root port has a PCI Express capability");
        }
        let mut control = [0; 2];
        config.read_exact_at(&mut control, at + 0x18).unwrap();
        let off = u16::from_le_bytes(control) | 0x0700;
        let _one = OneProcessor::new();
        schedule(libc::SCHED_FIFO, 99);
        config.write_all_at(&off.to_le_bytes(), at + 0x18).unwrap();
        config.write_all_at(&control, at + 0x18).unwrap();
        schedule(libc::SCHED_OTHER, 0);
    }

    /// Waits until the kernel has forgotten the device.
    pub fn gone(&self) {
        becomes(self.address, false);
    }
}

/// The guest's second processor switched off, until this is dropped.
pub struct OneProcessor;

const SECOND: &str = "/sys/devices/system/cpu/cpu1/online";

impl OneProcessor {
    pub fn new() -> Self {
        fs::write(SECOND, "0").unwrap();
        Self
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        fs::write(SECOND, "1").unwrap();
    }
}

/// Lets this thread run before all others, those of the kernel's interrupts too, or like others.
#[expect(unsafe_code, reason = "nix does not have it")]
fn schedule(policy: i32, sched_priority: i32) {
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: the kernel reads the structure, which lives as long as the call.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
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
