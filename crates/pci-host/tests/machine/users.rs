//! Who uses a device, on a server that has all that a device can be used for.

use crate::build::{Machine, desktop};
use pci_host::{Code, Finding};

const DRIVE: &str = "sys/devices/pci0000:00/0000:00:06.0/0000:01:00.0";
const NIC: &str = "sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0";

impl Machine {
    fn users(&self, address: &str) -> Vec<Finding> {
        let function = self.host.function(address.parse().unwrap()).unwrap();
        self.host.users(&function).unwrap()
    }

    /// What is found, as `code: sentence`.
    fn said(&self, address: &str) -> Vec<String> {
        let said = |finding: Finding| {
            assert!(!finding.hint.is_empty(), "{finding:?}");
            format!("{}: {}", finding.code, finding.sentence)
        };
        self.users(address).into_iter().map(said).collect()
    }

    /// Without a folder for each, no process has anything of another namespace.
    fn mounts(&self, process: &str, lines: &str) {
        self.file(&format!("proc/{process}/mountinfo"), lines);
    }
}

#[test]
fn what_nobody_uses_has_no_findings() {
    let machine = desktop();
    for address in [
        "0000:01:00.0",
        "0000:02:00.0",
        "0000:03:00.0",
        "0000:00:1c.0",
    ] {
        assert_eq!(machine.said(address), Vec::<String>::new(), "{address}");
    }
}

#[test]
fn a_mounted_partition_is_found_by_its_number_and_not_by_its_name() {
    let machine = desktop();
    machine.mounts(
        "self",
        "22 1 0:20 / /sys rw - sysfs sysfs rw\n\
         26 1 259:1 / /mnt/my\\040disk rw,relatime shared:1 - ext4 /dev/disk/by-label/x rw\n",
    );
    let said = machine.said("0000:01:00.0");
    assert_eq!(
        said,
        ["mounted: /mnt/my disk is mounted from nvme0n1p1 of 0000:01:00.0"]
    );
}

#[test]
fn a_mount_of_another_namespace_is_found_through_a_process_in_it() {
    let machine = desktop();
    machine.mounts("self", "");
    for (process, namespace) in [
        ("self", "mnt:[1]"),
        ("7", "mnt:[1]"),
        ("8", "mnt:[2]"),
        ("9", "mnt:[2]"),
    ] {
        machine.folder(&format!("proc/{process}/ns"));
        std::os::unix::fs::symlink(namespace, machine.path(&format!("proc/{process}/ns/mnt")))
            .unwrap();
        if process != "self" {
            machine.mounts(process, "26 1 259:1 / /data rw - ext4 /dev/x rw\n");
        }
    }
    let found = machine.users("0000:01:00.0");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].sentence.starts_with("/data (of process "));
}

#[test]
fn root_on_lvm_on_luks_is_climbed_to() {
    let machine = desktop();
    let block = "sys/devices/virtual/block";
    for (name, number, id, title) in [
        ("dm-0", "254:0", "CRYPT-LUKS2-0-luks", "luks"),
        ("dm-1", "254:1", "LVM-0", "vg-root"),
        ("dm-2", "254:2", "LVM-1", "vg-swap"),
    ] {
        machine.block(&format!("{block}/{name}"), number);
        machine.file(&format!("{block}/{name}/dm/uuid"), format!("{id}\n"));
        machine.file(&format!("{block}/{name}/dm/name"), format!("{title}\n"));
    }
    machine.hold("dm-0", "nvme0n1p1");
    machine.hold("dm-1", "dm-0");
    machine.hold("dm-2", "dm-0");
    machine.mounts(
        "self",
        "26 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n",
    );
    let swap = machine.path("dev/dm-2").display().to_string();
    machine.file(
        "proc/swaps",
        format!("Filename\t\t\t\tType\t\tSize\n{swap}   partition\t8388604\t\t0\t\t-2\n"),
    );
    assert_eq!(
        machine.said("0000:01:00.0"),
        [
            "mounted: / is mounted from dm-1 (vg-root, on dm-0, on nvme0n1p1) of 0000:01:00.0",
            "swap: the kernel swaps to dm-2 (vg-swap, on dm-0, on nvme0n1p1) of 0000:01:00.0",
            "holder: LVM's volume vg-root is on dm-0 of 0000:01:00.0",
            "holder: LVM's volume vg-swap is on dm-0 of 0000:01:00.0",
            "holder: the encrypted disk luks is on nvme0n1p1 of 0000:01:00.0",
        ]
    );
}

#[test]
fn raid_multipath_and_btrfs_are_told_apart() {
    let machine = desktop();
    let block = "sys/devices/virtual/block";
    machine.block(&format!("{block}/md0"), "9:0");
    machine.folder(&format!("{block}/md0/md"));
    machine.hold("md0", "nvme0n1p1");
    machine.block(&format!("{block}/dm-0"), "254:0");
    machine.file(&format!("{block}/dm-0/dm/uuid"), "mpath-36001405\n");
    machine.file(&format!("{block}/dm-0/dm/name"), "mpatha\n");
    machine.hold("dm-0", "nvme0n1");
    machine.folder("sys/fs/btrfs/0a1b/devices/md0");
    assert_eq!(
        machine.said("0000:01:00.0"),
        [
            "mounted: the btrfs 0a1b is mounted, and md0 (on nvme0n1p1) of 0000:01:00.0 is a part of it",
            "holder: the RAID md0 is on nvme0n1p1 of 0000:01:00.0",
            "holder: the multipath disk mpatha is on nvme0n1 of 0000:01:00.0",
        ]
    );
}

#[test]
fn a_bridge_on_a_vlan_on_a_bond_is_climbed_to_its_route_and_its_address() {
    let machine = desktop();
    for (name, event) in [("bond0", "bond"), ("bond0.7", "vlan"), ("br0", "bridge")] {
        machine.interface(name, None);
        machine.file(
            &format!("sys/devices/virtual/net/{name}/uevent"),
            format!("DEVTYPE={event}\n"),
        );
    }
    machine.stack("bond0", "eth0", true);
    machine.stack("bond0.7", "bond0", false);
    machine.stack("br0", "bond0.7", true);
    machine.file(
        "proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
         br0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
         br0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
         eth1\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
    );
    // 2001:db8::5 is br0's, fe80::1 what every interface gives itself.
    machine.file(
        "proc/net/if_inet6",
        "20010db8000000000000000000000005 07 40 00 80      br0\n\
         fe800000000000000000000000000001 07 40 20 80      br0\n",
    );
    let chain = "br0 (on bond0.7, on bond0, on eth0)";
    assert_eq!(
        machine.said("0000:02:00.0"),
        [
            format!("route: the default route goes through {chain} of 0000:02:00.0"),
            format!("address: {chain} of 0000:02:00.0 has the address 2001:db8::5"),
            "bond: eth0 of 0000:02:00.0 is a port of the bond bond0".to_owned(),
            "bridge: bond0.7 of 0000:02:00.0 is a port of the bridge br0".to_owned(),
            "vlan: the vlan bond0.7 is on bond0 of 0000:02:00.0".to_owned(),
        ]
    );
    // 192.168.2.0, written as a number of little-endian bytes.
    assert_eq!(
        machine.said("0000:03:00.0"),
        ["route: the route to 192.168.2.0/24 goes through eth1 of 0000:03:00.0"]
    );
}

#[test]
fn routes_of_ipv6_count_but_not_those_that_every_interface_has() {
    let machine = desktop();
    let none = "00000000000000000000000000000000";
    let line = |to: &str, prefix: &str, flags: &str, interface: &str| {
        format!(
            "{to} {prefix} {none} 00 {none} 00000100 00000001 00000000 {flags} {interface:>8}\n"
        )
    };
    let document = "20010db8000000000000000000000000";
    let routes = [
        line("fe800000000000000000000000000000", "40", "00000001", "eth0"),
        line("ff000000000000000000000000000000", "08", "00000001", "eth0"),
        line("20010db8000000000000000000000005", "80", "80200001", "eth0"),
        line(none, "00", "00200200", "lo"),
        line(document, "20", "00000001", "eth1"),
    ];
    machine.file("proc/net/ipv6_route", routes.concat());
    assert_eq!(machine.said("0000:02:00.0"), Vec::<String>::new());
    assert_eq!(
        machine.said("0000:03:00.0"),
        ["route: the route to 2001:db8::/32 goes through eth1 of 0000:03:00.0"]
    );
}

#[test]
fn the_connection_of_this_session_is_found_above_sudo() {
    let machine = desktop();
    machine.file(
        "proc/net/if_inet6",
        "20010db8000000000000000000000005 02 40 00 80 eth0\n",
    );
    machine.file("proc/self/environ", "HOME=/root\0SUDO_USER=me\0");
    machine.file("proc/self/status", "Name:\toutboard\nPPid:\t31\n");
    machine.file(
        "proc/31/environ",
        "SSH_CONNECTION=2001:db8::9 50022 2001:db8::5 22\0",
    );
    let codes: Vec<Code> = machine
        .users("0000:02:00.0")
        .iter()
        .map(|f| f.code)
        .collect();
    assert_eq!(codes, [Code::Address, Code::Ssh]);
}

#[test]
fn an_interface_in_another_namespace_leaves_an_empty_folder() {
    let machine = Machine::new();
    let nic = machine.function("pci0000:00/0000:00:03.0", "1af4:1000", 0x02_0000);
    assert_eq!(machine.said("0000:00:03.0"), Vec::<String>::new());
    machine.folder(&format!("{nic}/virtio0/net"));
    let codes: Vec<Code> = machine
        .users("0000:00:03.0")
        .iter()
        .map(|f| f.code)
        .collect();
    assert_eq!(codes, [Code::Namespace]);
}

#[test]
fn virtual_functions_go_with_their_physical_one() {
    let said = desktop().said("0000:04:00.0");
    assert_eq!(
        said,
        ["vfs: 0000:04:00.0 has 2 virtual functions, which go away with its driver"]
    );
}

#[test]
fn what_is_on_a_screen_is_found() {
    let machine = Machine::new();
    let card = machine.function("pci0000:00/0000:00:02.0", "8086:a7a0", 0x03_0000);
    machine.file(&format!("{card}/boot_vga"), "1\n");
    let output = format!("{card}/drm/card0/card0-HDMI-A-1");
    machine.file(&format!("{output}/enabled"), "enabled\n");
    machine.link("sys/class/drm/card0-HDMI-A-1", &output);
    machine.folder(&format!("{card}/graphics/fb0"));
    machine.link("sys/class/graphics/fb0", &format!("{card}/graphics/fb0"));
    assert_eq!(
        machine.said("0000:00:02.0"),
        [
            "display: 0000:00:02.0 is what the firmware and the boot loader show themselves on",
            "display: a screen at card0-HDMI-A-1 shows a picture of 0000:00:02.0",
            "display: fb0 of 0000:00:02.0 is a console",
        ]
    );
}

#[test]
fn the_card_that_the_firmware_used_can_be_taken_from_a_program() {
    for (driver, codes) in [
        ("i915", &[Code::Display][..]),
        ("vfio-pci", &[]),
        ("uio_pci_generic", &[]),
    ] {
        let machine = Machine::new();
        let card = machine.function("pci0000:00/0000:00:02.0", "8086:a7a0", 0x03_0000);
        machine.file(&format!("{card}/boot_vga"), "1\n");
        machine.bind(&card, driver);
        let found = machine.users("0000:00:02.0");
        let found: Vec<Code> = found.iter().map(|f| f.code).collect();
        assert_eq!(found, codes, "{driver}");
    }
}

#[test]
fn processes_are_named_with_their_units_and_what_they_hold() {
    let machine = desktop();
    machine.file(&format!("{DRIVE}/nvme/nvme0/dev"), "242:0\n");
    machine.file(
        &format!("{DRIVE}/nvme/nvme0/uevent"),
        "MAJOR=242\nDEVNAME=nvme0\n",
    );
    machine.process(70, "smartd", &["dev/nvme0", "dev/null"]);
    machine.file("proc/70/cgroup", "0::/system.slice/smartmontools.service\n");
    machine.process(71, "dd", &["dev/nvme0n1"]);
    machine.process(72, "cat", &["dev/nvme1"]);
    machine.process(73, "peek", &[]);
    let resource = machine.path(&format!("{DRIVE}/resource0"));
    machine.file(&format!("{DRIVE}/resource0"), "");
    let mapping = format!(
        "7f0000000000-7f0000001000 rw-s 00000000 00:15 1234   {}\n",
        resource.display()
    );
    machine.file("proc/73/maps", mapping);
    let dev = machine.path("dev").display().to_string();
    assert_eq!(
        machine.said("0000:01:00.0"),
        [
            format!("open: dd (process 71) has {dev}/nvme0n1 open"),
            format!("open: peek (process 73) has {} mapped", resource.display()),
            format!("open: smartd (process 70, smartmontools.service) has {dev}/nvme0 open"),
        ]
    );
    assert_eq!(
        machine.users("0000:01:00.0")[2].hint,
        "stop it: sudo systemctl stop smartmontools.service"
    );
}

#[test]
fn whoever_has_the_group_of_vfio_has_the_device() {
    let machine = desktop();
    machine.group(9, &[NIC]);
    machine.bind(NIC, "vfio-pci");
    machine.process(80, "vmm", &["dev/vfio/9"]);
    machine.file(
        "proc/80/cgroup",
        "1:name=systemd:/machine.slice/machine-a.scope/emulator\n0::/x\n",
    );
    let found = machine.users("0000:02:00.0");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]
            .sentence
            .starts_with("vmm (process 80, machine-a.scope) has ")
    );
    assert_eq!(found[0].code, Code::Open);
}

#[test]
fn the_words_of_the_codes_are_what_consent_is_given_by() {
    for code in Code::ALL {
        assert_eq!(code.word().parse::<Code>(), Ok(*code));
    }
    assert_eq!(
        "force"
            .parse::<Code>()
            .unwrap_err()
            .to_string()
            .split(';')
            .next(),
        Some("there is no finding 'force'")
    );
}
