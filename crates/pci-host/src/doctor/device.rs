//! What it takes of a device.

use super::{Account, Check, machine};
use crate::{Host, IommuGroup, PciFunction};
use io_core::{Result, pci::PciAddress};

pub(super) fn checks(
    host: &Host,
    function: &PciFunction,
    user: Option<&Account>,
) -> Result<Vec<Check>> {
    let mut checks = group(host, function)?;
    checks.push(driver(host, function)?);
    checks.push(reset(function));
    checks.extend(power(host, function));
    if let (Some(user), Some(node)) = (user, host.node(function)) {
        checks.push(machine::node("node", &node, user));
    }
    Ok(checks)
}

fn group(host: &Host, function: &PciFunction) -> Result<Vec<Check>> {
    let address = function.address;
    let Some(number) = function.iommu_group else {
        return Ok(vec![match host.gives_groups_late() {
            true => Check::pass(
                "group",
                format!("{address} is in no IOMMU group, and may be once it is bound"),
            ),
            false => Check::fail(
                "group",
                format!("{address} is in no IOMMU group"),
                "switch the IOMMU on, or use uio_pci_generic, if you trust the device with all memory",
            ),
        }]);
    };
    let group = IommuGroup {
        number,
        members: host.iommu_group(number)?,
    };
    let others: Vec<PciAddress> = group
        .members
        .iter()
        .filter(|member| member.address != address && !member.is_bridge)
        .map(|member| member.address)
        .collect();
    if others.is_empty() {
        return Ok(vec![Check::pass(
            "group",
            format!("{address} is alone in IOMMU group {number}"),
        )]);
    }
    let blockers = host.group_users(function)?;
    let mut checks = Vec::new();
    for blocker in &blockers {
        checks.push(Check::fail(
            "group",
            blocker.sentence.clone(),
            blocker.hint.clone(),
        ));
    }
    if blockers.is_empty() {
        let shown: Vec<_> = others.iter().map(PciAddress::to_string).collect();
        let sentence = format!(
            "{address} shares IOMMU group {number}, and goes only together with {}",
            shown.join(", ")
        );
        checks.push(Check::warn(
            "group",
            sentence,
            "whoever is given one of them is given all",
        ));
    }
    for culprit in host.culprits(&group) {
        let mend = "another slot may be behind a port that has it; see outboard groups";
        checks.push(Check::warn("acs", culprit.to_string(), mend));
    }
    Ok(checks)
}

fn driver(host: &Host, function: &PciFunction) -> Result<Check> {
    let address = function.address;
    if function.is_bridge {
        let sentence = format!("{address} is a bridge, which VFIO does not drive");
        return Ok(Check::fail("driver", sentence, "take the device behind it"));
    }
    if function.has_vfio_driver() {
        let driver = function.driver.as_deref().unwrap_or_default();
        return Ok(Check::pass(
            "driver",
            format!("{address} is bound to {driver}"),
        ));
    }
    let bind = format!("sudo outboard bind {address}");
    let now = match &function.driver {
        None => "no driver".to_owned(),
        Some(driver) => driver.clone(),
    };
    let uses = host.users(function)?;
    Ok(match uses.as_slice() {
        [] => Check::warn(
            "driver",
            format!("{address} is bound to {now}, and not to vfio-pci yet"),
            bind,
        ),
        uses => {
            let sentence = format!(
                "{address} is bound to {now}, and in use in {} ways",
                uses.len()
            );
            Check::warn(
                "driver",
                sentence,
                format!("see which: sudo outboard users {address}; then {bind}"),
            )
        }
    })
}

fn reset(function: &PciFunction) -> Check {
    let address = function.address;
    match function.reset_methods.join(", ") {
        methods if methods.is_empty() => Check::warn(
            "reset",
            format!(
                "the kernel cannot reset {address}: each program finds it as the one before has left it"
            ),
            "let the driver bring it into a state that it knows",
        ),
        methods => Check::pass(
            "reset",
            format!("the kernel can reset {address} ({methods})"),
        ),
    }
}

fn power(host: &Host, function: &PciFunction) -> Option<Check> {
    let address = function.address;
    let state = host.attribute(address, "power_state")?;
    Some(match state.as_str() {
        "error" => Check::fail(
            "power",
            format!("{address} does not come out of its power state"),
            format!(
                "sudo dmesg | grep {address} may say why; a cold start of the machine may help"
            ),
        ),
        state => Check::pass("power", format!("{address} is in {state}")),
    })
}
