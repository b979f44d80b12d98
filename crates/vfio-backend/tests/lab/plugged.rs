//! edus with more address bits than the 28 that those of the lab have, plugged in for a test.

use crate::hot::becomes;
use lab_guest::Qmp;
use serde_json::json;
use std::time::Duration;

/// Where what is plugged into the empty root port is: see docs/lab.md.
pub const PLUGGED: &str = "0000:02:00.0";
const ID: &str = "masked-edu";
const LIMIT: Duration = Duration::from_secs(20);

/// An edu at [`PLUGGED`] until this is dropped, which is after it was released.
pub struct Plugged(Qmp);

impl Plugged {
    /// One whose DMA engine has so many address bits: its `dma_mask`, in QEMU's docs/specs/edu.rst.
    pub fn edu(address_bits: u32) -> Self {
        lab_guest::fact("kernel");
        let mask = (1_u64 << address_bits) - 1;
        let device = json!({ "bus": "rp2", "driver": "edu", "id": ID, "dma_mask": mask });
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
