//! Who may open a device, as files of `/etc` in a temporary folder; and what udev's helper makes of the same `/sys`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::ErrorKind;
use pci_host::{Grantee, Host, PciFunction};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const RULES: &str = "etc/udev/rules.d/71-outboard-access-0000:00:1c.0-00.0.rules";
const LIMITS: &str = "etc/security/limits.d/outboard-user-alice.conf";
const SERVICE: &str = "etc/systemd/system/user@1000.service.d/70-outboard.conf";

/// A machine with a network card behind a bridge, in a group of their own, and with two virtual functions.
struct Machine {
    root: TempDir,
    host: Host,
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let host = Host::at(root.path());
        let machine = Self { root, host };
        let bridge = "devices/pci0000:00/0000:00:1c.0";
        machine.function(bridge, "0x8086", 1);
        machine.file(&format!("sys/{bridge}/pci_bus/0000:01/x"), "");
        for address in ["0000:01:00.0", "0000:01:10.0", "0000:01:10.2"] {
            machine.function(&format!("{bridge}/{address}"), "0x8086", 0);
        }
        let physical = machine.path(&format!("sys/{bridge}/0000:01:00.0"));
        // SR-IOV 1.1 section 2.1.2: 01:10.0 is routing id 0x180, which is 0x80 behind 01:00.0, and 01:10.2 is 2 behind.
        fs::write(physical.join("sriov_offset"), "128\n").unwrap();
        fs::write(physical.join("sriov_stride"), "2\n").unwrap();
        for (number, address) in [(0, "0000:01:10.0"), (1, "0000:01:10.2")] {
            let virtual_function = physical.with_file_name(address);
            symlink(&physical, virtual_function.join("physfn")).unwrap();
            symlink(&virtual_function, physical.join(format!("virtfn{number}"))).unwrap();
        }
        machine.file(
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n",
        );
        machine.file("etc/group", "root:x:0:\ndrivers:x:2000:bob\n");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn function(&self, dir: &str, vendor: &str, header_type: u8) {
        let mut config = vec![0; 64];
        *config.get_mut(0x0e).unwrap() = header_type;
        let resource = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(7);
        let files = [
            ("vendor", vendor),
            ("device", "0x10d3"),
            ("subsystem_vendor", "0x1af4"),
            ("subsystem_device", "0x1100"),
            ("class", "0x020000"),
            ("revision", "0x00"),
            ("resource", &resource),
        ];
        for (name, text) in files {
            // As the kernel does, with a newline at the end.
            self.file(&format!("sys/{dir}/{name}"), &format!("{text}\n"));
        }
        let dir = self.path(&format!("sys/{dir}"));
        fs::write(dir.join("config"), config).unwrap();
        let group = self.path("sys/kernel/iommu_groups/7");
        let address = dir.file_name().unwrap();
        let bus = self.path("sys/bus/pci/devices");
        for folder in [&group.join("devices"), &bus] {
            fs::create_dir_all(folder).unwrap();
            symlink(&dir, folder.join(address)).unwrap();
        }
        symlink(&group, dir.join("iommu_group")).unwrap();
    }

    fn card(&self) -> PciFunction {
        self.host.function("0000:01:00.0".parse().unwrap()).unwrap()
    }

    fn grant(&self, to: &str) -> io_core::Result<usize> {
        let changes = self.host.plan_grant(&self.card(), &to.parse()?, 4096)?;
        self.host.change_files(&changes)?;
        Ok(changes.len())
    }

    fn revoke(&self, to: &str) -> io_core::Result<usize> {
        let path = self.host.device_path(self.card().address);
        let changes = self.host.plan_revoke(&path, &to.parse()?)?;
        self.host.change_files(&changes)?;
        Ok(changes.len())
    }
}

#[test]
fn a_grant_is_three_files_and_a_second_one_changes_nothing_and_a_revoke_leaves_none() {
    let machine = Machine::new();
    assert_eq!(machine.grant("alice").unwrap(), 3);
    let rule = machine.text(RULES);
    let line = "ENV{OUTBOARD_FUNCTIONS}==\"*,0000:00:1c.0/00.0,8086:10d3:1af4:1100;*\", OWNER=\"alice\", GROUP=\"root\", MODE=\"0600\", ENV{OUTBOARD}=\"links\"";
    assert_eq!(rule.lines().last(), Some(line));
    // limits.conf(5): domain, type, item, and for memlock a number of KiB.
    assert!(machine.text(LIMITS).ends_with("\nalice - memlock 4096\n"));
    // systemd.exec(5) and systemd.unit(5): a file of settings for the manager of this user's services.
    let service = machine.text(SERVICE);
    assert!(
        service.ends_with("\n[Service]\nLimitMEMLOCK=4096K\n"),
        "{service}"
    );
    let grants = machine.host.grants().unwrap();
    let [grant] = grants.as_slice() else {
        panic!("{grants:?}")
    };
    assert_eq!(grant.to, Grantee::User("alice".into()));
    assert_eq!(grant.path.to_string(), "0000:00:1c.0/00.0");
    assert!(grant.ids.are_of(&machine.card()));

    assert_eq!(machine.grant("alice").unwrap(), 0);
    assert_eq!(machine.revoke("alice").unwrap(), 3);
    let service = "etc/systemd/system/user@1000.service.d";
    for dir in ["etc/udev/rules.d", "etc/security/limits.d", service] {
        assert_eq!(fs::read_dir(machine.path(dir)).unwrap().count(), 0);
    }
    assert_eq!(machine.revoke("alice").unwrap(), 0);
}

#[test]
fn a_group_is_given_a_device_with_a_colon() {
    let machine = Machine::new();
    machine.grant(":drivers").unwrap();
    assert!(
        machine
            .text(RULES)
            .contains("GROUP=\"drivers\", MODE=\"0660\"")
    );
    let limits = machine.text("etc/security/limits.d/outboard-group-drivers.conf");
    assert!(limits.ends_with("\n@drivers - memlock 4096\n"));
    assert!(
        !machine.path("etc/systemd").exists(),
        "which knows no groups"
    );
}

#[test]
fn the_limit_of_memory_stays_as_long_as_there_is_another_device() {
    let machine = Machine::new();
    machine.grant("alice").unwrap();
    let other = machine
        .host
        .function("0000:01:10.0".parse().unwrap())
        .unwrap();
    let to = "alice".parse().unwrap();
    let changes = machine.host.plan_grant(&other, &to, 4096).unwrap();
    assert_eq!(changes.len(), 1, "the limit is there already: {changes:?}");
    machine.host.change_files(&changes).unwrap();
    assert_eq!(machine.revoke("alice").unwrap(), 1);
    assert!(machine.path(LIMITS).exists());
}

#[test]
fn what_is_somebody_else_s_is_never_overwritten_nor_removed() {
    let machine = Machine::new();
    for path in [RULES, LIMITS, SERVICE] {
        machine.file(path, "# by hand\n");
        let error = machine.grant("alice").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains(path), "{error}");
        assert_eq!(machine.text(path), "# by hand\n");
        fs::remove_file(machine.path(path)).unwrap();
    }
    machine.file(RULES, "# by hand\n");
    assert_eq!(machine.revoke("alice").unwrap_err().kind(), ErrorKind::Busy);
    // Nor through a link to a file that looks like ours.
    fs::remove_file(machine.path(RULES)).unwrap();
    machine.grant("alice").unwrap();
    let elsewhere = machine.path("elsewhere");
    fs::rename(machine.path(RULES), &elsewhere).unwrap();
    symlink(&elsewhere, machine.path(RULES)).unwrap();
    assert_eq!(machine.revoke("alice").unwrap_err().kind(), ErrorKind::Busy);
}

#[test]
fn one_device_has_one_owner() {
    let machine = Machine::new();
    machine.grant("alice").unwrap();
    let error = machine.grant("bob").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("outboard access revoke 0000:01:00.0 alice")
    );
    let error = machine.revoke("bob").unwrap_err();
    assert!(error.to_string().contains("given to alice, and not to bob"));
}

#[test]
fn who_is_not_there_or_would_break_out_of_a_rule_is_refused() {
    let machine = Machine::new();
    for nobody in ["carol", ":alice"] {
        assert_eq!(
            machine.grant(nobody).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
    for wrong in ["", ":", "a b", "al\"ice", "../alice", "-r", "a/b", "a\nb"] {
        assert!(wrong.parse::<Grantee>().is_err(), "{wrong:?}");
    }
}

/// What `udev/outboard-functions` calls a function is what the rules of grants match.
#[test]
fn udev_s_helper_says_the_same_path_and_ids() {
    let machine = Machine::new();
    let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../udev/outboard-functions");
    let ask = |node: &str| {
        let node = machine.path(node);
        fs::create_dir_all(&node).unwrap();
        let output = Command::new(&helper)
            .arg(node.canonicalize().unwrap())
            .output();
        let output = output.unwrap();
        assert_eq!(output.stderr, b"");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut expected = "OUTBOARD_FUNCTIONS=".to_owned();
    let mut links = "OUTBOARD_LINKS=".to_owned();
    for address in ["0000:01:00.0", "0000:01:10.0", "0000:01:10.2"] {
        let path = machine.host.device_path(address.parse().unwrap());
        expected += &format!(";{address},{path},8086:10d3:1af4:1100");
        links += &format!("outboard/by-path/{path}/group ");
    }
    assert!(expected.contains(",0000:00:1c.0/00.0/vf1,"), "{expected}");
    let group = ask("sys/devices/virtual/vfio/7");
    assert_eq!(group, format!("{expected};\n{}\n", links.trim_end()));
    let cdev = ask("sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0/vfio-dev/vfio0");
    assert_eq!(
        cdev,
        "OUTBOARD_FUNCTIONS=;0000:01:00.0,0000:00:1c.0/00.0,8086:10d3:1af4:1100;\n\
         OUTBOARD_LINKS=outboard/by-path/0000:00:1c.0/00.0/cdev\n"
    );
    assert_eq!(
        ask("sys/devices/platform/x/uio/uio0"),
        "",
        "of no PCI function"
    );
}
