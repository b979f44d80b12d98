//! IOMMU groups: what has to go to user space together.

use crate::{Code, Finding, Host, PciFunction};
use io_core::Result;

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

impl Host {
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
