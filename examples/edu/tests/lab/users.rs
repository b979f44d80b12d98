//! The driver run by ordinary users, to whom systemd-udevd gives the device by Outboard's rules (docs/udev.md).

use io_core::{Io, irq::InterruptKind::Intx};
use lab_guest::{Bound, fact};
use outboard::{Backend, open_on};
use pci_host::Host;
use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

/// QEMU's edu behind a root port (docs/lab.md): at this place, and of this kind.
const EDU: &str = "01:00.0";
const PLACE: &str = "0000:00:04.0/00.0";
const IDS: &str = "1234:11e8:1af4:1100";

/// Another edu, which nobody chooses.
const OTHER: &str = "00:03.0";

/// Set for a test that is run once more, as alice.
const ALICE: &str = "OUTBOARD_ALICE";

/// Where a user chooses devices.
const RULES: &str = "/etc/udev/rules.d/71-outboard-devices.rules";

/// Runs a program that must succeed.
fn ok(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{program}: {said}{error}");
    said
}

/// Chooses the functions of this place and kind, while it lives; and puts alice into the group.
struct Chosen;

impl Chosen {
    fn new(place: &str, ids: &str) -> Self {
        // As the example of the documentation has it.
        let rule =
            format!("ENV{{OUTBOARD_FUNCTIONS}}==\"*,{place},{ids}*\", ENV{{OUTBOARD}}=\"1\"\n");
        fs::create_dir_all("/etc/udev/rules.d").unwrap();
        // No event of what was before meets these rules, nor the other way round.
        settle();
        fs::write(RULES, rule).unwrap();
        ok("udevadm", &["verify", RULES]);
        ok("udevadm", &["control", "--reload"]);
        members("alice");
        Self
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        settle();
        fs::remove_file(RULES).unwrap();
        ok("udevadm", &["control", "--reload"]);
        members("");
    }
}

/// Makes these the members of the group outboard, as usermod does, which the guest has not.
fn members(names: &str) {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let lines = groups.lines().map(|line| match line.rsplit_once(':') {
        Some((group, _)) if group.starts_with("outboard:") => format!("{group}:{names}\n"),
        _ => format!("{line}\n"),
    });
    fs::write("/etc/group", lines.collect::<String>()).unwrap();
}

/// Binds, and waits until udev has done its part.
fn bind(address: &str, driver: &str) -> Bound {
    let bound = Bound::to(address, driver);
    settle();
    bound
}

fn settle() {
    ok("udevadm", &["settle"]);
}

/// Runs the driver on the device as this user, who may lock as much memory as systemd lets users (8 MiB).
fn drive(user: &str, backend: &str) -> Output {
    let edu = env!("CARGO_BIN_EXE_edu");
    as_user(user, &format!("{edu} {EDU} --backend {backend}"))
}

fn as_user(user: &str, command: &str) -> Output {
    let script = format!("ulimit -l 8192 && exec {command}");
    let mut su = Command::new("su");
    su.args(["-s", "/bin/sh", user, "-c", &script]);
    su.output().unwrap()
}

/// Who owns a node, and its permissions: `root:outboard 0660`.
fn owner(node: &Path) -> String {
    let metadata = fs::metadata(node).unwrap();
    let groups = fs::read_to_string("/etc/group").unwrap();
    let line = |line: &&str| line.split(':').nth(2) == Some(&*metadata.gid().to_string());
    let group = groups
        .lines()
        .find(line)
        .unwrap()
        .split(':')
        .next()
        .unwrap();
    let user = if metadata.uid() == 0 { "root" } else { "?" };
    format!("{user}:{group} {:04o}", metadata.mode() & 0o7777)
}

/// The nodes of a function with VFIO, by what they are called in `/dev/outboard`.
fn nodes(bound: &Bound) -> Vec<(&'static str, PathBuf)> {
    let function = bound.host.function(bound.address).unwrap();
    let group = bound.host.vfio_group(function.iommu_group.unwrap());
    // Debian 12's kernel has the class, and no nodes of it.
    let cdev = bound
        .host
        .vfio_cdev(bound.address)
        .filter(|node| node.exists());
    let nodes = [("group", Some(group)), ("cdev", cdev)];
    let nodes: Vec<_> = nodes
        .into_iter()
        .filter_map(|(name, node)| Some((name, node?)))
        .collect();
    let expected = if fact("kernel") == "full" { 2 } else { 1 };
    assert_eq!(nodes.len(), expected);
    nodes
}

fn link(place: &str, name: &str) -> PathBuf {
    Path::new("/dev/outboard/by-path").join(place).join(name)
}

/// Every node of VFIO, UIO and iommufd that there is.
fn all_nodes() -> Vec<PathBuf> {
    let mut nodes = Vec::new();
    for folder in ["/dev", "/dev/vfio", "/dev/vfio/devices"] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let ours = folder != "/dev" || name == "iommu" || name.starts_with("uio");
            if ours && !path.is_dir() {
                nodes.push(path);
            }
        }
    }
    nodes
}

/// Nobody else may open anything but `/dev/vfio/vfio`, which grants nothing alone.
fn nothing_is_for_the_world() {
    for node in all_nodes() {
        if node == Path::new("/dev/vfio/vfio") {
            assert_eq!(owner(&node), "root:outboard 0666");
        } else {
            let mode = fs::metadata(&node).unwrap().mode();
            assert_eq!(mode & 0o007, 0, "{}", node.display());
        }
    }
}

fn backends() -> &'static [&'static str] {
    match fact("kernel").as_str() {
        "full" => &["type1", "iommufd"],
        _ => &["type1"],
    }
}

fn who_is_in_the_group_drives_the_device_and_who_is_not_is_told_of_the_group() {
    let _chosen = Chosen::new(PLACE, IDS);
    let _bound = bind(EDU, "vfio-pci");
    nothing_is_for_the_world();
    for backend in backends() {
        let output = drive("alice", backend);
        let said = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{backend}: {said}{error}");
        for line in [
            "alive",
            "polled: 10! = 3628800",
            "MSI: raised and acknowledged",
        ] {
            assert!(said.contains(line), "{backend}: {line} in {said}");
        }

        let output = drive("bob", backend);
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("Permission denied"), "{backend}: {error}");
        let hint = "hint: it is for the group outboard: sudo usermod --append --groups outboard $USER, and log in again";
        assert!(error.contains(hint), "{backend}: {error}");
    }
}

fn the_nodes_of_chosen_devices_alone_are_the_group_s_and_links_follow_them() {
    let _chosen = Chosen::new(PLACE, IDS);
    // The numbers of nodes depend on who is bound first.
    for other_first in [false, true] {
        let other = other_first.then(|| bind(OTHER, "vfio-pci"));
        let bound = bind(EDU, "vfio-pci");
        for (name, node) in nodes(&bound) {
            assert_eq!(owner(&node), "root:outboard 0660", "{}", node.display());
            assert_eq!(fs::canonicalize(link(PLACE, name)).unwrap(), node);
        }
        for (_, node) in other.iter().flat_map(nodes) {
            assert_eq!(owner(&node), "root:root 0600", "{}", node.display());
        }
        nothing_is_for_the_world();
        drop(bound);
        settle();
        assert!(!Path::new("/dev/outboard").exists(), "links go with nodes");
    }
}

fn another_card_in_that_place_is_not_given_away() {
    let _chosen = Chosen::new(PLACE, "8086:10d3:");
    let bound = bind(EDU, "vfio-pci");
    for (name, node) in nodes(&bound) {
        assert_eq!(owner(&node), "root:root 0600");
        assert!(!link(PLACE, name).exists());
    }
}

/// Behind the bridge are two edus and a virtio-net, all in one group (docs/lab.md).
fn the_node_of_a_group_is_linked_for_each_of_its_functions_but_bridges() {
    let bridge = "0000:00:08.0";
    let _chosen = Chosen::new(&format!("{bridge}/02.0"), IDS);
    let bound = bind("05:01.0", "vfio-pci");
    let nodes = nodes(&bound);
    let (_, group) = nodes.first().unwrap();
    assert_eq!(owner(group), "root:outboard 0660", "any member chooses it");
    let links = fs::read_dir(link(bridge, "")).unwrap();
    let mut links: Vec<_> = links
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    links.sort();
    assert_eq!(links, ["01.0", "02.0", "03.0"]);
}

fn a_node_of_uio_is_the_group_s_too_and_links_follow_it() {
    if env::var_os(ALICE).is_some() {
        return by_uio_as_an_ordinary_user();
    }
    let _chosen = Chosen::new(PLACE, IDS);
    for other_first in [false, true] {
        let _other = other_first.then(|| bind(OTHER, "uio_pci_generic"));
        let bound = bind(EDU, "uio_pci_generic");
        let node = bound.host.uio_of(bound.address).unwrap().unwrap().node;
        assert_eq!(owner(&node), "root:outboard 0660");
        assert_eq!(fs::canonicalize(link(PLACE, "uio")).unwrap(), node);
        nothing_is_for_the_world();

        // This test once more, as alice.
        let (program, test) = (env::current_exe().unwrap(), thread::current());
        let test = format!("--exact {} --ignored --nocapture", test.name().unwrap());
        let output = as_user(
            "alice",
            &format!("env {ALICE}=1 {} {test}", program.display()),
        );
        let [said, error] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(said.contains("1 passed"), "{said}{error}");

        let error = String::from_utf8(drive("bob", "uio").stderr).unwrap();
        assert!(error.contains("it is for the group outboard"), "{error}");
    }
}

/// Not root, who may reach the BARs. Configuration space is root's to write, and so nobody else enables interrupts or bus
/// mastering.
fn by_uio_as_an_ordinary_user() {
    let opened = open_on(&Host::system(), &EDU.parse().unwrap(), Some(Backend::Uio)).unwrap();
    let bar = opened.device.bar(0).unwrap();
    let registers = bar.io::<0x100>().unwrap();
    // QEMU's docs/specs/edu.rst: the version, and what is written here is read inverted.
    assert_eq!(registers.try_read32(0x00), Ok(0x0100_00ed));
    registers.try_write32(0x04, 0x1234_5678).unwrap();
    assert_eq!(registers.try_read32(0x04), Ok(!0x1234_5678));
    let interrupts = opened.device.interrupts().unwrap();
    let denied = [
        interrupts.enable(Intx, 0..1).map(drop),
        opened.device.set_bus_master(true),
    ];
    for error in denied.map(Result::unwrap_err) {
        let hint = error.hint().unwrap();
        assert!(hint.contains("root's to write"), "{error}: {hint}");
    }
}

/// The same tests on both kernels.
macro_rules! in_machines {
    ($($machine:ident),+: $tests:tt) => { $(in_machines!(@ $machine $tests);)+ };
    (@ $machine:ident [$($test:ident),+ $(,)?]) => {
        mod $machine {
            $(
                #[test]
                #[ignore = "needs the lab"]
                fn $test() {
                    super::$test();
                }
            )+
        }
    };
}

in_machines!(udev, udev_full: [
    who_is_in_the_group_drives_the_device_and_who_is_not_is_told_of_the_group,
    the_nodes_of_chosen_devices_alone_are_the_group_s_and_links_follow_them,
    another_card_in_that_place_is_not_given_away,
    the_node_of_a_group_is_linked_for_each_of_its_functions_but_bridges,
    a_node_of_uio_is_the_group_s_too_and_links_follow_it,
]);
