//! Enumeration and binding on copies of `/sys` in a temporary folder.
//!
//! What the kernel does when these files are written is shown in the lab; here nothing answers, so
//! that what is written, and what is made of a kernel that does nothing, can be seen.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{ErrorKind, pci::PciAddress};
use pci_host::{Execution, Host, Moment, PciFunction, Plan};
use std::{
    error::Error,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const NO_WAIT: Duration = Duration::from_secs(1);

/// A machine with an e1000e in IOMMU group 7, without a driver, and vfio-pci and e1000e loaded.
struct Machine {
    root: TempDir,
    host: Host,
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let host = Host::at(root.path());
        let machine = Self { root, host };
        for driver in ["vfio-pci", "e1000e"] {
            machine.file(&format!("sys/bus/pci/drivers/{driver}/unbind"), "");
        }
        machine.file("sys/bus/pci/drivers_probe", "");
        machine.file("proc/sys/kernel/random/boot_id", "first-boot\n");
        machine.add("0000:03:00.0", 0x00);
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Adds a function, as the kernel shows QEMU's e1000e.
    fn add(&self, address: &str, header_type: u8) {
        let files: [(&str, &[u8]); 8] = [
            ("vendor", b"0x8086\n"),
            ("device", b"0x10d3\n"),
            ("subsystem_vendor", b"0x8086\n"),
            ("subsystem_device", b"0x0000\n"),
            ("class", b"0x020000\n"),
            ("revision", b"0x00\n"),
            ("driver_override", b"(null)\n"),
            ("reset_method", b"flr bus\n"),
        ];
        let dir = format!("sys/bus/pci/devices/{address}");
        if header_type & 0x7f != 0 {
            self.file(&format!("{dir}/secondary_bus_number"), "1\n");
        }
        for (name, text) in files {
            self.file(&format!("{dir}/{name}"), text);
        }
        let mut resource = "0x00000000fe840000 0x00000000fe85ffff 0x0000000000040200\n".to_owned();
        resource += &"0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(6);
        self.file(&format!("{dir}/resource"), resource);
        let group = self.path("sys/kernel/iommu_groups/7/devices");
        fs::create_dir_all(&group).unwrap();
        symlink(self.path(&dir), group.join(address)).unwrap();
        symlink(
            "../../../../kernel/iommu_groups/7",
            self.path(&dir).join("iommu_group"),
        )
        .unwrap();
    }

    fn set_driver(&self, driver: &str) {
        let link = self.path("sys/bus/pci/devices/0000:03:00.0/driver");
        symlink(format!("../../../../bus/pci/drivers/{driver}"), link).unwrap();
    }

    fn function(&self) -> PciFunction {
        self.host.function(address()).unwrap()
    }

    fn bind(&self) -> Plan {
        self.host.plan_bind(&self.function(), "vfio-pci").unwrap()
    }

    /// The steps of a plan, with paths relative to this machine.
    fn steps(&self, plan: &Plan) -> Vec<(String, String)> {
        let relative = |path: &Path| {
            path.strip_prefix(self.root.path())
                .unwrap()
                .display()
                .to_string()
        };
        plan.steps()
            .iter()
            .map(|step| (relative(&step.path), step.value.clone()))
            .collect()
    }
}

fn address() -> PciAddress {
    "03:00.0".parse().unwrap()
}

fn step(path: &str, value: &str) -> (String, String) {
    (path.to_owned(), value.to_owned())
}

const OVERRIDE: &str = "sys/bus/pci/devices/0000:03:00.0/driver_override";

#[test]
fn a_function_is_read_as_the_kernel_shows_it() {
    let machine = Machine::new();
    machine.set_driver("e1000e");
    let function = machine.function();
    assert_eq!(
        (function.vendor, function.device, function.class),
        (0x8086, 0x10d3, 0x02_0000)
    );
    assert_eq!(function.driver.as_deref(), Some("e1000e"));
    let set = machine.host.driver_override(address()).unwrap();
    assert_eq!(set, None, "(null) is none");
    assert_eq!(function.iommu_group, Some(7));
    assert_eq!(function.reset_methods, ["flr", "bus"]);
    assert_eq!(function.bar(0).unwrap().size, 0x2_0000);
    assert!(!function.is_bridge);
}

#[test]
fn functions_come_in_the_order_of_their_addresses() {
    let machine = Machine::new();
    for address in ["10000:e1:00.0", "0000:00:1f.2", "0000:00:02.0"] {
        machine.add(address, 0x01);
    }
    let all = machine.host.functions().unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|function| function.address.to_string())
        .collect();
    assert_eq!(
        all,
        [
            "0000:00:02.0",
            "0000:00:1f.2",
            "0000:03:00.0",
            "10000:e1:00.0"
        ]
    );
    let members = machine.host.iommu_group(7).unwrap();
    assert_eq!(members.len(), 4);
}

#[test]
fn a_file_that_makes_no_sense_is_named_with_what_it_says() {
    let machine = Machine::new();
    machine.file("sys/bus/pci/devices/0000:03:00.0/vendor", "0x12345\n");
    let error = machine.host.function(address()).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot make sense of \"0x12345\" in "),
        "{error}"
    );
    assert!(error.ends_with("0000:03:00.0/vendor"), "{error}");
}

#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let machine = Machine::new();
    let error = machine
        .host
        .function("04:00.0".parse().unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "there is no PCI device 0000:04:00.0 on this machine"
    );
    let error = machine.function().bar(2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("its BARs: 0"));
}

#[test]
fn a_bind_writes_the_override_before_it_unbinds() {
    let machine = Machine::new();
    machine.set_driver("e1000e");
    assert_eq!(
        machine.steps(&machine.bind()),
        [
            step(OVERRIDE, "vfio-pci"),
            step("sys/bus/pci/drivers/e1000e/unbind", "0000:03:00.0"),
            step("sys/bus/pci/drivers_probe", "0000:03:00.0"),
        ]
    );
}

#[test]
fn a_bind_takes_up_where_a_killed_one_stopped() {
    // After the override was written:
    let machine = Machine::new();
    machine.set_driver("e1000e");
    machine.file(OVERRIDE, "vfio-pci\n");
    assert_eq!(
        machine.steps(&machine.bind()),
        [
            step("sys/bus/pci/drivers/e1000e/unbind", "0000:03:00.0"),
            step("sys/bus/pci/drivers_probe", "0000:03:00.0"),
        ]
    );
    // After the unbind too:
    let machine = Machine::new();
    machine.file(OVERRIDE, "vfio-pci\n");
    assert_eq!(
        machine.steps(&machine.bind()),
        [step("sys/bus/pci/drivers_probe", "0000:03:00.0")]
    );
    // After all of it:
    machine.set_driver("vfio-pci");
    assert_eq!(machine.steps(&machine.bind()), []);
}

#[test]
fn a_release_clears_the_override_with_a_newline() {
    let machine = Machine::new();
    machine.set_driver("vfio-pci");
    machine.file(OVERRIDE, "vfio-pci\n");
    let plan = machine.host.plan_release(&machine.function()).unwrap();
    assert_eq!(
        machine.steps(&plan),
        [
            step(OVERRIDE, "\n"),
            step("sys/bus/pci/drivers/vfio-pci/unbind", "0000:03:00.0"),
            step("sys/bus/pci/drivers_probe", "0000:03:00.0"),
        ]
    );
    let shown: Vec<_> = plan.steps().iter().map(ToString::to_string).collect();
    assert!(shown[0].starts_with("echo > "), "{}", shown[0]);
    assert!(shown[1].starts_with("echo 0000:03:00.0 > "), "{}", shown[1]);
}

#[test]
fn a_release_leaves_a_function_with_the_kernels_driver_alone() {
    let machine = Machine::new();
    machine.set_driver("e1000e");
    assert_eq!(
        machine.steps(&machine.host.plan_release(&machine.function()).unwrap()),
        []
    );
    // A bind that was killed after its first write left an override, and that goes.
    machine.file(OVERRIDE, "vfio-pci\n");
    assert_eq!(
        machine.steps(&machine.host.plan_release(&machine.function()).unwrap()),
        [step(OVERRIDE, "\n")]
    );
}

#[test]
fn what_cannot_be_bound_is_refused_before_anything_is_written() {
    let machine = Machine::new();
    let refused = |function: &PciFunction, driver: &str, kind, message: &str| {
        let error = machine.host.plan_bind(function, driver).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), message);
        assert!(error.hint().is_some());
    };
    let mut function = machine.function();
    refused(
        &function,
        "nvme",
        ErrorKind::NotFound,
        "there is no PCI driver \"nvme\" loaded",
    );
    for driver in [
        "",
        "..",
        "../../..",
        "vfio-pci\n",
        "vfio-pci/",
        "vfio_pci",
        "/x_vfio_pci",
    ] {
        let error = machine.host.plan_bind(&function, driver).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{driver:?}");
    }
    // It would take whatever it is given, and bring the kernel down.
    refused(
        &function,
        "e1000e",
        ErrorKind::InvalidInput,
        "e1000e is a driver of the kernel's own, and does not hand devices over",
    );
    let error = machine.host.plan_bind(&function, "vfio_pci").unwrap_err();
    assert_eq!(error.hint(), Some("did you mean vfio-pci?"));
    function.iommu_group = None;
    refused(
        &function,
        "vfio-pci",
        ErrorKind::Unsupported,
        "0000:03:00.0 is in no IOMMU group, and vfio-pci takes only devices that are",
    );
    // Groups that come with the driver: an IOMMU of virtio's, and none at all, when that is allowed.
    machine.file(
        "sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        "Y\n",
    );
    assert!(machine.host.plan_bind(&function, "vfio-pci").is_ok());
    machine.file(
        "sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        "N\n",
    );
    assert!(machine.host.plan_bind(&function, "vfio-pci").is_err());
    machine.file("sys/class/iommu/virtio0", "");
    assert!(machine.host.plan_bind(&function, "vfio-pci").is_ok());
    function.is_bridge = true;
    refused(
        &function,
        "vfio-pci",
        ErrorKind::InvalidInput,
        "0000:03:00.0 is a bridge, and vfio-pci does not drive bridges",
    );
    assert_eq!(machine.text(OVERRIDE), "(null)\n");
}

#[test]
fn an_override_of_somebody_else_is_neither_replaced_nor_cleared() {
    let machine = Machine::new();
    machine.set_driver("e1000e");
    machine.file(OVERRIDE, "e1000e\n");
    let function = machine.function();
    let error = machine.host.plan_bind(&function, "vfio-pci").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(
        error.to_string(),
        "the driver_override of 0000:03:00.0 is set already, to e1000e"
    );
    assert_eq!(
        machine.steps(&machine.host.plan_release(&function).unwrap()),
        []
    );
}

#[test]
fn a_variant_of_vfio_pci_is_released_as_vfio_pci_is() {
    let machine = Machine::new();
    machine.set_driver("mlx5_vfio_pci");
    let function = machine.function();
    assert!(function.has_vfio_driver());
    let steps = machine.steps(&machine.host.plan_release(&function).unwrap());
    assert_eq!(
        steps[0],
        step("sys/bus/pci/drivers/mlx5_vfio_pci/unbind", "0000:03:00.0")
    );
}

#[test]
fn a_release_that_comes_back_to_vfio_is_noticed() {
    let machine = Machine::new();
    machine.set_driver("vfio-pci"); // and stays so, as new_id would have it
    let plan = machine.host.plan_release(&machine.function()).unwrap();
    let error = machine.host.execute(&plan, NO_WAIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0000:03:00.0 came back to vfio-pci when it was released"
    );
    assert!(error.hint().unwrap().contains("new_id"));
}

#[test]
fn one_function_of_many_is_no_bridge() {
    let machine = Machine::new();
    for (address, header_type, bridge) in [
        ("0000:0a:00.0", 0x80, false),
        ("0000:0b:00.0", 0x81, true),
        ("0000:0c:00.0", 0x02, true),
    ] {
        machine.add(address, header_type);
        let function = machine.host.function(address.parse().unwrap()).unwrap();
        assert_eq!(function.is_bridge, bridge, "{header_type:#x}");
    }
}

#[test]
fn a_virtual_function_has_a_physical_one() {
    let machine = Machine::new();
    machine.add("0000:03:10.0", 0x00);
    // What the kernel shows of igb: Documentation/ABI/testing/sysfs-bus-pci.
    let link = machine.path("sys/bus/pci/devices/0000:03:10.0/physfn");
    symlink("../0000:03:00.0", link).unwrap();
    let of = |address: &str| machine.host.physical_function(address.parse().unwrap());
    assert_eq!(of("0000:03:10.0").unwrap().to_string(), "0000:03:00.0");
    assert_eq!(of("0000:03:00.0"), None);
}

#[test]
fn a_driver_that_does_not_take_the_function_is_noticed_and_the_override_taken_back() {
    let machine = Machine::new();
    let error = machine.host.execute(&machine.bind(), NO_WAIT).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot bind 0000:03:00.0 to vfio-pci; "),
        "{error}"
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "the driver vfio-pci did not take 0000:03:00.0"
    );
    // The kernel would show "(null)" after this; here the file has what was written last.
    assert_eq!(
        machine.text(OVERRIDE),
        "\nfio-pci",
        "a newline, written over it"
    );
    assert_eq!(machine.text("sys/bus/pci/drivers_probe"), "0000:03:00.0");
}

#[test]
fn an_undo_writes_back_the_override_that_was_there() {
    let machine = Machine::new();
    machine.file(OVERRIDE, "uio_pci_generic\n");
    let plan = machine.bind();
    assert_eq!(machine.steps(&plan)[0], step(OVERRIDE, "vfio-pci"));
    machine.host.execute(&plan, NO_WAIT).unwrap_err();
    assert_eq!(machine.text(OVERRIDE), "uio_pci_generic\n");
}

#[test]
fn a_node_that_does_not_appear_is_waited_for_until_the_deadline_and_no_longer() {
    let machine = Machine::new();
    let plan = machine.bind();
    let probe = plan.steps().last().unwrap();
    let taken = |moment: Moment<'_>, done| {
        if moment == Moment::Write(probe) && done {
            machine.set_driver("vfio-pci");
        }
    };
    let execution = Execution::new(&machine.host).timeout(NO_WAIT).watch(&taken);
    let error = execution.run(&plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let reason = error.source().unwrap().to_string();
    assert!(
        reason.ends_with("dev/vfio/7 did not appear within 1s"),
        "{reason}"
    );

    // It has the driver already.
    let plan = machine.bind();
    let node = machine.path("dev/vfio/7");
    fs::create_dir_all(node.parent().unwrap()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(NO_WAIT);
            fs::write(&node, "").unwrap();
        });
        let (function, found) = machine.host.execute(&plan, Duration::MAX).unwrap();
        assert_eq!(function.driver.as_deref(), Some("vfio-pci"));
        assert_eq!(found.as_deref(), Some(node.as_path()));
    });
}
