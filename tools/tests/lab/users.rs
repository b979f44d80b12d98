//! Who uses a device: each finding with the real thing.

use super::{Bound, IVSHMEM, NIC, json, ok, sysfs};
use std::{
    env,
    fs::{self, File},
    process::Command,
};

const DRIVE: &str = "0000:04:00.0";

/// What is found, as `code: sentence`.
fn found(device: &str) -> Vec<String> {
    let users = json(&["users", device]);
    let users = users.pointer("/data/users").unwrap().as_array().unwrap();
    let text = |user: &serde_json::Value, name: &str| {
        let text = user.get(name).unwrap().as_str().unwrap();
        text.to_owned()
    };
    let users = users.iter();
    users
        .map(|user| format!("{}: {}", text(user, "code"), text(user, "sentence")))
        .collect()
}

/// Runs a command of the guest's.
fn shell(line: &str) {
    assert!(
        env::var_os("OUTBOARD_LAB").is_some(),
        "these tests are run by `cargo xtask test`"
    );
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// What is done to the machine while this lives: a command, and the one that undoes it.
struct Done(String);

impl Done {
    fn new(line: &str, undo: &str) -> Self {
        shell(line);
        Self(undo.to_owned())
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        shell(&self.0);
    }
}

/// The network interface of the NIC.
fn interface() -> String {
    let mut all = fs::read_dir(format!("/sys/bus/pci/devices/{NIC}/net")).unwrap();
    all.next()
        .unwrap()
        .unwrap()
        .file_name()
        .into_string()
        .unwrap()
}

#[test]
#[ignore = "needs the lab"]
fn what_nobody_uses_has_no_findings() {
    for device in [IVSHMEM, NIC, DRIVE] {
        assert_eq!(found(device), Vec::<String>::new(), "{device}");
        assert!(ok(&["users", device]).starts_with("nothing is seen to use"));
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_mounted_file_system_is_found() {
    shell("mke2fs /dev/nvme0n1 && mkdir -p /tmp/mnt");
    let mounted = Done::new("mount -t ext4 /dev/nvme0n1 /tmp/mnt", "umount /tmp/mnt");
    assert_eq!(
        found(DRIVE),
        ["mounted: /tmp/mnt is mounted from nvme0n1 of 0000:04:00.0"]
    );
    drop(mounted);
    assert_eq!(found(DRIVE), Vec::<String>::new());
    assert_eq!(sysfs(DRIVE).0.as_deref(), Some("nvme"));
}

#[test]
#[ignore = "needs the lab"]
fn addresses_and_routes_are_found() {
    let name = interface();
    let of = format!("{name} of {NIC}");
    let _up = Done::new(
        &format!("ip addr add 192.0.2.1/24 dev {name} && ip link set {name} up"),
        &format!("ip addr flush dev {name}; ip link set {name} down"),
    );
    let expected = [
        format!("route: the route to 192.0.2.0/24 goes through {of}"),
        format!("address: {of} has the address 192.0.2.1"),
    ];
    assert_eq!(found(NIC), expected);
    shell("ip route add default via 192.0.2.2");
    assert_eq!(
        found(NIC)[0],
        format!("route: the default route goes through {of}")
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_node_that_a_process_has_open_is_found_with_the_process() {
    let _bound = Bound::new(IVSHMEM);
    assert_eq!(found(IVSHMEM), Vec::<String>::new());
    let mut cat = Command::new("sleep")
        .arg("60")
        .stdin(File::open("/dev/vfio/7").unwrap())
        .spawn()
        .unwrap();
    let process = cat.id();
    // The file of this test itself is closed again: what is left is the child's.
    let said = found(IVSHMEM);
    cat.kill().unwrap();
    cat.wait().unwrap();
    let [said] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(
        said.ends_with(&format!("(process {process}) has /dev/vfio/7 open")),
        "{said}"
    );
    assert_eq!(found(IVSHMEM), Vec::<String>::new());
}

/// What the distribution's kernel has, and the lab's own has not.
mod stock {
    use super::{DRIVE, Done, NIC, found, interface, shell};

    #[test]
    #[ignore = "needs the lab"]
    fn swap_is_found() {
        shell("mkswap /dev/nvme0n1");
        let _on = Done::new("swapon /dev/nvme0n1", "swapoff /dev/nvme0n1");
        assert_eq!(
            found(DRIVE),
            ["swap: the kernel swaps to nvme0n1 of 0000:04:00.0"]
        );
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_bond_and_a_vlan_on_it_are_climbed_to_their_address() {
        let name = interface();
        let _bond = Done::new(
            &format!(
                "ip link set {name} down && echo +bond7 > /sys/class/net/bonding_masters && \
                 echo +{name} > /sys/class/net/bond7/bonding/slaves && ip link set bond7 up && \
                 vconfig add bond7 9 && ip addr add 192.0.2.9/32 dev bond7.9"
            ),
            &format!(
                "vconfig rem bond7.9; echo -{name} > /sys/class/net/bond7/bonding/slaves; \
                 echo -bond7 > /sys/class/net/bonding_masters; ip link set {name} down"
            ),
        );
        let expected = [
            format!("address: bond7.9 (on bond7, on {name}) of {NIC} has the address 192.0.2.9"),
            format!("bond: {name} of {NIC} is a port of the bond bond7"),
            format!("vlan: the vlan bond7.9 is on bond7 of {NIC}"),
        ];
        assert_eq!(found(NIC), expected);
    }
}

/// With a NIC that has virtual functions.
mod qemu10 {
    use super::{Done, found};

    #[test]
    #[ignore = "needs the lab"]
    fn virtual_functions_are_found() {
        const IGB: &str = "0000:06:00.0";
        let file = format!("/sys/bus/pci/devices/{IGB}/sriov_numvfs");
        let _two = Done::new(&format!("echo 2 > {file}"), &format!("echo 0 > {file}"));
        let expected = format!("vfs: {IGB} has 2 virtual functions, which go away with its driver");
        assert!(found(IGB).contains(&expected), "{:?}", found(IGB));
    }
}
