//! A device behind a root port that the kernel drives natively, and what becomes of it when its power is cut.
#![expect(unsafe_code, reason = "nix has no scheduling policies")]

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
};

use io_core::pci::PciAddress;
use nix::libc;

use crate::outside::{Outside, capability};

/// The slot of a device.
pub struct Slot {
    port: PathBuf,
}

impl Slot {
    /// The slot that the device at `address` is in.
    ///
    /// # Panics
    ///
    /// There is no such device.
    #[must_use]
    pub fn of(address: PciAddress) -> Self {
        let device = fs::canonicalize(Outside::new(address).folder()).expect("a device");
        let port = device.parent().expect("the port above it").to_owned();
        Self { port }
    }

    /// Switches the power of the slot off, as if the device were pulled out, and has the register as before (PCI Express Base
    /// 5.0, 7.5.3.10: bits 9:8 are the power indicator, 11b is off; bit 10 switches the power off).
    ///
    /// If the kernel saw the register in between it would take the slot for one that it has switched off itself, and tell
    /// nobody: it does not run meanwhile.
    ///
    /// # Panics
    ///
    /// The port has no slot, or this is not the lab.
    pub fn cut_power(&self) {
        crate::fact("kernel");
        let mut options = OpenOptions::new();
        let config = options.read(true).write(true);
        let config: File = config.open(self.port.join("config")).expect("a port");
        // The PCI Express capability has the id 10h; Slot Control is 18h behind its start.
        let at = capability(&config, 0x10).expect("a PCI Express capability") + 0x18;
        let mut control = [0; 2];
        config.read_exact_at(&mut control, at).expect("read");
        let off = u16::from_le_bytes(control) | 0x0700;
        let _one = OneProcessor::new();
        schedule(libc::SCHED_FIFO, 99);
        let cut = config.write_all_at(&off.to_le_bytes(), at);
        let restored = config.write_all_at(&control, at);
        schedule(libc::SCHED_OTHER, 0);
        cut.and(restored).expect("written");
    }
}

/// The guest's second processor switched off, until this is dropped.
pub struct OneProcessor(());

const SECOND: &str = "/sys/devices/system/cpu/cpu1/online";

impl OneProcessor {
    /// Switches it off.
    ///
    /// # Panics
    ///
    /// There is no second processor, or this is not the lab.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it changes the machine")]
    pub fn new() -> Self {
        crate::fact("kernel");
        fs::write(SECOND, "0").expect("a second processor");
        Self(())
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        fs::write(SECOND, "1").expect("the second processor is back");
    }
}

/// Lets this thread run before all others, those of the kernel's interrupts too, or like others.
fn schedule(policy: i32, sched_priority: i32) {
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: the kernel reads the structure, which lives as long as the call.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
