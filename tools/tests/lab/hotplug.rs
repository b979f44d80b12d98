//! A device that was plugged in a moment ago is in sysfs before the kernel is through with it.

use lab_guest::Qmp;
use pci_host::{Execution, Host};
use serde_json::json;
use std::{fs::File, time::Duration};

const ADDRESS: &str = "0000:02:00.0";
const ROUNDS: usize = 30;

#[test]
#[ignore = "needs the lab"]
fn a_device_is_bound_as_soon_as_it_is_seen() {
    let host = Host::system();
    let mut qmp = Qmp::connect().unwrap();
    // A network card, whose driver is after it at the same time, and a device that no driver wants.
    for driver in ["e1000e", "edu"] {
        for round in 0..ROUNDS {
            let device = json!({ "bus": "rp2", "driver": driver, "id": "hot" });
            qmp.execute("device_add", &device).unwrap();
            let function = loop {
                if let Ok(function) = host.function(ADDRESS.parse().unwrap()) {
                    break function;
                }
            };
            let plan = host.plan_bind(&function, "vfio-pci").unwrap();
            let done = Execution::new(&host).run(&plan);
            let done = done.unwrap_or_else(|e| panic!("{driver}, {round}: {e:?}"));
            File::open(done.node.unwrap()).unwrap_or_else(|e| panic!("{driver}, {round}: {e:?}"));
            let plan = host.plan_release(&done.function).unwrap();
            host.execute(&plan, Duration::from_secs(10)).unwrap();
            qmp.device_del("hot").unwrap();
            let mut event = || {
                qmp.event("DEVICE_DELETED", Duration::from_secs(20))
                    .unwrap()
            };
            while event().get("device") != Some(&json!("hot")) {}
        }
    }
}
