//! IOMMU groups: who is in one, why, and who keeps it from being given away.

use crate::build::Machine;
use pci_host::{Code, IommuGroup};

// Types of ports (PCI Express Base 6.0 section 7.5.3.2).
const ENDPOINT: u8 = 0;
const ROOT_PORT: u8 = 4;
const BRIDGE_TO_PCI: u8 = 7;

/// The four services that keep what is behind a port apart: bits 0, 2, 3 and 4 (section 7.7.11.2).
const ISOLATING: u8 = 0b1_1101;

/// A card with two functions behind a root port, all in group 9; its second function is bound to a driver of the kernel's.
fn card(port: u8) -> (Machine, [String; 3]) {
    let machine = Machine::new();
    let bridge = machine.function("pci0000:00/0000:00:1c.0", "8086:7ab8", 0x06_0400);
    machine.express(&bridge, port);
    let functions = ["0000:03:00.0", "0000:03:00.1"].map(|address| {
        let place = format!("pci0000:00/0000:00:1c.0/{address}");
        let function = machine.function(&place, "10de:2204", 0x03_0000);
        machine.express(&function, ENDPOINT);
        function
    });
    let [first, second] = functions;
    machine.group(9, &[&bridge, &first, &second]);
    machine.bind(&bridge, "pcieport");
    machine.bind(&second, "snd_hda_intel");
    (machine, [bridge, first, second])
}

fn group(machine: &Machine) -> IommuGroup {
    let groups = machine.host.iommu_groups().unwrap();
    groups.into_iter().find(|group| group.number == 9).unwrap()
}

fn because(machine: &Machine) -> Vec<String> {
    let culprits = machine.host.culprits(&group(machine));
    culprits.iter().map(ToString::to_string).collect()
}

#[test]
fn only_what_a_driver_of_the_kernels_has_keeps_a_group_from_being_given_away() {
    let (machine, _) = card(ROOT_PORT);
    let group = group(&machine);
    assert_eq!(group.members.len(), 3);
    let blockers: Vec<_> = group.blockers().map(|f| f.address.to_string()).collect();
    assert_eq!(blockers, ["0000:03:00.1"], "bridges do not count");

    let first = machine
        .host
        .function("0000:03:00.0".parse().unwrap())
        .unwrap();
    let findings = machine.host.group_users(&first).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].code, Code::Group);
    assert_eq!(findings[0].allow(), "group:0000:03:00.1");
    let second = machine
        .host
        .function("0000:03:00.1".parse().unwrap())
        .unwrap();
    assert_eq!(
        machine.host.group_users(&second).unwrap(),
        [],
        "itself is no other"
    );
}

#[test]
fn a_port_and_functions_without_acs_are_named() {
    let (machine, [bridge, first, second]) = card(ROOT_PORT);
    for function in [&bridge, &first, &second] {
        machine.extended(function, &[]);
    }
    let no =
        |address: &str| format!("{address} has no ACS, which would keep devices from each other");
    assert_eq!(
        because(&machine),
        ["0000:00:1c.0", "0000:03:00.0", "0000:03:00.1"].map(no)
    );
}

#[test]
fn services_that_are_there_and_off_are_named_and_those_that_are_on_are_not() {
    let (machine, [bridge, first, second]) = card(ROOT_PORT);
    machine.extended(
        &bridge,
        &[(0x0b, &[0; 8]), (0x0d, &[ISOLATING, 0, 0b101, 0])],
    );
    for function in [&first, &second] {
        // What cannot be switched is on.
        machine.extended(function, &[(0x0d, &[0, 0, 0, 0])]);
    }
    assert_eq!(
        because(&machine),
        ["0000:00:1c.0 has ACS, and of that is off: CmpltRedir, UpstreamFwd"]
    );
    machine.extended(&bridge, &[(0x0d, &[ISOLATING, 0, ISOLATING, 0])]);
    assert_eq!(because(&machine), Vec::<String>::new());
}

#[test]
fn a_bridge_to_conventional_pci_is_named() {
    let (machine, [_, first, second]) = card(BRIDGE_TO_PCI);
    for function in [&first, &second] {
        machine.extended(function, &[(0x0d, &[0, 0, 0, 0])]);
    }
    assert_eq!(
        because(&machine),
        ["0000:00:1c.0 leads to conventional PCI, where requests do not say who made them"]
    );
}

#[test]
fn an_ordinary_user_is_told_that_root_sees_more() {
    let (machine, functions) = card(ROOT_PORT);
    for function in functions {
        machine.file(&format!("{function}/config"), [0; 64]);
    }
    assert!(
        because(&machine)
            .iter()
            .all(|why| why.ends_with("only root can read that"))
    );
}

#[test]
fn a_group_of_one_is_nobodys_fault() {
    let machine = Machine::new();
    let nic = machine.function("pci0000:00/0000:00:03.0", "8086:10d3", 0x02_0000);
    machine.group(9, &[&nic]);
    assert_eq!(because(&machine), Vec::<String>::new());
    assert_eq!(group(&machine).blockers().count(), 0);
}
