//! Network interfaces in use.

use super::{Running, free, in_use, until};
use crate::{
    NIC,
    users::{Done, found, interface, shell},
};
use std::{fs, process::Command};

/// The NIC's interface, and no router that tells it addresses and routes as long as the second lives.
fn quiet() -> (String, Done) {
    let file = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
    let write = |value| format!("[ ! -e {file} ] || echo {value} > {file}");
    (interface(), Done::new(&write(1), &write(0)))
}

/// An interface that is up.
fn up(name: &str) -> Done {
    let down = format!("ip address flush dev {name}; ip link set {name} down");
    Done::new(&format!("ip link set {name} up"), &down)
}

#[test]
#[ignore = "needs the lab"]
fn the_interface_of_the_ssh_connection_of_this_session() {
    let (name, _quiet) = quiet();
    let up = up(&name);
    shell(&format!("ip address add 192.0.2.1/32 dev {name}"));
    let of = format!("{name} of {NIC}");
    let address = format!("address: {of} has the address 192.0.2.1");
    // As sshd starts a shell, and as sudo in it starts a command: without the variable.
    let said = |server: &str, sudo: &str| {
        let outboard = env!("CARGO_BIN_EXE_outboard");
        let script = format!("{sudo} {outboard} bind {NIC} --dry-run; true");
        let mut session = Command::new("sh");
        session.args(["-c", &script]);
        session.env("SSH_CONNECTION", format!("192.0.2.7 50022 {server} 22"));
        let output = session.output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let expected = format!("the SSH connection of this session comes in at 192.0.2.1, on {name}");
    for sudo in ["", "env -u SSH_CONNECTION", "setsid env -i"] {
        let said = said("192.0.2.1", sudo);
        assert!(said.contains(&expected), "{sudo}: {said}");
        assert!(said.contains("allow: --allow ssh"), "{said}");
    }
    assert!(!said("192.0.2.2", "").contains("SSH"), "another's");
    in_use(NIC, &[address]);
    drop(up);
    free(NIC);
}

#[test]
#[ignore = "needs the lab"]
fn an_interface_in_another_network_namespace() {
    let (name, _quiet) = quiet();
    let other = Running::new("unshare", &["-n", "sleep", "600"]);
    // It has a namespace of its own before long.
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    let process = other.id().to_string();
    until("a namespace", || namespace(&process) != namespace("self"));
    shell(&format!("ip link set {name} netns {process}"));
    let expected =
        format!("namespace: the network interface of {NIC} is in another network namespace");
    in_use(NIC, &[expected]);
    drop(other);
    until("the interface back", || found(NIC).is_empty());
    free(NIC);
}

#[test]
#[ignore = "needs the lab"]
fn an_interface_that_a_program_sends_frames_on() {
    let (name, _quiet) = quiet();
    let up = up(&name);
    // It asks who has the address, again and again.
    let arping = Running::new("arping", &["-q", "-D", "-I", &name, "192.0.2.77"]);
    let process = arping.id();
    until("a packet socket", || !found(NIC).is_empty());
    let expected =
        format!("packet: arping (process {process}) has a packet socket on {name} of {NIC}");
    in_use(NIC, &[expected]);
    drop(arping);
    drop(up);
    free(NIC);
}

/// With modules of the distribution's kernel.
mod stock {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn a_port_of_a_bridge() {
        let (name, _quiet) = quiet();
        let bridge = Done::new(
            &format!("brctl addbr br7 && brctl addif br7 {name}"),
            &format!("brctl delif br7 {name}; brctl delbr br7"),
        );
        let port = format!("bridge: {name} of {NIC} is a port of the bridge br7");
        in_use(NIC, &[port]);
        drop(bridge);
        free(NIC);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_port_of_a_team() {
        let (name, _quiet) = quiet();
        let team = Done::new(
            &format!("ip link add team7 type team && ip link set {name} master team7"),
            &format!("ip link set {name} nomaster; ip link delete team7"),
        );
        let port = format!("bond: {name} of {NIC} is a port of the team team7");
        in_use(NIC, &[port]);
        drop(team);
        free(NIC);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_port_of_a_bond_below_a_vlan_below_a_bridge_with_an_address() {
        let (name, _quiet) = quiet();
        let all = Done::new(
            &format!(
                "echo +bond7 > /sys/class/net/bonding_masters && \
                 echo +{name} > /sys/class/net/bond7/bonding/slaves && ip link set bond7 up && \
                 vconfig add bond7 9 && brctl addbr br7 && brctl addif br7 bond7.9 && \
                 ip address add 192.0.2.9/32 dev br7"
            ),
            &format!(
                "brctl delif br7 bond7.9; brctl delbr br7; vconfig rem bond7.9; \
                 echo -{name} > /sys/class/net/bond7/bonding/slaves; \
                 echo -bond7 > /sys/class/net/bonding_masters; ip link set {name} down"
            ),
        );
        let expected = [
            format!(
                "address: br7 (on bond7.9, on bond7, on {name}) of {NIC} has the address 192.0.2.9"
            ),
            format!("bond: {name} of {NIC} is a port of the bond bond7"),
            format!("bridge: bond7.9 of {NIC} is a port of the bridge br7"),
            format!("vlan: the vlan bond7.9 is on bond7 of {NIC}"),
        ];
        in_use(NIC, &expected);
        drop(all);
        free(NIC);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn an_interface_below_another_one() {
        let (name, _quiet) = quiet();
        let secured = Done::new(
            &format!("ip link add link {name} name sec7 type macsec"),
            "ip link delete sec7",
        );
        let upper = format!("upper: the interface sec7 is on {name} of {NIC}");
        in_use(NIC, &[upper]);
        drop(secured);
        free(NIC);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_route_of_another_table() {
        let (name, _quiet) = quiet();
        let up = up(&name);
        shell(&format!(
            "ip route add 198.51.100.0/24 dev {name} table 100"
        ));
        let route =
            format!("route: the route to 198.51.100.0/24 (table 100) goes through {name} of {NIC}");
        in_use(NIC, &[route]);
        drop(up);
        free(NIC);
    }
}
