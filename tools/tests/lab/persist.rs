//! `outboard persist`, with systemd-udevd and through a restart: the machine `udev` leaves rules, with which `restart` and
//! `restart_off` start (docs/lab.md).
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::{NIC, fails, json, ok, run, sysfs, text};
use lab_guest::Qmp;
use pci_host::{Host, PciFunction, Selector};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// Where the NIC is, and the empty port.
const NIC_PATH: &str = "path:0000:00:06.0/00.0";
const HOT: &str = "0000:02:00.0";
const HOT_PATH: &str = "path:0000:00:05.0/00.0";

const RULES: &str = "/etc/udev/rules.d";
const NIC_RULE: &str = "60-outboard-persist-0000-00-06.0-00.0.rules";

/// What QEMU's e1000e says it is.
const IDS: &str = "8086:10d3";

fn program(words: &str) {
    let mut words = words.split(' ');
    let mut program = Command::new(words.next().unwrap());
    let status = program.args(words).status().unwrap();
    assert!(status.success(), "{program:?}");
}

/// Our rules, as files.
fn rules() -> Vec<PathBuf> {
    let files = fs::read_dir(RULES).into_iter().flatten();
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|file| file.to_string_lossy().contains("outboard-persist"))
        .collect()
}

fn at(path: &str) -> Option<PciFunction> {
    let selector: Selector = path.parse().unwrap();
    Host::system().select(&selector).ok()
}

/// The codes of what `persist check` finds.
fn drift() -> Vec<(String, Value)> {
    let output = run(&["persist", "check", "--json"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    super::schema::check(&printed);
    let drifts = printed["data"]["drifts"].as_array().unwrap().clone();
    let expected = if drifts.is_empty() { 0 } else { 6 };
    assert_eq!(output.status.code(), Some(expected));
    let code = |drift: Value| (drift["code"].as_str().unwrap().to_owned(), drift);
    drifts.into_iter().map(code).collect()
}

fn codes() -> Vec<String> {
    drift().into_iter().map(|drift| drift.0).collect()
}

/// Waits until a device has this driver, or is gone.
fn becomes(address: &str, driver: Option<&str>) {
    let start = Instant::now();
    loop {
        let link = Path::new("/sys/bus/pci/devices")
            .join(address)
            .join("driver");
        let now = fs::read_link(link).ok();
        let now = now.map(|link| link.file_name().unwrap().to_string_lossy().into_owned());
        if now.as_deref() == driver {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{address} has {now:?}"
        );
        sleep(Duration::from_millis(100));
    }
}

/// An address and the default route on the NIC, while this lives.
struct OnlyNetwork(String);

impl OnlyNetwork {
    fn new() -> Self {
        let dir = format!("/sys/bus/pci/devices/{NIC}/net");
        let mut names = fs::read_dir(dir).unwrap();
        let name = names.next().unwrap().unwrap().file_name();
        let name = name.into_string().unwrap();
        program(&format!("ip addr add 192.0.2.1/24 dev {name}"));
        program(&format!("ip link set {name} up"));
        program(&format!("ip route add default via 192.0.2.2 dev {name}"));
        Self(name)
    }
}

impl Drop for OnlyNetwork {
    fn drop(&mut self) {
        program(&format!("ip addr flush dev {}", self.0));
        program(&format!("ip link set {} down", self.0));
    }
}

fn rules_are_written_for_the_next_start_and_what_is_needed_then_is_refused() {
    let before = sysfs(NIC);
    let printed = ok(&["persist", "add", NIC, "--print"]);
    assert!(
        printed.contains("DEVPATH!=\"*/pci0000:00/0000:00:06.0/????:??:00.0\""),
        "{printed}"
    );
    assert!(rules().is_empty(), "nothing is written");

    let only = OnlyNetwork::new();
    let said = fails(5, &["persist", "add", NIC]);
    assert!(
        said.contains("the only default route of this machine is that of 0000:03:00.0"),
        "{said}"
    );
    assert!(said.contains("--allow network"), "{said}");
    assert!(rules().is_empty());
    ok(&["persist", "add", NIC, "--allow", "network"]);
    ok(&["persist", "remove", NIC]);
    drop(only);

    let driverctl = format!("/etc/driverctl.d/pci-{NIC}");
    fs::create_dir_all("/etc/driverctl.d").unwrap();
    fs::write(&driverctl, "uio_pci_generic\n").unwrap();
    assert!(fails(5, &["persist", "add", NIC]).contains(&driverctl));
    fs::remove_file(driverctl).unwrap();
    // Behind the bridge are three devices in one group (docs/lab.md): with the third goes none of the kernel's drivers.
    let said = fails(5, &["persist", "add", "0000:05:01.0"]);
    assert!(said.contains("--allow group:0000:05:03.0"), "{said}");

    let added = json(&["persist", "add", NIC]);
    assert_eq!(added["data"]["files"][0], format!("{RULES}/{NIC_RULE}"));
    for rule in rules() {
        program(&format!("udevadm verify {}", rule.display()));
    }
    assert_eq!(codes(), ["bound"]);
    // Its driver had it first, and keeps it.
    program(&format!(
        "udevadm trigger --settle --action=add /sys/bus/pci/devices/{NIC}"
    ));
    assert_eq!(sysfs(NIC), before);
    // Without one, it goes to vfio-pci at once, which is loaded here already.
    fs::write("/sys/bus/pci/drivers/e1000e/unbind", NIC).unwrap();
    program(&format!(
        "udevadm trigger --settle --action=add /sys/bus/pci/devices/{NIC}"
    ));
    assert_eq!(sysfs(NIC), (Some("vfio-pci".into()), "vfio-pci".into()));
    assert_eq!(codes(), [""; 0]);
    ok(&["release", NIC]);
    assert_eq!(sysfs(NIC), before);
}

/// A card in the empty port, with a rule, which is not there any more.
fn a_card_that_will_have_moved() {
    let mut qmp = Qmp::connect().unwrap();
    qmp.device_add("rp2", "e1000e", "moving").unwrap();
    becomes(HOT, Some("e1000e"));
    ok(&["persist", "add", HOT]);
    let listed = json(&["persist", "list"]);
    assert_eq!(listed["data"]["rules"][0]["path"], HOT_PATH);
    assert_eq!(listed["data"]["rules"][0]["address"], HOT);
    qmp.device_del("moving").unwrap();
    qmp.event("DEVICE_DELETED", Duration::from_secs(60))
        .unwrap();
    becomes(HOT, None);
    assert_eq!(codes(), ["gone", "bound"], "the twin has a rule of its own");
}

/// Leaves the rules for the next start, on the host, and no trace here.
fn leave() {
    let next = lab_guest::results().join("etc/udev/rules.d");
    fs::create_dir_all(&next).unwrap();
    for rule in rules() {
        fs::copy(&rule, next.join(rule.file_name().unwrap())).unwrap();
    }
    for path in [NIC_PATH, HOT_PATH] {
        ok(&["persist", "remove", path]);
    }
    assert!(rules().is_empty());
    assert!(ok(&["persist", "list"]).starts_with("no device is bound at each start"));
}

mod udev {
    #[test]
    #[ignore = "needs the lab"]
    fn persist_rules_are_left_for_the_next_start() {
        super::rules_are_written_for_the_next_start_and_what_is_needed_then_is_refused();
        super::a_card_that_will_have_moved();
        super::leave();
    }
}

/// All lines of the kernel's log that name a device.
fn log_of(address: &str) -> Vec<String> {
    let output = Command::new("dmesg").output().unwrap();
    let log = text(&output.stdout);
    let lines = log.lines().filter(|line| line.contains(address));
    lines.map(str::to_owned).collect()
}

mod restart {
    use super::*;

    /// A switch in front has taken the bus numbers that it had.
    #[test]
    #[ignore = "needs the lab"]
    fn persist_binds_the_device_from_the_start_on_whatever_its_address_is_now() {
        let nic = at(NIC_PATH).unwrap();
        let address = nic.address.to_string();
        assert_ne!(address, NIC);
        assert_eq!(
            sysfs(&address),
            (Some("vfio-pci".into()), "vfio-pci".into())
        );
        // Its own driver is there, and never had it.
        assert!(Path::new("/sys/bus/pci/drivers/e1000e").exists());
        let log = log_of(&address);
        assert!(!log.iter().any(|line| line.contains("e1000e")), "{log:?}");
        assert!(ok(&["bind", &address]).contains("already"));
        assert!(Host::system().vfio_group(nic.iommu_group.unwrap()).exists());
        let list = ok(&["persist", "list"]);
        assert!(list.contains(&format!("boot  {address}, bound")), "{list}");
    }

    /// The card that was in the other port is in one that was not there before.
    #[test]
    #[ignore = "needs the lab"]
    fn persist_leaves_a_card_that_moved_to_the_kernel() {
        let all = Host::system().functions().unwrap();
        let nic = at(NIC_PATH).unwrap();
        let twin = |f: &&PciFunction| {
            (f.vendor, f.device) == (nic.vendor, nic.device) && f.address != nic.address
        };
        let twin = all.iter().find(twin).unwrap().address.to_string();
        assert_eq!(sysfs(&twin), (Some("e1000e".into()), "(null)".into()));
        let port = at("path:0000:00:05.0/00.0").unwrap();
        assert!(port.is_bridge);
        assert_eq!(sysfs(&port.address.to_string()).1, "(null)");
        let drift = drift();
        let [(code, moved)] = drift.as_slice() else {
            panic!("{drift:?}")
        };
        assert_eq!(code, "moved");
        let sentence = moved["sentence"].as_str().unwrap();
        assert!(
            sentence.starts_with(IDS) && sentence.contains(&twin),
            "{sentence}"
        );
        // As the hint says.
        ok(&["persist", "remove", HOT_PATH]);
        assert_eq!(codes(), [""; 0]);
    }
}

mod restart_off {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn persist_is_switched_off_by_the_kernel_s_command_line() {
        assert_eq!(rules().len(), 2);
        assert_eq!(sysfs(NIC), (Some("e1000e".into()), "(null)".into()));
        assert_eq!(codes(), ["off", "gone"]);
        let list = ok(&["persist", "list"]);
        assert!(list.contains("0000:03:00.0, with e1000e"), "{list}");
        assert!(
            list.ends_with("the kernel was told outboard.persist=off\n"),
            "{list}"
        );
    }
}
