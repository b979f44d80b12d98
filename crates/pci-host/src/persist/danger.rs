//! What the machine would miss at its next start.

use super::list;
use crate::{
    Code, Finding, Host, PciFunction,
    users::{Reach, boot_display, ways},
};
use io_core::{Result, pci::PciAddress};

impl Host {
    /// Why the machine may not start, or not be reached, without this function: its disks in use, its screen, its group, the
    /// SSH connection of this session, and the network, if there is no other way to it. `gone` are those that it will be
    /// without as well.
    ///
    /// The only network is the function whose interface (or what stands on it) has a default route, where no interface of
    /// another function has one. Where there is no default route at all, it is the one with an address.
    ///
    /// # Errors
    ///
    /// The machine does not show what it has to.
    pub fn needed_at_start(
        &self,
        function: &PciFunction,
        gone: &[PciAddress],
    ) -> Result<Vec<Finding>> {
        let mut found = self.users(function)?;
        found.extend(self.group_users(function)?);
        found.extend(only_network(self, function, gone));
        found.extend(boot_display(self, function));
        found.retain(|finding| matters(finding, gone));
        for finding in &mut found {
            if let Some(hint) = hint(finding.code) {
                finding.hint = hint.to_owned();
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// Whether it is something that a start needs, and not only what goes on now.
fn matters(finding: &Finding, gone: &[PciAddress]) -> bool {
    let goes_too = |subject: &String| gone.iter().any(|address| address.to_string() == *subject);
    match finding.code {
        Code::Mounted | Code::Swap | Code::Holder | Code::Display | Code::Ssh | Code::Network => {
            true
        }
        Code::Group => !finding.subject.as_ref().is_some_and(goes_too),
        _ => false,
    }
}

/// What to do about it, where that is another thing than for a bind.
fn hint(code: Code) -> Option<&'static str> {
    match code {
        Code::Mounted | Code::Swap | Code::Holder => Some(
            "at the next start it would not be there: see to it that nothing needs it (/etc/fstab), and unmount it first",
        ),
        Code::Ssh | Code::Network => Some(
            "give another interface a route, or be at the console: outboard.persist=off on the kernel's command line takes it back",
        ),
        _ => None,
    }
}

fn only_network(host: &Host, function: &PciFunction, gone: &[PciAddress]) -> Option<Finding> {
    let ways = ways(host);
    let is_this = |address: Option<PciAddress>| address == Some(function.address);
    let reach = ways.iter().filter(|way| is_this(way.0)).map(|way| way.1);
    let reach = reach.max().filter(|reach| *reach > Reach::Nowhere)?;
    let leaves = |way: &&(Option<PciAddress>, Reach)| {
        !is_this(way.0) && !way.0.is_some_and(|address| gone.contains(&address))
    };
    let others = ways.iter().filter(leaves).map(|way| way.1);
    if others.max().is_some_and(|other| other >= reach) {
        return None;
    }
    let what = match reach {
        Reach::Anywhere => "the only default route",
        _ => "the only network with an address",
    };
    let mut company: Vec<_> = gone.to_vec();
    company.retain(|address| {
        ways.iter()
            .any(|way| way.0 == Some(*address) && way.1 >= reach)
    });
    company.retain(|address| *address != function.address);
    company.insert(0, function.address);
    Some(Finding::new(
        Code::Network,
        format!("{what} of this machine is that of {}", list(company)),
        "",
    ))
}
