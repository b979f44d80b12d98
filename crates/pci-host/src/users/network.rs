//! The network interfaces of a device, what stands on them, and what goes through.

mod netlink;
mod packet;
mod table;

use super::{Code, Finding};
use crate::{Host, PciFunction, host::names, host::read, select::device_of};
use io_core::pci::PciAddress;
use std::collections::BTreeSet;
use table::Networks;

/// An interface of the device, or one that stands on it.
struct Interface {
    name: String,
    /// Those below it, the device's own first.
    below: Vec<String>,
}

impl Interface {
    /// Its name and how it comes to the device: `bond0 (on eth1)`.
    fn shown(&self) -> String {
        match self.below.as_slice() {
            [] => self.name.clone(),
            below => {
                let below: Vec<_> = below.iter().rev().map(String::as_str).collect();
                format!("{} (on {})", self.name, below.join(", on "))
            }
        }
    }
}

/// What goes through the device.
pub(super) fn users(host: &Host, function: &PciFunction) -> Vec<Finding> {
    let class = host.sys().join("class/net");
    let own = host.class("net").into_iter();
    let own = own.filter(|name| device_of(&class.join(name)) == Some(function.address));
    let own: Vec<Interface> = own
        .map(|name| Interface {
            name,
            below: Vec::new(),
        })
        .collect();
    if own.is_empty() {
        return elsewhere(host, function).into_iter().collect();
    }
    let networks = Networks::read(host);
    let ssh = host.ssh_address();
    let sockets = packet::sockets(host);
    let mut found = Vec::new();
    for interface in climb(host, own) {
        let (name, shown) = (&interface.name, interface.shown());
        if let Some(lower) = interface.below.last() {
            found.push(stacked(host, &networks, name, lower, function));
        }
        if let Some(routes) = networks.routes(name) {
            let sentence = format!("{routes} through {shown} of {}", function.address);
            let hint = format!("let it lead elsewhere: ip route show table all dev {name}");
            found.push(Finding::new(Code::Route, sentence, hint));
        }
        for address in networks.addresses(name) {
            let sentence = format!("{shown} of {} has the address {address}", function.address);
            let hint = format!("take it away if nobody needs it: sudo ip address flush dev {name}");
            found.push(Finding::new(Code::Address, sentence, hint));
            if ssh == Some(address) {
                let sentence =
                    format!("the SSH connection of this session comes in at {address}, on {shown}");
                let hint = "come in by another interface, or the session ends here";
                found.push(Finding::new(Code::Ssh, sentence, hint));
            }
        }
        for socket in sockets
            .iter()
            .filter(|s| networks.name(s.interface) == Some(name))
        {
            found.push(socket.finding(&format!("{shown} of {}", function.address)));
        }
    }
    found
}

/// How far an interface, or what stands on it, leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// It has neither address nor default route.
    Nowhere,
    /// It has an address.
    Address,
    /// A default route goes through it.
    Anywhere,
}

/// The interfaces that devices have: the function, if it is a PCI device or on one, and how far it leads.
pub(crate) fn ways(host: &Host) -> Vec<(Option<PciAddress>, Reach)> {
    let class = host.sys().join("class/net");
    let networks = Networks::read(host);
    let reach = |name: &String| match name {
        name if networks.has_default(name) => Reach::Anywhere,
        name if networks.addresses(name).next().is_some() => Reach::Address,
        _ => Reach::Nowhere,
    };
    let of_devices = host.class("net").into_iter();
    let of_devices = of_devices.filter(|name| class.join(name).join("device").exists());
    let way = |name: String| {
        let device = device_of(&class.join(&name));
        let own = Interface {
            name,
            below: Vec::new(),
        };
        let above = climb(host, vec![own]);
        let furthest = above.iter().map(|one| reach(&one.name)).max();
        (device, furthest.unwrap_or(Reach::Nowhere))
    };
    of_devices.map(way).collect()
}

/// The interfaces, and all that stand on them, through the links that the kernel has from each to the next.
fn climb(host: &Host, own: Vec<Interface>) -> Vec<Interface> {
    let mut seen: BTreeSet<String> = own.iter().map(|interface| interface.name.clone()).collect();
    let mut found = Vec::new();
    let mut waiting = own;
    while let Some(interface) = waiting.pop() {
        let dir = host.sys().join("class/net").join(&interface.name);
        let links = names(&dir).unwrap_or_default().into_iter();
        let mut above: Vec<String> = links
            .filter_map(|link| link.strip_prefix("upper_").map(str::to_owned))
            .collect();
        above.extend(crate::host::link_name(&dir.join("master")).ok().flatten());
        for name in above {
            if seen.insert(name.clone()) {
                let below = [
                    interface.below.as_slice(),
                    std::slice::from_ref(&interface.name),
                ]
                .concat();
                waiting.push(Interface { name, below });
            }
        }
        found.push(interface);
    }
    found
}

/// That `upper` stands on `lower`.
fn stacked(
    host: &Host,
    networks: &Networks,
    upper: &str,
    lower: &str,
    function: &PciFunction,
) -> Finding {
    let dir = host.sys().join("class/net").join(upper);
    let event = read(&dir.join("uevent")).unwrap_or_default();
    let event = event.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    let of = format!("{lower} of {}", function.address);
    let port = format!("take it out: sudo ip link set {lower} nomaster");
    let remove = format!("remove {upper} if nobody needs it: sudo ip link delete {upper}");
    let (code, sentence, hint) = match networks.kind(upper).or(event) {
        Some(kind @ ("bond" | "team" | "bridge")) => {
            let code = if kind == "bridge" {
                Code::Bridge
            } else {
                Code::Bond
            };
            (code, format!("{of} is a port of the {kind} {upper}"), port)
        }
        Some("openvswitch") => {
            let sentence = format!("{of} is a port of the switch {upper}");
            let hint = "take it out: sudo ovs-vsctl del-port ".to_owned() + lower;
            (Code::Bridge, sentence, hint)
        }
        Some(kind @ ("vlan" | "macvlan" | "macvtap" | "ipvlan" | "ipvtap")) => {
            (Code::Vlan, format!("the {kind} {upper} is on {of}"), remove)
        }
        _ => (
            Code::Upper,
            format!("the interface {upper} is on {of}"),
            remove,
        ),
    };
    Finding::new(code, sentence, hint)
}

/// A folder for interfaces in which none can be seen: they are in another namespace.
fn elsewhere(host: &Host, function: &PciFunction) -> Option<Finding> {
    let address = function.address;
    let dir = host.function_dir(address);
    let virtio = names(&dir)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| name.starts_with("virtio"));
    let mut folders = virtio
        .map(|name| dir.join(name).join("net"))
        .chain([dir.join("net")]);
    folders
        .any(|folder| names(&folder).is_ok_and(|names| names.is_empty()))
        .then(|| {
            Finding::new(
                Code::Namespace,
                format!("the network interface of {address} is in another network namespace"),
                "whoever has that namespace uses it: sudo lsns -t net, ip netns",
            )
        })
}
