//! Binding and releasing real functions, in the lab: what the kernel makes of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{ErrorKind, pci::PciAddress};
use pci_host::{Host, PciFunction};
use std::{env, fs::File, time::Duration};

const DEADLINE: Duration = Duration::from_secs(10);

/// The machine, if it is the lab: on any other, a bind could take the network or the disk away.
fn lab() -> Host {
    assert!(
        env::var_os("OUTBOARD_LAB").is_some(),
        "these tests are run by `cargo xtask test`"
    );
    Host::system()
}

fn at(address: &str) -> PciAddress {
    address.parse().unwrap()
}

/// What a release must leave as it was.
fn state(host: &Host) -> Vec<(PciAddress, Option<String>, Option<String>)> {
    let of = |f: PciFunction| {
        let set = host.driver_override(f.address).unwrap();
        (f.address, f.driver, set)
    };
    host.functions().unwrap().into_iter().map(of).collect()
}

#[test]
#[ignore = "needs the lab"]
fn a_function_goes_to_vfio_and_comes_back_to_what_it_was() {
    let host = lab();
    let before = state(&host);
    // ivshmem and edu have no driver in the kernel; the NIC and the NVMe controller have one.
    for (address, driver) in [
        ("00:10.0", None),
        ("00:03.0", None),
        ("03:00.0", Some("e1000e")),
        ("04:00.0", Some("nvme")),
    ] {
        let function = host.function(at(address)).unwrap();
        assert_eq!(function.driver.as_deref(), driver);
        let plan = host.plan_bind(&function, "vfio-pci").unwrap();
        let (bound, node) = host.execute(&plan, DEADLINE).unwrap();
        assert_eq!(bound.driver.as_deref(), Some("vfio-pci"));
        let set = host.driver_override(bound.address).unwrap();
        assert_eq!(set.as_deref(), Some("vfio-pci"));
        assert!(node.unwrap().starts_with("/dev/vfio"));

        let (released, _) = host
            .execute(&host.plan_release(&bound).unwrap(), DEADLINE)
            .unwrap();
        assert_eq!(released.driver.as_deref(), driver, "{address}");
        let set = host.driver_override(released.address).unwrap();
        assert_eq!(set, None, "{address}");
    }
    assert_eq!(state(&host), before);
}

#[test]
#[ignore = "needs the lab"]
fn a_bind_that_the_driver_refuses_is_undone() {
    let host = lab();
    let before = state(&host);
    let mut port = host.function(at("00:05.0")).unwrap();
    assert!(
        host.plan_bind(&port, "vfio-pci").is_err(),
        "we refuse it ourselves"
    );
    // As far as the plan knows this is no bridge: the kernel is the one to refuse it.
    port.is_bridge = false;
    let plan = host.plan_bind(&port, "vfio-pci").unwrap();
    assert_eq!(plan.steps().len(), 3, "override, unbind, probe");
    let error = host.execute(&plan, DEADLINE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "cannot bind 0000:00:05.0 to vfio-pci; it is as it was before, with the driver pcieport"
    );
    assert_eq!(state(&host), before, "{error}");
}

#[test]
#[ignore = "needs the lab"]
fn uio_has_a_node_of_its_own() {
    let host = lab();
    let function = host.function(at("00:03.0")).unwrap();
    let plan = host.plan_bind(&function, "uio_pci_generic").unwrap();
    let (bound, node) = host.execute(&plan, DEADLINE).unwrap();
    assert!(node.unwrap().starts_with("/dev/uio0"));
    host.execute(&host.plan_release(&bound).unwrap(), DEADLINE)
        .unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn a_function_that_is_open_is_not_released() {
    let host = lab();
    let function = host.function(at("00:10.0")).unwrap();
    let plan = host.plan_bind(&function, "vfio-pci").unwrap();
    let (bound, node) = host.execute(&plan, DEADLINE).unwrap();
    let program = File::open(node.unwrap()).unwrap();
    // The kernel would let both unbinds wait, for ever, where no signal reaches them.
    for plan in [
        host.plan_release(&bound).unwrap(),
        host.plan_bind(&bound, "uio_pci_generic").unwrap(),
    ] {
        let error = host.execute(&plan, DEADLINE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(
            error.to_string(),
            "a program has /dev/vfio/7 of 0000:00:10.0 open"
        );
    }
    assert_eq!(
        host.function(bound.address).unwrap(),
        bound,
        "nothing was changed"
    );
    drop(program);
    host.execute(&host.plan_release(&bound).unwrap(), DEADLINE)
        .unwrap();
}
