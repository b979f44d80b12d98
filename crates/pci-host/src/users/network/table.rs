//! Addresses and routes, as the kernel has them.

use super::netlink::{self, MAIN_TABLE};
use crate::{Host, host::read as attribute};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// The addresses and routes of this network namespace.
pub(super) struct Networks {
    addresses: Vec<(String, IpAddr)>,
    /// By interface: where to.
    routes: Vec<(String, String)>,
    /// By the indexes of interfaces: their names.
    names: BTreeMap<u32, String>,
    /// By interface: what kind it is, if it is no hardware.
    kinds: BTreeMap<String, String>,
}

/// How many destinations are named.
const MOST_SHOWN: usize = 4;

// Flags of routes (include/uapi/linux/route.h, ipv6_route.h).
const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;
const RTF_ANYCAST: u32 = 0x10_0000;
const RTF_LOCAL: u32 = 0x8000_0000;

impl Networks {
    pub(super) fn read(host: &Host) -> Self {
        let file =
            |name: &str| fs::read_to_string(host.proc().join("net").join(name)).unwrap_or_default();
        let mut addresses: Vec<_> = file("if_inet6").lines().filter_map(address6).collect();
        let names = indexes(host);
        // No file has the addresses of IPv4 with their interfaces, nor its routes of other tables than the main one.
        let (mut asked, mut kinds) = (None, BTreeMap::new());
        if host.proc() == Path::new("/proc") {
            addresses.extend(addresses4());
            asked = netlink::routes();
            kinds = netlink::kinds();
        }
        let named = |(index, kind)| Some((names.get(&index)?.clone(), kind));
        let kinds = kinds.into_iter().filter_map(named).collect();
        let routes = match asked {
            Some(routes) => routes
                .iter()
                .filter_map(|route| Some((names.get(&route.interface)?.clone(), to(route)?)))
                .collect(),
            None => {
                let of_ipv4 = file("route");
                let of_ipv6 = file("ipv6_route");
                let of_ipv6 = of_ipv6.lines().filter_map(route6);
                of_ipv4.lines().filter_map(route4).chain(of_ipv6).collect()
            }
        };
        Self {
            addresses,
            routes,
            names,
            kinds,
        }
    }

    /// The kernel's word for what kind an interface is: `team`, `vlan`.
    pub(super) fn kind(&self, interface: &str) -> Option<&str> {
        self.kinds.get(interface).map(String::as_str)
    }

    /// The interface with this index.
    pub(super) fn name(&self, index: u32) -> Option<&str> {
        self.names.get(&index).map(String::as_str)
    }

    /// The addresses of an interface, but for those that every interface gives itself.
    pub(super) fn addresses(&self, interface: &str) -> impl Iterator<Item = IpAddr> + '_ {
        let of = self
            .addresses
            .iter()
            .filter(move |(name, _)| name == interface);
        let mut all: Vec<IpAddr> = of.map(|(_, address)| *address).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }

    /// Whether the default route goes through an interface.
    pub(super) fn has_default(&self, interface: &str) -> bool {
        let mut routes = self.routes.iter();
        routes.any(|(name, to)| name == interface && to == DEFAULT)
    }

    /// The routes through an interface, as the subject of a sentence.
    pub(super) fn routes(&self, interface: &str) -> Option<String> {
        let of_it = self.routes.iter().filter(|(name, _)| name == interface);
        let mut to: BTreeSet<&str> = of_it.map(|(_, to)| to.as_str()).collect();
        if to.remove(DEFAULT) {
            return Some("the default route goes".to_owned());
        }
        let shown: Vec<&str> = to.iter().take(MOST_SHOWN).copied().collect();
        let shown = shown.join(", ");
        match to.len() {
            0 => None,
            1 => Some(format!("the route to {shown} goes")),
            2..=MOST_SHOWN => Some(format!("the routes to {shown} go")),
            all => Some(format!(
                "the routes to {shown} and {} more go",
                all - MOST_SHOWN
            )),
        }
    }
}

const DEFAULT: &str = "default";

fn indexes(host: &Host) -> BTreeMap<u32, String> {
    let index = |name: &String| {
        let file = host.sys().join("class/net").join(name).join("ifindex");
        attribute(&file).ok()?.parse().ok()
    };
    let names = host.class("net").into_iter();
    names
        .filter_map(|name| Some((index(&name)?, name)))
        .collect()
}

/// Where a route leads, unless every interface has it.
fn to(route: &netlink::Route) -> Option<String> {
    let netlink::Route {
        to, prefix, table, ..
    } = route;
    let to = match (to, prefix) {
        (to, _) if is_own(*to) => return None,
        (_, 0) => DEFAULT.to_owned(),
        (to, prefix) => format!("{to}/{prefix}"),
    };
    Some(match *table {
        MAIN_TABLE => to,
        table => format!("{to} (table {table})"),
    })
}

/// Whether it leads to neighbours, by addresses that every interface gives itself.
fn is_own(to: IpAddr) -> bool {
    matches!(to, IpAddr::V6(to) if to.is_unicast_link_local() || to.is_multicast())
}

fn addresses4() -> Vec<(String, IpAddr)> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter_map(|interface| {
        let address = interface.address?.as_sockaddr_in()?.ip();
        Some((interface.interface_name, address.into()))
    })
    .collect()
}

/// Of a line `20010db8000000000000000000000001 02 40 00 80 eth0`: address, index, prefix, scope, flags, name.
fn address6(line: &str) -> Option<(String, IpAddr)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [address, _, _, _, _, name] = words.as_slice() else {
        return None;
    };
    let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
    (!address.is_unicast_link_local()).then(|| ((*name).to_owned(), address.into()))
}

/// Of a line of `/proc/net/route`: interface, destination, gateway, flags, ..., mask. Addresses are numbers as in memory.
fn route4(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, to, _, flags, _, _, _, mask, ..] = words.as_slice() else {
        return None;
    };
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let flags = number(flags)?;
    let counts = flags & RTF_UP != 0 && flags & RTF_REJECT == 0;
    let (to, mask) = (number(to)?, number(mask)?);
    let to = match (to, mask) {
        (0, 0) => DEFAULT.to_owned(),
        (to, mask) => format!("{}/{}", Ipv4Addr::from(to.to_ne_bytes()), mask.count_ones()),
    };
    counts.then(|| ((*name).to_owned(), to))
}

/// Of a line of `/proc/net/ipv6_route`: destination, its prefix, source, its prefix, next hop, metric, ..., flags, name.
fn route6(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [to, prefix, _, _, _, _, _, _, flags, name] = words.as_slice() else {
        return None;
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let to = Ipv6Addr::from(u128::from_str_radix(to, 16).ok()?);
    let prefix = u8::from_str_radix(prefix, 16).ok()?;
    let own = is_own(to.into());
    let counts = flags & RTF_UP != 0 && flags & (RTF_REJECT | RTF_ANYCAST | RTF_LOCAL) == 0;
    let text = match prefix {
        0 => DEFAULT.to_owned(),
        prefix => format!("{to}/{prefix}"),
    };
    (counts && !own && *name != "lo").then(|| ((*name).to_owned(), text))
}
