//! Addresses and routes, as the kernel has them.

use crate::Host;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// The addresses and routes of this network namespace.
pub(super) struct Networks {
    addresses: Vec<(String, IpAddr)>,
    /// By interface: where to.
    routes: Vec<(String, String)>,
}

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
        // No file has the addresses of IPv4 with their interfaces.
        if host.proc() == Path::new("/proc") {
            addresses.extend(addresses4());
        }
        let mut routes: Vec<_> = file("route").lines().filter_map(route4).collect();
        routes.extend(file("ipv6_route").lines().filter_map(route6));
        Self { addresses, routes }
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
        let mut to: Vec<&str> = Vec::new();
        for (name, destination) in &self.routes {
            if name == interface && !to.contains(&destination.as_str()) {
                to.push(destination);
            }
        }
        match to.as_slice() {
            [] => None,
            to if to.contains(&DEFAULT) => Some("the default route goes".to_owned()),
            [one] => Some(format!("the route to {one} goes")),
            to => Some(format!("the routes to {} go", to.join(", "))),
        }
    }
}

const DEFAULT: &str = "default";

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
    let own = to.is_unicast_link_local() || to.is_multicast();
    let counts = flags & RTF_UP != 0 && flags & (RTF_REJECT | RTF_ANYCAST | RTF_LOCAL) == 0;
    let text = match prefix {
        0 => DEFAULT.to_owned(),
        prefix => format!("{to}/{prefix}"),
    };
    (counts && !own && *name != "lo").then(|| ((*name).to_owned(), text))
}
