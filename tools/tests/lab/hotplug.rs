//! A device that was plugged in a moment ago is in sysfs before the kernel is through with it.

use super::{fails, json as printed, ok};
use lab_guest::Qmp;
use pci_host::{Execution, Host};
use serde_json::json;
use std::{
    fs::File,
    thread::sleep,
    time::{Duration, Instant},
};

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

#[test]
#[ignore = "needs the lab"]
fn an_entry_of_a_device_that_was_pulled_out_is_shown_as_gone_and_dropped_when_asked() {
    let host = Host::system();
    // The devices of the other test had the same place.
    loop {
        let log = printed(&["log"]);
        let entries = log["data"]["entries"].as_array().unwrap();
        let Some(gone) = entries.iter().find(|entry| entry["gone"] == true) else {
            break;
        };
        ok(&["undo", &gone["id"].to_string()]);
    }
    let mut qmp = Qmp::connect().unwrap();
    let device = json!({ "bus": "rp2", "driver": "edu", "id": "hot" });
    qmp.execute("device_add", &device).unwrap();
    let wait = |there: bool| {
        let started = Instant::now();
        while host.function(ADDRESS.parse().unwrap()).is_ok() != there {
            assert!(started.elapsed() < Duration::from_secs(60));
            sleep(Duration::from_millis(20));
        }
    };
    wait(true);
    let ids = || {
        let log = printed(&["log"]);
        let entries = log["data"]["entries"].as_array().unwrap().clone();
        entries
            .into_iter()
            .map(|entry| entry["id"].clone())
            .collect::<Vec<_>>()
    };
    let before = ids();
    let bound = printed(&["bind", ADDRESS]);
    let id = bound["data"]["devices"][0]["entry"].clone();
    let entry = |gone: bool| {
        let log = printed(&["log"]);
        let entries = log["data"]["entries"].as_array().unwrap();
        let ours = |entry: &&serde_json::Value| entry["id"] == id;
        assert_eq!(entries.iter().find(ours).unwrap()["gone"], gone);
    };
    entry(false);
    qmp.device_del("hot").unwrap();
    wait(false);
    entry(true);
    let hint = format!("outboard undo {id}");
    let said = ok(&["log"]);
    assert!(
        said.contains(&format!("the device is gone: {hint} drops the entry")),
        "{said}"
    );
    let said = fails(3, &["release", ADDRESS]);
    assert!(said.contains(&hint), "{said}");
    let said = ok(&["undo", &id.to_string(), "--dry-run"]);
    assert!(said.contains("nothing is left to take back"), "{said}");
    entry(true);
    ok(&["undo", &id.to_string()]);
    assert_eq!(ids(), before);
}
