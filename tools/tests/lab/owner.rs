//! Whose the nodes of a device are after a bind.

use super::{
    IVSHMEM, USER,
    access::{node, owner},
    binding::{HELD_BY_KERNEL, MEMBER, SECOND, machine},
    fails, json, ok,
};
use pci_host::Host;
use std::{fs::File, os::unix::process::CommandExt, path::PathBuf, process::Command};

/// Whether an ordinary user opens a node.
fn user_opens(node: &str) -> bool {
    let mut sh = Command::new("sh");
    sh.args(["-c", &format!("exec 3<>{node}")])
        .uid(USER)
        .gid(USER);
    sh.status().unwrap().success()
}

#[test]
#[ignore = "needs the lab"]
fn a_node_is_given_to_a_user_and_goes_with_the_driver() {
    let before = machine();
    let said = ok(&["bind", IVSHMEM, "--owner", "1000", "--dry-run"]);
    assert!(said.ends_with("chown 1000 its nodes in /dev\n"), "{said}");
    assert_eq!(machine(), before);
    fails(3, &["bind", IVSHMEM, "--owner", "nobody-of-that-name"]);
    fails(2, &["bind", IVSHMEM, "--owner", "a:b:c"]);
    assert_eq!(machine(), before);

    let bound = json(&["bind", IVSHMEM, "--owner", "1000"]);
    let path = bound["data"]["devices"][0]["node"].as_str().unwrap();
    assert_eq!(owner(&PathBuf::from(path)), (1000, 0, 0o600));
    assert!(user_opens(path));
    ok(&["release", IVSHMEM]);
    assert!(!PathBuf::from(path).exists());
    assert_eq!(machine(), before);

    ok(&["bind", IVSHMEM, "--owner", ":1000"]);
    assert_eq!(owner(&node()), (0, 1000, 0o660));
    assert!(user_opens(path));
    ok(&["undo", "--last"]);
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs the lab"]
fn a_node_that_another_member_of_the_group_keeps_is_given_back() {
    let before = machine();
    ok(&["bind", MEMBER, SECOND, "--with", HELD_BY_KERNEL]);
    let bound = machine();
    let host = Host::system();
    let function = host.function(MEMBER.parse().unwrap()).unwrap();
    let node = host.vfio_group(function.iommu_group.unwrap());
    let was = owner(&node);

    let given = json(&["bind", MEMBER, "--owner", "1000:1000"]);
    assert_eq!(given["data"]["changed"], true);
    assert_eq!(owner(&node), (1000, 1000, 0o660));
    let again = json(&["bind", MEMBER, "--owner", "1000:1000"]);
    assert_eq!(again["data"]["changed"], false);
    ok(&["undo", "--last"]);
    assert_eq!(owner(&node), was);
    assert_eq!(machine(), bound);

    ok(&["bind", MEMBER, "--owner", "1000"]);
    ok(&["release", MEMBER]);
    assert_eq!(owner(&node), was);
    ok(&["release", SECOND, HELD_BY_KERNEL]);
    assert!(File::open(&node).is_err());
    assert_eq!(machine(), before);
}

mod udev {
    use super::*;
    use crate::access::settle;

    #[test]
    #[ignore = "needs the lab"]
    fn a_node_is_whom_udev_makes_it_when_a_bind_returns() {
        ok(&["access", "grant", IVSHMEM, "alice"]);
        for _ in 0..10 {
            ok(&["bind", IVSHMEM]);
            assert_eq!(owner(&node()), (1000, 0, 0o600));
            ok(&["release", IVSHMEM]);
        }
        // Who is named comes after udev's rule.
        ok(&["bind", IVSHMEM, "--owner", "bob"]);
        settle();
        assert_eq!(owner(&node()), (1001, 0, 0o600));
        ok(&["release", IVSHMEM]);
        ok(&["access", "revoke", IVSHMEM, "alice"]);
    }
}
