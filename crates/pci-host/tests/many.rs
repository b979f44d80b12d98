//! 256 virtual functions at once, on a copy of `/sys` that answers to writes as the kernel does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tree;

use io_core::{ErrorKind, pci::PciAddress};
use pci_host::{Execution, Moment, Plan, SysfsWrite};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};
use tree::Tree;

/// Where vfio-pci does not take the function.
const REFUSED: [&str; 3] = ["0000:03:00.7", "0000:03:10.0", "0000:03:1f.7"];

/// All functions of a bus, each in a group of its own, with the driver iavf.
fn virtual_functions() -> (Tree, Vec<PciAddress>) {
    let tree = Tree::new();
    for driver in ["vfio-pci", "iavf"] {
        for file in ["unbind", "bind"] {
            tree.file(&format!("sys/bus/pci/drivers/{driver}/{file}"), "");
        }
    }
    tree.file("sys/bus/pci/drivers_probe", "");
    tree.file("proc/sys/kernel/random/boot_id", "first-boot\n");
    let mut all = Vec::new();
    for number in 0..256 {
        let address: PciAddress = format!("0000:03:{:02x}.{}", number / 8, number % 8)
            .parse()
            .unwrap();
        let dir = format!("sys/bus/pci/devices/{address}");
        for (name, text) in [
            (
                "modalias",
                "pci:v00008086d0000154Csv00008086sd00000000bc02sc00i00\n",
            ),
            ("revision", "0x00\n"),
            ("driver_override", "(null)\n"),
            ("resource", &"0x0 0x0 0x0\n".repeat(7)),
        ] {
            tree.file(&format!("{dir}/{name}"), text);
        }
        tree.file(&format!("dev/vfio/{number}"), "");
        fs::create_dir_all(tree.path(&format!("sys/kernel/iommu_groups/{number}/devices")))
            .unwrap();
        let group = format!("../../../../kernel/iommu_groups/{number}");
        symlink(group, tree.path(&format!("{dir}/iommu_group"))).unwrap();
        set_driver(&tree, address, Some("iavf"));
        all.push(address);
    }
    (tree, all)
}

fn set_driver(tree: &Tree, address: PciAddress, driver: Option<&str>) {
    let link = tree.path(&format!("sys/bus/pci/devices/{address}/driver"));
    let _ = fs::remove_file(&link);
    if let Some(driver) = driver {
        symlink(format!("../../drivers/{driver}"), link).unwrap();
    }
}

/// What the kernel does once this was written.
fn answer(tree: &Tree, step: &SysfsWrite) {
    let file = step.path.file_name().unwrap().to_str().unwrap();
    let parent = step
        .path
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    let set = |address| tree.host.driver_override(address).unwrap();
    match file {
        // The kernel shows what is not set as (null).
        "driver_override" if step.value == "\n" => fs::write(&step.path, "(null)\n").unwrap(),
        "driver_override" => fs::write(&step.path, &step.value).unwrap(),
        "unbind" => set_driver(tree, step.value.parse().unwrap(), None),
        "bind" => set_driver(tree, step.value.parse().unwrap(), Some(parent)),
        "drivers_probe" if REFUSED.contains(&step.value.as_str()) => {}
        "drivers_probe" => {
            let address = step.value.parse().unwrap();
            let driver = set(address);
            set_driver(tree, address, Some(driver.as_deref().unwrap_or("iavf")));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn all_are_bound_by_a_few_threads_and_what_fails_is_told_apart() {
    let (tree, all) = virtual_functions();
    let threads: Mutex<BTreeSet<String>> = Mutex::default();
    let watch = |moment: Moment<'_>, done| {
        let of = |id: ThreadId| format!("{id:?}");
        threads.lock().unwrap().insert(of(thread::current().id()));
        if let (Moment::Write(step), true) = (moment, done) {
            answer(&tree, step);
        }
    };
    let execution = Execution::new(&tree.host)
        .timeout(Duration::from_secs(60))
        .watch(&watch);
    let functions = tree.host.functions().unwrap();
    assert_eq!(functions.len(), all.len());
    let plan = |function| tree.host.plan_bind(function, "vfio-pci").unwrap();
    let plans: Vec<Plan> = functions.iter().map(plan).collect();
    let seen = AtomicUsize::new(0);
    let one_more = || {
        seen.fetch_add(1, Ordering::Relaxed);
    };
    let results = execution.run_all(&plans.iter().collect::<Vec<_>>(), &one_more);
    assert_eq!(seen.into_inner(), all.len());
    let count = threads.lock().unwrap().len();
    assert!((1..=8).contains(&count), "{count} threads");

    assert_eq!(results.len(), all.len());
    let mut entries = BTreeSet::new();
    for (address, result) in all.iter().zip(results) {
        let driver = tree.host.function(*address).unwrap().driver.unwrap();
        if REFUSED.contains(&address.to_string().as_str()) {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(&address.to_string()), "{error}");
            assert_eq!(driver, "iavf", "{address} is as it was");
        } else {
            let done = result.unwrap();
            assert_eq!(done.function.address, *address, "in the order of the plans");
            entries.insert(done.entry.unwrap());
            assert_eq!(driver, "vfio-pci", "{address}");
        }
    }
    assert_eq!(
        entries.len(),
        all.len() - REFUSED.len(),
        "each has an entry"
    );
    assert_eq!(tree.host.journal().unwrap().entries.len(), entries.len());

    // What failed is as it was, and all others come back.
    let functions = tree.host.functions().unwrap();
    let plan = |function| tree.host.plan_release(function).unwrap();
    let plans: Vec<Plan> = functions.iter().map(plan).collect();
    for result in execution.run_all(&plans.iter().collect::<Vec<_>>(), &|| {}) {
        assert_eq!(result.unwrap().function.driver.as_deref(), Some("iavf"));
    }
    assert_eq!(tree.host.journal().unwrap().entries, []);
}
