//! A device that is plugged in for a test, and unplugged by it.

use std::{fs, time::Duration};

use io_core::{ErrorKind, pci::PciAddress};
use pci_host::Host;
use serde_json::{Value, json};

use crate::{Outside, Qmp};

const ID: &str = "hot";
const LIMIT: Duration = Duration::from_secs(20);

/// A device in the empty root port, with vfio-pci. The test has to [ask](Self::ask) for it, and wait until it is
/// [gone](Self::gone).
pub struct Hot(Qmp);

impl Hot {
    /// Where it is.
    pub const ADDRESS: &str = "0000:02:00.0";

    /// Plugs QEMU's device `driver` in, with these properties.
    ///
    /// # Panics
    ///
    /// QEMU or the kernel refuses.
    #[must_use]
    pub fn plug(mut qmp: Qmp, driver: &str, properties: &Value) -> Self {
        crate::fact("kernel");
        let mut device = json!({ "bus": "rp2", "driver": driver, "id": ID });
        let all = device.as_object_mut().expect("an object");
        all.extend(
            properties
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        qmp.execute("device_add", &device).expect("plugged in");
        let address = Self::ADDRESS.parse().expect("an address");
        let outside = Outside::new(address);
        outside.becomes(true);
        // A scan of its bus waits until the kernel is through with it: that takes the same lock.
        fs::write(outside.folder().join("rescan"), "1").expect("scanned");
        bind(address);
        Self(qmp)
    }

    /// Asks the kernel to give it back.
    ///
    /// # Panics
    ///
    /// QEMU refuses.
    pub fn ask(&mut self) {
        self.0.device_del(ID).expect("asked");
    }

    /// Waits until QEMU has it back.
    ///
    /// # Panics
    ///
    /// That does not come within 20 s.
    pub fn gone(&mut self) {
        let mut event = || self.0.event("DEVICE_DELETED", LIMIT).expect("an event");
        while event().get("device") != Some(&json!(ID)) {}
    }
}

/// Gives it to vfio-pci. Seen once in some twenty times, with Linux 6.1 and a drive that was plugged in right after another
/// one had gone: the driver took it, and the node of its group did not appear. It is not known why.
fn bind(address: PciAddress) {
    const TRIES: u32 = 3;
    let host = Host::system();
    for attempt in 1..=TRIES {
        let function = host.function(address).expect("a function");
        let plan = host.plan_bind(&function, "vfio-pci").expect("a plan");
        match host.execute(&plan, Duration::from_secs(5)) {
            Ok(_) => return,
            Err(error) => assert!(
                attempt < TRIES && error.kind() == ErrorKind::TimedOut,
                "not bound: {error:?}"
            ),
        }
    }
}
