//! What no file has, the kernel is asked for, by rtnetlink(7): the routes of all tables, and what kind an interface is.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsRawFd,
};

/// A way through an interface. A route over several interfaces is several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The index of the interface.
    pub(super) interface: u32,
    pub(super) to: IpAddr,
    pub(super) prefix: u8,
    pub(super) table: u32,
}

/// The table of routes that a machine has without policy routing.
pub(super) const MAIN_TABLE: u32 = 254;

// include/uapi/linux/netlink.h and rtnetlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const RTN_UNICAST: u8 = 1;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The lengths of the header of a message, and of what one about an interface and one about a route begin with.
const HEADER: usize = 16;
const LINK: usize = 16;
const ROUTE: usize = 12;

/// More than the kernel puts into one answer.
const ANSWER: usize = 64 << 10;

/// The routes to other machines, of all tables of this network namespace; `None` if the kernel does not say.
pub(super) fn routes() -> Option<Vec<Route>> {
    let mut routes = Vec::new();
    let mut add = |message: &[u8]| routes.extend(ways(message).unwrap_or_default());
    ask(RTM_GETROUTE, RTM_NEWROUTE, AF_INET, &mut add)?;
    // A kernel may be without IPv6.
    ask(RTM_GETROUTE, RTM_NEWROUTE, AF_INET6, &mut add).unwrap_or_default();
    Some(routes)
}

/// The kinds of those interfaces of this network namespace that are no hardware, by their indexes: `team`, `vlan`.
pub(super) fn kinds() -> BTreeMap<u32, String> {
    let mut kinds = BTreeMap::new();
    let mut add = |message: &[u8]| kinds.extend(kind(message));
    ask(RTM_GETLINK, RTM_NEWLINK, 0, &mut add).unwrap_or_default();
    kinds
}

/// Asks for all there is, and hands on each message of the kind `answered`.
fn ask(question: u16, answered: u16, family: u8, each: &mut dyn FnMut(&[u8])) -> Option<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )
    .ok()?;
    let socket = socket.as_raw_fd();
    let (request, kernel) = (request(question, family), NetlinkAddr::new(0, 0));
    sendto(socket, &request, &kernel, MsgFlags::empty()).ok()?;
    let mut answer = vec![0; ANSWER];
    loop {
        let count = recv(socket, &mut answer, MsgFlags::empty()).ok()?;
        if read(answer.get(..count)?, answered, each)? {
            return Some(());
        }
    }
}

/// The question for all interfaces, or all routes of a family.
fn request(question: u16, family: u8) -> Vec<u8> {
    // What is about an interface is longer; the rest of it is not looked at.
    let length = u32::try_from(HEADER + LINK).unwrap_or_default();
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(question.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.resize(HEADER, 0);
    request.push(family);
    request.resize(HEADER + LINK, 0);
    request
}

/// Reads one answer, and says whether it is the last one; `None` if it is an error.
fn read(mut answer: &[u8], answered: u16, each: &mut dyn FnMut(&[u8])) -> Option<bool> {
    while !answer.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(part(answer, 0)?)).ok()?;
        let message = answer.get(HEADER..length)?;
        match u16::from_ne_bytes(part(answer, 4)?) {
            NLMSG_DONE => return Some(true),
            NLMSG_ERROR => return None,
            kind if kind == answered => each(message),
            _ => {}
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(false)
}

/// The kind of one interface, by its index, if it says one.
fn kind(message: &[u8]) -> Option<(u32, String)> {
    let index = u32::from_ne_bytes(part(message, 4)?);
    let find = |bytes, wanted| attributes(bytes).find(|(name, _)| *name == wanted);
    let (_, info) = find(message.get(LINK..)?, IFLA_LINKINFO)?;
    let (_, kind) = find(info, IFLA_INFO_KIND)?;
    let kind = kind.split(|byte| *byte == 0).next()?;
    Some((index, String::from_utf8_lossy(kind).into_owned()))
}

/// The ways of one route, if it leads to another machine.
fn ways(message: &[u8]) -> Option<Vec<Route>> {
    let [family, prefix, _, _, table, _, _, kind, ..] = *message else {
        return None;
    };
    let (mut to, mut table, mut interfaces) = (any(family)?, u32::from(table), Vec::new());
    for (name, value) in attributes(message.get(ROUTE..)?) {
        match name {
            RTA_DST => to = address(value)?,
            RTA_TABLE => table = u32::from_ne_bytes(part(value, 0)?),
            RTA_OIF => interfaces.push(u32::from_ne_bytes(part(value, 0)?)),
            RTA_MULTIPATH => interfaces.extend(hops(value)),
            _ => {}
        }
    }
    let way = |interface| Route {
        interface,
        to,
        prefix,
        table,
    };
    (kind == RTN_UNICAST).then(|| interfaces.into_iter().map(way).collect())
}

/// The interfaces of a route over several: each is the length of what is said of it, two bytes, and the index.
fn hops(mut value: &[u8]) -> Vec<u32> {
    let mut hops = Vec::new();
    while let (Some(length), Some(index)) = (part(value, 0), part(value, 4)) {
        hops.push(u32::from_ne_bytes(index));
        let length = usize::from(u16::from_ne_bytes(length)).max(8);
        value = value.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

/// Attributes: length, name, value.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(part(bytes, 0)?));
        let found = (u16::from_ne_bytes(part(bytes, 2)?), bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(found)
    })
}

fn any(family: u8) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::UNSPECIFIED.into()),
        AF_INET6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(part::<4>(value, 0)?.into()),
        16 => Some(part::<16>(value, 0)?.into()),
        _ => None,
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{RTM_NEWROUTE, kind, read, ways};

    /// What a kernel 6.1 answered in the lab, where `ip route show table all` said what the test below does (a moment
    /// before a router told interface 2 what it had told interface 3).
    const ROUTES: &[u8] = include_bytes!("../../../tests/captured/routes4.bin");
    const ROUTES6: &[u8] = include_bytes!("../../../tests/captured/routes6.bin");

    fn shown(answer: &[u8]) -> (Option<bool>, Vec<String>) {
        let mut routes = Vec::new();
        let mut add = |message: &[u8]| routes.extend(ways(message).unwrap_or_default());
        let done = read(answer, RTM_NEWROUTE, &mut add);
        let routes = routes.iter().map(|route| {
            format!(
                "{}/{} dev {} table {}",
                route.to, route.prefix, route.interface, route.table
            )
        });
        (done, routes.collect())
    }

    #[test]
    fn the_routes_of_all_tables_and_interfaces_are_read() {
        let (done, routes) = shown(ROUTES);
        assert_eq!(done, Some(true));
        let expected = [
            "203.0.113.0/24 dev 3 table 1000",
            "0.0.0.0/0 dev 2 table 254",
            "0.0.0.0/0 dev 3 table 254",
            "192.0.2.0/24 dev 2 table 254",
            "198.51.100.0/24 dev 3 table 254",
        ];
        assert_eq!(routes, expected);
        let (done, routes) = shown(ROUTES6);
        assert_eq!(done, Some(true));
        let expected = [
            "2001:db8:5::/48 dev 3 table 7",
            "2001:db8::/64 dev 2 table 254",
            "2001:db8:7::/48 dev 2 table 254",
            "2001:db8:7::/48 dev 2 table 254",
            "fe80::/64 dev 3 table 254",
            "fe80::/64 dev 2 table 254",
            "fec0::/64 dev 3 table 254",
            "fec0::/64 dev 2 table 254",
            "::/0 dev 3 table 254",
            "::/0 dev 2 table 254",
        ];
        assert_eq!(routes, expected);
    }

    #[test]
    fn answers_that_are_cut_off_are_no_panic() {
        for end in 0..ROUTES.len() {
            let _ = shown(&ROUTES[..end]);
            let _ = kind(&ROUTES[..end]);
        }
    }
}
