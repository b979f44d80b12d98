//! Devices that the lab does not have, plugged in for a test.

use crate::hot::becomes;
use lab_guest::Qmp;
use serde_json::{Value, json};
use std::time::Duration;

/// Where what is plugged into the empty root port is: see docs/lab.md.
pub const PLUGGED: &str = "0000:02:00.0";
const ID: &str = "plugged";
const LIMIT: Duration = Duration::from_secs(20);

/// A device at [`PLUGGED`] until this is dropped, which is after it was released.
pub struct Plugged(Qmp);

impl Plugged {
    /// One whose DMA engine has so many address bits: its `dma_mask`, in QEMU's docs/specs/edu.rst.
    pub fn edu(address_bits: u32) -> Self {
        let mask = (1_u64 << address_bits) - 1;
        Self::new("edu", &json!({ "dma_mask": mask }))
    }

    /// QEMU's device `driver` with these properties.
    pub fn new(driver: &str, properties: &Value) -> Self {
        lab_guest::fact("kernel");
        let mut device = json!({ "bus": "rp2", "driver": driver, "id": ID });
        let properties = properties.as_object().unwrap().clone();
        device.as_object_mut().unwrap().extend(properties);
        let mut qmp = Qmp::connect().unwrap();
        qmp.execute("device_add", &device).unwrap();
        becomes(PLUGGED.parse().unwrap(), true);
        Self(qmp)
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        self.0.device_del(ID).unwrap();
        becomes(PLUGGED.parse().unwrap(), false);
        while self.0.event("DEVICE_DELETED", LIMIT).unwrap().get("device") != Some(&json!(ID)) {}
    }
}
