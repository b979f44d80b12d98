//! Who uses a device. Each finding with the real thing is in `in_use.rs`.

use super::{Bound, IVSHMEM, NIC, json, ok};
use std::{
    env,
    fs::{self, File},
    process::Command,
};

const DRIVE: &str = "0000:04:00.0";

/// What is found, as `code: sentence`.
pub fn found(device: &str) -> Vec<String> {
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
pub fn shell(line: &str) {
    assert!(
        env::var_os("OUTBOARD_LAB").is_some(),
        "these tests are run by `cargo xtask test`"
    );
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// What is done to the machine while this lives: a command, and the one that undoes it.
pub struct Done(String);

impl Done {
    pub fn new(line: &str, undo: &str) -> Self {
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
pub fn interface() -> String {
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
