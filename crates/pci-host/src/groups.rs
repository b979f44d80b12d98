//! IOMMU groups: what has to go to user space together, and why.

use crate::{Code, Finding, Host, PciFunction, host::names, path::addresses};
use io_core::{
    Result,
    pci::{
        Config, PciAddress,
        capability::{AcsControls, Body, CapabilityId, PortType},
    },
};

/// An IOMMU group: functions that the IOMMU cannot, or is not to, keep apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IommuGroup {
    /// Its number, which is another after the next start of the machine.
    pub number: u32,
    /// Its members, ordered by address.
    pub members: Vec<PciFunction>,
}

impl IommuGroup {
    /// The members because of which the group can be given to nobody now: a driver of the kernel's own has them.
    pub fn blockers(&self) -> impl Iterator<Item = &PciFunction> {
        self.members
            .iter()
            .filter(|member| !member.leaves_group_viable())
    }
}

impl PciFunction {
    /// Whether a group with this member can be given to a program: the kernel gives it none of which a driver of its own
    /// has a member.
    ///
    /// Bridges do not count, as their driver leaves memory to others; nor does what has no driver, or one of VFIO's, or
    /// pci-stub. uio_pci_generic counts.
    #[must_use]
    pub fn leaves_group_viable(&self) -> bool {
        let driver = self.driver.as_deref();
        self.is_bridge || driver.is_none_or(|driver| driver == "pci-stub") || self.has_vfio_driver()
    }
}

/// Why a member of a group has brought others into it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Culprit {
    /// Which member.
    pub address: PciAddress,
    /// What it lacks.
    pub lack: Lack,
}

/// What a port, or a function of several, lacks that would keep devices apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// It leads to conventional PCI, where requests do not say who made them.
    ConventionalPci,
    /// It has no access control services.
    NoAcs,
    /// It has them, and these are off.
    AcsOff(AcsControls),
    /// Only root can read whether it has them.
    Unknown,
}

impl std::fmt::Display for Culprit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.address;
        match self.lack {
            Lack::ConventionalPci => {
                write!(
                    f,
                    "{address} leads to conventional PCI, where requests do not say who made them"
                )
            }
            Lack::NoAcs => write!(
                f,
                "{address} has no ACS, which would keep devices from each other"
            ),
            Lack::AcsOff(off) => {
                let names = off.names().filter(|(_, is_off)| *is_off);
                let names: Vec<_> = names.map(|(name, _)| name).collect();
                write!(
                    f,
                    "{address} has ACS, and of that is off: {}",
                    names.join(", ")
                )
            }
            Lack::Unknown => write!(f, "{address} may lack ACS: only root can read that"),
        }
    }
}

impl Host {
    /// All IOMMU groups, by number. There are none without an IOMMU.
    ///
    /// # Errors
    ///
    /// The machine shows something of a member that makes no sense.
    pub fn iommu_groups(&self) -> Result<Vec<IommuGroup>> {
        let all = names(&self.sys().join("kernel/iommu_groups")).unwrap_or_default();
        let mut numbers: Vec<u32> = all.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        let group = |number| {
            Ok(IommuGroup {
                number,
                members: self.iommu_group(number)?,
            })
        };
        numbers.into_iter().map(group).collect()
    }

    /// Which of its members have made a group as large as it is. There are none in a group of one member.
    ///
    /// The kernel puts together what a port without access control services would let talk to each other past the IOMMU: all
    /// behind it, and the functions of a device that lack them (Documentation/driver-api/vfio.rst). Some ports lack them and
    /// keep devices apart all the same, which the kernel knows; those have not brought anything into their groups.
    #[must_use]
    pub fn culprits(&self, group: &IommuGroup) -> Vec<Culprit> {
        let members = &group.members;
        let culprit = |member: &PciFunction| {
            let others = members
                .iter()
                .filter(|other| other.address != member.address);
            let others: Vec<PciAddress> = others.map(|other| other.address).collect();
            let lack = self.lack(member, &others)?;
            Some(Culprit {
                address: member.address,
                lack,
            })
        };
        members.iter().filter_map(culprit).collect()
    }

    /// The functions on the way from the root of its bus to this one, the first one first.
    #[must_use]
    pub fn bridges_to(&self, address: PciAddress) -> Vec<PciAddress> {
        let link = std::fs::read_link(self.function_dir(address)).unwrap_or_default();
        addresses(&link)
            .filter(|on_the_way| *on_the_way != address)
            .collect()
    }

    /// What a member lacks that would keep it, or what is behind it, apart from the others.
    fn lack(&self, member: &PciFunction, others: &[PciAddress]) -> Option<Lack> {
        let slot = |a: PciAddress| (a.domain(), a.bus(), a.device());
        let among_functions = others
            .iter()
            .any(|other| slot(*other) == slot(member.address));
        let behind = |other: &PciAddress| self.bridges_to(*other).contains(&member.address);
        let has_others_behind = member.is_bridge && others.iter().any(behind);
        if !among_functions && !has_others_behind {
            return None;
        }
        let bytes = self.config_space(member.address).ok()?;
        if bytes.len() <= 64 {
            return Some(Lack::Unknown);
        }
        let config = Config::new(&bytes);
        let port = port_type(config);
        if has_others_behind && !port.is_some_and(is_port) {
            return Some(Lack::ConventionalPci);
        }
        // What comes up through an upstream port is kept apart by the ports below it, and by the one above.
        if port == Some(PortType::UPSTREAM_PORT) && !among_functions {
            return None;
        }
        let extended = config.extended_capabilities();
        match extended.find(CapabilityId::ACS).map(|acs| acs.body()) {
            Some(Ok(Body::Acs(acs))) => {
                // A service that cannot be switched is on.
                let off = ISOLATES & acs.capabilities.bits() & !acs.control.bits();
                (off != 0).then(|| Lack::AcsOff(AcsControls::from_bits(off)))
            }
            _ => Some(Lack::NoAcs),
        }
    }

    /// The other members of the device's IOMMU group that drivers of the kernel's own have: one [`Code::Group`] each, with
    /// its address as the subject. As long as there is one, VFIO gives the device to nobody.
    ///
    /// # Errors
    ///
    /// The machine does not show the group's members.
    pub fn group_users(&self, function: &PciFunction) -> Result<Vec<Finding>> {
        let Some(group) = function.iommu_group else {
            return Ok(Vec::new());
        };
        let members = self.iommu_group(group)?.into_iter();
        let others = members.filter(|m| m.address != function.address && !m.leaves_group_viable());
        let finding = |member: PciFunction| {
            let (address, driver) = (member.address, member.driver.unwrap_or_default());
            let sentence = format!(
                "{address} is in IOMMU group {group} too, and bound to {driver}: nobody is given a part of a group"
            );
            let hint = format!(
                "take it along, or away from its driver, if nothing needs it: outboard users {address}"
            );
            Finding::new(Code::Group, sentence, hint).about(address.to_string())
        };
        Ok(others.map(finding).collect())
    }
}

/// The services that the kernel asks of a port before it puts what is behind it into groups of its own.
const ISOLATES: u16 = AcsControls::SOURCE_VALIDATION.bits()
    | AcsControls::REQUEST_REDIRECT.bits()
    | AcsControls::COMPLETION_REDIRECT.bits()
    | AcsControls::UPSTREAM_FORWARDING.bits();

fn port_type(config: Config<'_>) -> Option<PortType> {
    let capabilities = config.capabilities();
    match capabilities.find(CapabilityId::PCI_EXPRESS)?.body() {
        Ok(Body::PciExpress(express)) => Some(express.port_type),
        _ => None,
    }
}

/// Whether a bridge is a port of PCI Express on both sides.
fn is_port(port: PortType) -> bool {
    [
        PortType::ROOT_PORT,
        PortType::UPSTREAM_PORT,
        PortType::DOWNSTREAM_PORT,
    ]
    .contains(&port)
}
