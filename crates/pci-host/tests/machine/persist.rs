//! Rules that bind at each start, as files of a machine.

use crate::build::Machine;
use io_core::ErrorKind;
use pci_host::{Code, DriftCode, Finding, Initramfs, PciFunction};
use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
    time::{Duration, SystemTime},
};

const NIC: u32 = 0x02_0000;
const BRIDGE: u32 = 0x06_0400;
const IDS: &str = "8086:10d3:8086:a01f";

/// The file of the rule for the card in its slot.
const RULE: &str = "etc/udev/rules.d/60-outboard-persist-0000-00-1c.0-00.0.rules";

const CARD: &str = "0000:01:00.0";
const PATH: &str = "0000:00:1c.0/00.0";

/// A machine with two ports: a network card in the first one.
fn machine() -> Machine {
    let machine = Machine::new();
    for port in ["1c.0", "1c.4"] {
        machine.function(
            &format!("pci0000:00/0000:00:{port}"),
            "8086:9d14:0000:0000",
            BRIDGE,
        );
    }
    machine.function("pci0000:00/0000:00:1c.0/0000:01:00.0", IDS, NIC);
    machine.folder("sys/bus/pci/drivers/vfio-pci");
    machine
}

fn function(machine: &Machine, address: &str) -> PciFunction {
    machine.host.function(address.parse().unwrap()).unwrap()
}

/// Writes the rule for a function. How many files it took.
fn add(machine: &Machine, address: &str, initramfs: Option<Initramfs>) -> io_core::Result<usize> {
    let functions = [function(machine, address)];
    let changes = machine
        .host
        .plan_persist(&functions, "vfio-pci", initramfs)?;
    machine.host.change_files(&changes)?;
    Ok(changes.len())
}

fn forget(machine: &Machine) -> usize {
    let changes = machine.host.plan_forget(&PATH.parse().unwrap()).unwrap();
    machine.host.change_files(&changes).unwrap();
    changes.len()
}

fn text(machine: &Machine, path: &str) -> String {
    fs::read_to_string(machine.path(path)).unwrap()
}

/// The codes of what differs, with the sentences.
fn drift(machine: &Machine) -> Vec<(DriftCode, String)> {
    let report = machine.host.persist_drift().unwrap();
    let drifts = report.drifts.into_iter();
    drifts.map(|drift| (drift.code, drift.sentence)).collect()
}

fn codes(machine: &Machine) -> Vec<DriftCode> {
    drift(machine).into_iter().map(|drift| drift.0).collect()
}

fn needed(machine: &Machine, address: &str, gone: &[&str]) -> Vec<Finding> {
    let gone: Vec<_> = gone
        .iter()
        .map(|address| address.parse().unwrap())
        .collect();
    let function = function(machine, address);
    machine.host.needed_at_start(&function, &gone).unwrap()
}

/// The lines of a rule that leave it, and what is left.
fn conditions(rule: &str) -> Vec<&str> {
    let leave = ", GOTO=\"outboard_persist_end\"";
    rule.lines()
        .filter_map(|line| line.strip_suffix(leave))
        .collect()
}

#[test]
fn a_rule_names_the_place_the_ids_and_the_kernel_s_command_line_and_is_removed_again() {
    let machine = machine();
    assert_eq!(add(&machine, CARD, None).unwrap(), 1);
    let rule = text(&machine, RULE);
    assert_eq!(
        conditions(&rule),
        [
            "ACTION!=\"add\"",
            "SUBSYSTEM!=\"pci\"",
            "DEVPATH!=\"*/pci0000:00/0000:00:1c.0/????:??:00.0\"",
            "ATTR{vendor}!=\"0x8086\"",
            "ATTR{device}!=\"0x10d3\"",
            "ATTR{subsystem_vendor}!=\"0x8086\"",
            "ATTR{subsystem_device}!=\"0xa01f\"",
            "ENV{outboard.persist}==\"0|no|off\"",
            "TEST==\"driver\"",
        ]
    );
    assert!(rule.contains("\nATTR{driver_override}=\"vfio-pci\"\n"));
    let rules = machine.host.persisted().unwrap();
    let [rule] = rules.as_slice() else {
        panic!("{rules:?}")
    };
    assert_eq!(rule.path.to_string(), PATH);
    assert_eq!(rule.ids.to_string(), IDS);
    assert_eq!((rule.driver.as_str(), rule.level()), ("vfio-pci", "boot"));

    assert_eq!(add(&machine, CARD, None).unwrap(), 0, "it is so already");
    assert_eq!(forget(&machine), 1);
    assert!(!machine.path(RULE).exists());
    assert_eq!(forget(&machine), 0);
}

/// udev compares with fnmatch(3), where a `?` stands for a slash too; `case` of a shell does the same.
#[test]
fn the_place_in_a_rule_is_one_place_whatever_numbers_buses_have() {
    let machine = machine();
    let deep = "pci0000:00/0000:00:1d.0/0000:03:00.0/0000:04:08.0/0000:05:00.0";
    machine.function(deep, IDS, NIC);
    let vmd = "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0";
    machine.function(vmd, IDS, NIC);
    let matches = |address: &str, devpath: &str| {
        let changes = machine
            .host
            .plan_persist(&[function(&machine, address)], "vfio-pci", None)
            .unwrap();
        let rule = changes[0].contents.clone().unwrap();
        let place = conditions(&rule)[2].to_owned();
        let pattern = place.strip_prefix("DEVPATH!=\"").unwrap();
        let pattern = pattern.strip_suffix('"').unwrap();
        let script = format!("case $0 in {pattern}) ;; *) exit 1 ;; esac");
        let shell = Command::new("sh").args(["-c", &script, devpath]).status();
        shell.unwrap().success()
    };
    let bus = "/devices/pci0000:00";
    for same in ["0000:01:00.0", "0000:02:00.0", "0000:9f:00.0"] {
        assert!(
            matches(CARD, &format!("{bus}/0000:00:1c.0/{same}")),
            "{same}"
        );
    }
    for other in [
        "0000:00:1c.0",
        "0000:00:1c.4/0000:02:00.0",
        "0000:00:1c.0/0000:01:00.1",
        "0000:00:1c.0/0000:01:01.0",
        "0000:00:1c.0/0000:01:00.0/0000:02:00.0",
        "0000:00:1c.0/0000:01:00.0/virtio0",
        "0000:00:1d.0/0000:00:1c.0/0000:02:00.0",
    ] {
        assert!(!matches(CARD, &format!("{bus}/{other}")), "{other}");
    }
    let arm = "/devices/platform/4010000000.pcie/pci0000:00/0000:00:1c.0/0000:01:00.0";
    assert!(matches(CARD, arm));
    assert!(matches("0000:05:00.0", &format!("/devices/{deep}")));
    let renumbered = "0000:00:1d.0/0000:13:00.0/0000:14:08.0/0000:15:00.0";
    assert!(matches("0000:05:00.0", &format!("{bus}/{renumbered}")));
    let sibling = renumbered.replace("14:08.0", "14:09.0");
    assert!(!matches("0000:05:00.0", &format!("{bus}/{sibling}")));
    assert!(matches("10000:e1:00.0", &format!("/devices/{vmd}")));
    let other_domain = vmd.replace("10000", "10001");
    assert!(matches(
        "10000:e1:00.0",
        &format!("/devices/{other_domain}")
    ));
    assert!(!matches(
        "10000:e1:00.0",
        &format!("/devices/{}", vmd.replace("0e.0", "0f.0"))
    ));
}

#[test]
fn what_cannot_have_a_rule_is_refused() {
    let machine = machine();
    let bridge = add(&machine, "0000:00:1c.4", None).unwrap_err();
    assert_eq!(bridge.kind(), ErrorKind::InvalidInput);
    assert!(bridge.to_string().contains("0000:00:1c.4 is a bridge"));

    let place = "pci0000:00/0000:00:1c.0/0000:01:10.0";
    let virtual_function = machine.function(place, IDS, NIC);
    let physical = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    machine.link(&format!("{virtual_function}/physfn"), physical);
    let error = add(&machine, "0000:01:10.0", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("outboard bind 0000:01:10.0"));

    let card = [function(&machine, CARD)];
    for (driver, kind) in [
        ("e1000e", ErrorKind::InvalidInput),
        ("nonesuch", ErrorKind::NotFound),
    ] {
        machine.folder("sys/bus/pci/drivers/e1000e");
        let error = machine.host.plan_persist(&card, driver, None).unwrap_err();
        assert_eq!(error.kind(), kind, "{driver}");
    }
    assert!(!machine.path("etc").exists());
}

#[test]
fn a_device_that_driverctl_has_is_left_to_it() {
    let machine = machine();
    machine.file("etc/driverctl.d/pci-0000:01:00.0", "uio_pci_generic\n");
    machine.file("etc/driverctl.d/vmbus-6a494b6d", "uio_hv_generic\n");
    let error = add(&machine, CARD, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let file = machine.path("etc/driverctl.d/pci-0000:01:00.0");
    let expected = format!(
        "driverctl gives {CARD} to uio_pci_generic: {}",
        file.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(!machine.path(RULE).exists());

    let all = machine.host.driverctl_overrides().unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].driver, "uio_pci_generic");

    // And if it comes later:
    fs::remove_file(&file).unwrap();
    add(&machine, CARD, None).unwrap();
    machine.bind(
        "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0",
        "vfio-pci",
    );
    assert_eq!(codes(&machine), []);
    fs::write(&file, "uio_pci_generic\n").unwrap();
    assert_eq!(codes(&machine), [DriftCode::Driverctl]);
}

#[test]
fn what_is_somebody_else_s_is_named_and_left() {
    let machine = machine();
    machine.file(RULE, "# by hand\n");
    assert_eq!(
        add(&machine, CARD, None).unwrap_err().kind(),
        ErrorKind::Busy
    );
    assert_eq!(text(&machine, RULE), "# by hand\n");
    let (code, sentence) = drift(&machine).remove(0);
    assert_eq!(code, DriftCode::Changed);
    assert!(sentence.contains(RULE), "{sentence}");
    let broken = "# Made by `outboard persist`: nothing that one understands\n";
    machine.file(RULE, [broken.as_bytes(), b"\xff\n"].concat());
    assert_eq!(codes(&machine), [DriftCode::Changed]);
    // A leftover of a write that was stopped is nobody's rule.
    fs::rename(machine.path(RULE), machine.path(&format!("{RULE}.new"))).unwrap();
    assert_eq!(codes(&machine), []);

    // Nor through a link to a file that looks like ours.
    add(&machine, CARD, None).unwrap();
    let elsewhere = machine.path("elsewhere");
    fs::rename(machine.path(RULE), &elsewhere).unwrap();
    symlink(&elsewhere, machine.path(RULE)).unwrap();
    assert_eq!(machine.host.persisted().unwrap(), []);
    assert_eq!(
        add(&machine, CARD, None).unwrap_err().kind(),
        ErrorKind::Busy
    );
}

#[test]
fn drift_is_found_and_told_apart() {
    let machine = machine();
    let dir = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    add(&machine, CARD, None).unwrap();
    machine.file("proc/stat", "cpu 1\nbtime 1000000000\n");
    let hint = || machine.host.persist_drift().unwrap().drifts.remove(0).hint;
    assert_eq!(codes(&machine), [DriftCode::Bound]);
    assert!(hint().contains("newer than this start"), "{}", hint());
    let start = SystemTime::now() + Duration::from_secs(60);
    let start = start
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    machine.file("proc/stat", format!("btime {start}\n"));
    machine.bind(dir, "e1000e");
    let (code, sentence) = drift(&machine).remove(0);
    assert_eq!(
        (code, sentence.as_str()),
        (
            DriftCode::Bound,
            "0000:01:00.0 is with e1000e, and not with vfio-pci"
        )
    );
    assert!(hint().contains("--initramfs"), "{}", hint());

    machine.file(
        "proc/cmdline",
        "quiet outboard.persist=on outboard.persist=off\n",
    );
    assert_eq!(codes(&machine), [DriftCode::Off]);
    machine.file(
        "proc/cmdline",
        "quiet outboard.persist=off outboard.persist=on\n",
    );
    fs::remove_file(machine.path(&format!("{dir}/driver"))).unwrap();
    machine.bind(dir, "vfio-pci");
    assert_eq!(drift(&machine), []);

    let rule = text(&machine, RULE);
    for changed in [
        rule.replace("0x10d3", "0x10d4"),
        rule.replace("1c.0/????", "1c.4/????"),
    ] {
        machine.file(RULE, changed);
        let (code, sentence) = drift(&machine).remove(0);
        assert_eq!(code, DriftCode::Changed);
        assert!(sentence.ends_with("was changed by hand"), "{sentence}");
    }
}

/// Takes a function out of the machine.
fn unplug(machine: &Machine, place: &str, address: &str) {
    fs::remove_file(machine.path(&format!("sys/bus/pci/devices/{address}"))).unwrap();
    fs::remove_dir_all(machine.path(&format!("sys/devices/{place}"))).unwrap();
}

#[test]
fn a_card_that_is_gone_moved_or_another_one_is_told_apart() {
    let machine = machine();
    let place = "pci0000:00/0000:00:1c.0/0000:01:00.0";
    add(&machine, CARD, None).unwrap();
    unplug(&machine, place, CARD);
    assert_eq!(codes(&machine), [DriftCode::Gone]);

    machine.function(place, "15b3:101e:15b3:0058", NIC);
    let (code, sentence) = drift(&machine).remove(0);
    assert_eq!(code, DriftCode::Other);
    let expected = "0000:01:00.0 at path:0000:00:1c.0/00.0 is 15b3:101e:15b3:0058, and not 8086:10d3:8086:a01f";
    assert!(sentence.starts_with(expected), "{sentence}");

    machine.function("pci0000:00/0000:00:1c.4/0000:02:00.0", IDS, NIC);
    let (code, sentence) = drift(&machine).remove(0);
    assert_eq!(code, DriftCode::Moved);
    assert!(
        sentence.contains("; 0000:02:00.0 has these ids"),
        "{sentence}"
    );
    // The twin may have a rule of its own.
    add(&machine, "0000:02:00.0", None).unwrap();
    assert_eq!(codes(&machine), [DriftCode::Other, DriftCode::Bound]);
}

#[test]
fn the_only_default_route_is_not_taken_away_and_one_of_two_is() {
    let machine = machine();
    let card = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    let other = machine.function("pci0000:00/0000:00:1c.4/0000:02:00.0", IDS, NIC);
    machine.interface("eth0", Some(card));
    machine.interface("eth1", Some(&other));
    machine.interface("bond0", None);
    machine.stack("bond0", "eth0", true);
    // As Linux writes it: a default route through bond0, and a network of eth1's.
    let header = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
    let default = "bond0 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0\n";
    let near = "eth1 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
    machine.file("proc/net/route", format!("{header}{default}{near}"));
    machine.file(
        "proc/net/if_inet6",
        "20010db8000000000000000000000001 02 40 00 80 eth1\n",
    );
    let found = needed(&machine, CARD, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].code, found[0].allow()),
        (Code::Network, "network".into())
    );
    assert_eq!(
        found[0].sentence,
        "the only default route of this machine is that of 0000:01:00.0"
    );
    assert_eq!(
        needed(&machine, "0000:02:00.0", &[]),
        [],
        "an address is less"
    );

    let second = default.replace("bond0", "eth1");
    machine.file("proc/net/route", format!("{header}{default}{second}"));
    assert_eq!(needed(&machine, CARD, &[]), []);
    // But not both.
    let found = needed(&machine, CARD, &["0000:02:00.0"]);
    assert!(
        found[0].sentence.ends_with("0000:01:00.0 and 0000:02:00.0"),
        "{found:?}"
    );
}

#[test]
fn without_a_default_route_the_only_address_is_kept() {
    let machine = machine();
    let card = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    machine.interface("eth0", Some(card));
    assert_eq!(needed(&machine, CARD, &[]), [], "nothing goes through it");
    let address = "20010db8000000000000000000000001 02 40 00 80 eth0\n";
    machine.file("proc/net/if_inet6", address);
    let found = needed(&machine, CARD, &[]);
    assert_eq!(
        found[0].sentence,
        "the only network with an address of this machine is that of 0000:01:00.0"
    );
    // A tunnel is no other way.
    machine.interface("wg0", None);
    let tunnel = address.replace("eth0", "wg0");
    machine.file("proc/net/if_inet6", format!("{address}{tunnel}"));
    assert_eq!(needed(&machine, CARD, &[])[0].code, Code::Network);
}

#[test]
fn the_boot_disk_and_the_boot_screen_are_needed_and_a_group_goes_together() {
    let machine = machine();
    let place = "pci0000:00/0000:00:02.0";
    let screen = machine.function(place, "8086:5916:17aa:2245", 0x03_0000);
    machine.file(&format!("{screen}/boot_vga"), "1\n");
    let found = needed(&machine, "0000:00:02.0", &[]);
    assert_eq!(found[0].code, Code::Display);

    let card = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    machine.group(7, &[card, &screen]);
    machine.bind(&screen, "i915");
    let found = needed(&machine, CARD, &[]);
    assert_eq!(found[0].allow(), "group:0000:00:02.0");
    assert_eq!(needed(&machine, CARD, &["0000:00:02.0"]), []);
}

#[test]
fn each_program_that_makes_an_initramfs_has_its_file() {
    let path = "/etc/udev/rules.d/60-outboard-persist-0000-00-1c.0-00.0.rules";
    let expected = [
        (
            Initramfs::Dracut,
            "etc/dracut.conf.d/outboard-persist.conf",
            // dracut.conf(5): lists have to have a leading and a trailing space.
            vec![
                "add_drivers+=\" vfio-pci \"".to_owned(),
                format!("install_items+=\" {path} \""),
            ],
        ),
        (
            Initramfs::InitramfsTools,
            "etc/initramfs-tools/hooks/outboard-persist",
            vec![
                "for driver in vfio-pci; do".to_owned(),
                format!("for rule in {path}; do"),
            ],
        ),
        (
            Initramfs::Mkinitcpio,
            "etc/mkinitcpio.conf.d/outboard-persist.conf",
            vec!["MODULES+=(vfio-pci)".to_owned(), format!("FILES+=({path})")],
        ),
    ];
    for (maker, file, lines) in expected {
        let machine = machine();
        assert_eq!(
            machine.host.initramfs().unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        machine.folder(file.rsplit_once('/').unwrap().0);
        assert_eq!(machine.host.initramfs().unwrap(), maker);
        assert_eq!(add(&machine, CARD, Some(maker)).unwrap(), 2);
        let written = text(&machine, file);
        for line in lines {
            assert!(
                written.lines().any(|written| written == line),
                "{line} in {written}"
            );
        }
        // All three are read by a shell.
        let shell = Command::new("bash")
            .arg("-n")
            .arg(machine.path(file))
            .status();
        assert!(shell.unwrap().success());
        assert_eq!(machine.host.persisted().unwrap()[0].level(), "initramfs");
        assert_eq!(add(&machine, CARD, Some(maker)).unwrap(), 0);
        // Back to the system alone, and gone.
        assert_eq!(add(&machine, CARD, None).unwrap(), 2);
        assert!(!machine.path(file).exists());
        add(&machine, CARD, Some(maker)).unwrap();
        assert_eq!(forget(&machine), 2);
        assert!(!machine.path(file).exists());
    }
}

/// The hook of initramfs-tools, run as update-initramfs runs it (initramfs-tools(7)), with functions that say what they are
/// asked for.
#[test]
fn the_hook_of_initramfs_tools_copies_the_rules_and_asks_for_the_driver() {
    let machine = machine();
    add(&machine, CARD, Some(Initramfs::InitramfsTools)).unwrap();
    let hook = "etc/initramfs-tools/hooks/outboard-persist";
    let mode = fs::metadata(machine.path(hook))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    machine.file(
        "functions",
        "manual_add_modules() { echo \"module $1\"; }\n",
    );
    let root = machine.path("");
    let root = root.to_str().unwrap().trim_end_matches('/');
    // Without the machine's root in it, for this machine is a folder.
    let script = text(&machine, hook)
        .replace(
            "/usr/share/initramfs-tools/hook-functions",
            &format!("{root}/functions"),
        )
        .replace("\"$rule\"", &format!("\"{root}$rule\""));
    let run = |argument: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &script, "hook"]).args(argument);
        let output = shell
            .env("DESTDIR", format!("{root}/image"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["prereqs"]), "", "it needs no other");
    assert_eq!(run(&[]), "module vfio-pci\n");
    assert_eq!(
        text(&machine, &format!("image/{RULE}")),
        text(&machine, RULE)
    );
}

#[test]
fn an_initramfs_that_is_older_than_its_rules_is_found() {
    let machine = machine();
    let card = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    machine.bind(card, "vfio-pci");
    machine.file("proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
    let image = |name: &str, seconds: i64| {
        machine.file(&format!("boot/{name}"), "image");
        let at = match seconds {
            0.. => SystemTime::now() + Duration::from_secs(seconds.unsigned_abs()),
            _ => SystemTime::now() - Duration::from_secs(seconds.unsigned_abs()),
        };
        let file = File::options()
            .write(true)
            .open(machine.path(&format!("boot/{name}")));
        file.unwrap().set_modified(at).unwrap();
    };
    image("initrd.img-6.1.0-8-amd64", -3600);
    add(&machine, CARD, None).unwrap();
    assert_eq!(codes(&machine), [], "it is not to have the rule");
    add(&machine, CARD, Some(Initramfs::InitramfsTools)).unwrap();
    image("initrd.img-6.1.0-9-amd64", -60);
    let drift = machine.host.persist_drift().unwrap().drifts.remove(0);
    assert_eq!(drift.code, DriftCode::Initramfs);
    assert!(
        drift.sentence.contains("initrd.img-6.1.0-9-amd64 is older"),
        "{drift:?}"
    );
    assert_eq!(drift.hint, "sudo update-initramfs -u -k all");
    image("initrd.img-6.1.0-9-amd64", 60);
    assert_eq!(
        codes(&machine),
        [],
        "those of other kernels are older, and not asked"
    );

    fs::remove_dir_all(machine.path("boot")).unwrap();
    let report = machine.host.persist_drift().unwrap();
    assert_eq!((report.drifts.len(), report.unknown.len()), (0, 1));

    let hook = "etc/initramfs-tools/hooks/outboard-persist";
    let changed = text(&machine, hook).replace("vfio-pci", "nvme");
    machine.file(hook, changed);
    assert_eq!(codes(&machine), [DriftCode::Initramfs]);
    fs::remove_file(machine.path(hook)).unwrap();
    assert_eq!(codes(&machine), [DriftCode::Initramfs]);
}
