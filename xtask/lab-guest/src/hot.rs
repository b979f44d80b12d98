//! A device that is plugged in for a test, and unplugged by it.

use std::time::Duration;

use io_core::pci::PciAddress;
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

/// Gives it to vfio-pci, whatever the kernel is still doing with it.
fn bind(address: PciAddress) {
    let host = Host::system();
    let function = host.function(address).expect("a function");
    let plan = host.plan_bind(&function, "vfio-pci").expect("a plan");
    host.execute(&plan, LIMIT).expect("bound");
}
