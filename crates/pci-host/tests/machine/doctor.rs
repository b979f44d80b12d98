//! What is missing to drive devices, and what mends it.

use crate::build::Machine;
use pci_host::{Check, Needs, Outcome};
use std::{fs, os::unix::fs::PermissionsExt};

const NIC: &str = "sys/devices/pci0000:00/0000:00:03.0";

/// A machine on which all is as it has to be, for the NIC in group 9 and the user ada, who is in the group outboard.
fn well() -> Machine {
    let machine = Machine::new();
    let nic = machine.function("pci0000:00/0000:00:03.0", "8086:10d3", 0x02_0000);
    assert_eq!(nic, NIC);
    machine.group(9, &[NIC]);
    machine.bind(NIC, "vfio-pci");
    machine.file(&format!("{NIC}/reset_method"), "flr bus\n");
    machine.file(&format!("{NIC}/power_state"), "D0\n");
    machine.folder("sys/devices/virtual/iommu/dmar0");
    machine.link("sys/class/iommu/dmar0", "sys/devices/virtual/iommu/dmar0");
    machine.file(
        "sys/kernel/security/lockdown",
        "[none] integrity confidentiality\n",
    );
    machine.file("proc/cpuinfo", "vendor_id\t: GenuineIntel\n");
    machine.file(
        "proc/interrupts",
        " 120:  0  0  IR-PCI-MSI-0000:00:03.0  0-edge  eth0\n",
    );
    machine.file("proc/self/status", "CapEff:\t0000000000000000\n");
    machine.file("proc/self/limits", limits("8388608"));
    machine.file(
        "proc/44/status",
        "Name:\tbash\nUid:\t54321\t54321\t54321\t54321\n",
    );
    machine.file("proc/44/limits", limits("unlimited"));
    machine.file(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nada:x:54321:100::/home/ada:/bin/sh\n",
    );
    machine.file(
        "etc/group",
        format!("users:x:100:\noutboard:x:{}:bob,ada\n", gid(&machine)),
    );
    for (node, mode) in [
        ("dev/vfio/vfio", 0o666),
        ("dev/vfio/9", 0o660),
        ("dev/iommu", 0o660),
    ] {
        machine.file(node, "");
        fs::set_permissions(machine.path(node), fs::Permissions::from_mode(mode)).unwrap();
    }
    machine
}

/// The group that this test's files belong to.
fn gid(machine: &Machine) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(machine.path("")).unwrap().gid()
}

fn limits(bytes: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max processes             63304                63304                processes \n\
         Max locked memory         {bytes:<20} {bytes:<20} bytes     \n"
    )
}

impl Machine {
    fn checks(&self, user: Option<&str>) -> Vec<Check> {
        let nic = self.host.function("0000:00:03.0".parse().unwrap()).unwrap();
        let user = user.map(|name| self.host.account(name).unwrap());
        let needs = Needs {
            device: Some(&nic),
            user: user.as_ref(),
            memory: 64 << 20,
        };
        self.host.doctor(&needs).unwrap()
    }

    /// What does not pass, as `fail about`.
    fn missing(&self, user: Option<&str>) -> Vec<String> {
        let checks = self
            .checks(user)
            .into_iter()
            .filter(|check| check.outcome != Outcome::Pass);
        checks
            .map(|check| {
                assert!(check.mend.is_some(), "{check:?}");
                format!("{} {}", check.outcome, check.about)
            })
            .collect()
    }
}

#[test]
fn where_all_is_as_it_has_to_be_nothing_is_missing() {
    let machine = well();
    assert_eq!(machine.missing(Some("ada")), Vec::<String>::new());
    let about: Vec<_> = machine
        .checks(Some("ada"))
        .iter()
        .map(|check| check.about)
        .collect();
    assert_eq!(
        about,
        [
            "iommu",
            "remapping",
            "module",
            "container",
            "iommufd",
            "lockdown",
            "devmem",
            "memlock",
            "group",
            "driver",
            "reset",
            "power",
            "node"
        ]
    );
}

#[test]
fn each_thing_that_is_missing_is_named() {
    type Change = fn(&Machine);
    let changes: [(Change, &str); 11] = [
        (
            |m| fs::remove_file(m.path("sys/class/iommu/dmar0")).unwrap(),
            "fail iommu",
        ),
        (
            |m| m.file("proc/interrupts", " 120:  0  PCI-MSI 524288-edge\n"),
            "fail remapping",
        ),
        (
            |m| fs::remove_dir(m.path("sys/bus/pci/drivers/vfio-pci")).unwrap(),
            "fail module",
        ),
        (
            |m| {
                let node = m.path("dev/vfio/vfio");
                fs::set_permissions(node, fs::Permissions::from_mode(0o600)).unwrap();
            },
            "warn container",
        ),
        (
            |m| {
                m.file(
                    "sys/kernel/security/lockdown",
                    "none [integrity] confidentiality\n",
                )
            },
            "warn lockdown",
        ),
        (
            |m| m.file("proc/44/limits", limits("8388608")),
            "fail memlock",
        ),
        (
            |m| fs::remove_file(m.path("proc/44/limits")).unwrap(),
            "warn memlock",
        ),
        (
            |m| fs::remove_file(m.path(&format!("{NIC}/driver"))).unwrap(),
            "warn driver",
        ),
        (
            |m| m.file(&format!("{NIC}/reset_method"), "\n"),
            "warn reset",
        ),
        (
            |m| m.file(&format!("{NIC}/power_state"), "error\n"),
            "fail power",
        ),
        (
            |m| {
                let node = m.path("dev/vfio/9");
                fs::set_permissions(node, fs::Permissions::from_mode(0o600)).unwrap();
            },
            "fail node",
        ),
    ];
    for (change, expected) in changes {
        let machine = well();
        change(&machine);
        let missing = machine.missing(Some("ada"));
        assert!(
            missing.iter().any(|missing| missing == expected),
            "{expected}: {missing:?}"
        );
    }
}

#[test]
fn a_member_of_the_group_with_a_driver_of_the_kernels_fails_and_one_without_warns() {
    let machine = well();
    let other = machine.function("pci0000:00/0000:00:03.1", "8086:10d3", 0x02_0000);
    machine.group(9, &[&other]);
    assert_eq!(
        machine.missing(Some("ada")),
        ["warn group", "warn acs", "warn acs"]
    );
    machine.bind(&other, "e1000e");
    assert_eq!(
        machine.missing(Some("ada")),
        ["fail group", "warn acs", "warn acs"]
    );
}

#[test]
fn what_this_process_may_lock_counts_if_no_user_is_named() {
    let machine = well();
    assert_eq!(machine.missing(None), ["fail memlock"]);
    // CAP_IPC_LOCK is number 14 (capabilities(7)).
    machine.file("proc/self/status", format!("CapEff:\t{:016x}\n", 1 << 14));
    assert_eq!(machine.missing(None), Vec::<String>::new());
}

#[test]
fn whether_the_kernel_keeps_bars_to_drivers_is_what_a_file_says_or_not_known() {
    let says = |machine: &Machine| {
        let checks = machine.checks(None).into_iter();
        let mut checks = checks.filter(|check| check.about == "devmem");
        checks.next().unwrap().sentence
    };
    let machine = well();
    assert!(says(&machine).contains("is not known"));
    machine.file("proc/config.gz", "");
    assert!(says(&machine).contains("zgrep IO_STRICT_DEVMEM"));
    machine.file("proc/sys/kernel/osrelease", "6.12.9\n");
    machine.file(
        "lib/modules/6.12.9/config",
        "# CONFIG_IO_STRICT_DEVMEM is not set\n",
    );
    assert!(says(&machine).starts_with("BARs can be had"));
    machine.file("boot/config-6.12.9", "CONFIG_IO_STRICT_DEVMEM=y\n");
    assert!(says(&machine).contains("not to be had"));
    machine.file("proc/cmdline", "quiet iomem=relaxed\n");
    assert!(says(&machine).contains("iomem=relaxed"));
}

#[test]
fn unsafe_modes_are_warned_of() {
    let machine = well();
    machine.file("proc/interrupts", "");
    machine.file(
        "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
        "Y\n",
    );
    assert_eq!(machine.missing(Some("ada")), ["warn remapping"]);
    fs::remove_file(machine.path("sys/class/iommu/dmar0")).unwrap();
    machine.file(
        "sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        "Y\n",
    );
    assert_eq!(machine.missing(Some("ada")), ["warn iommu"]);
}

#[test]
fn a_user_that_is_not_there_is_said_not_to_be() {
    let error = well().host.account("eve").unwrap_err();
    assert!(error.to_string().starts_with("there is no user eve in "));
}
