//! What it takes of a device.

use super::{Account, Check, machine};
use crate::{Host, PciFunction};
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
    let Some(group) = host.group_of(function)? else {
        return Ok(vec![no_group(host, address)]);
    };
    let number = group.number;
    let members = group.members.iter().filter(|member| !member.is_bridge);
    let others = members.map(|member| member.address.to_string());
    let others: Vec<String> = others
        .filter(|other| *other != address.to_string())
        .collect();
    if others.is_empty() {
        let sentence = format!("{address} is alone in IOMMU group {number}");
        return Ok(vec![Check::pass("group", sentence)]);
    }
    let blockers = host.group_users(function)?.into_iter();
    let mut checks: Vec<Check> = blockers
        .map(|blocker| Check::fail("group", blocker.sentence, blocker.hint))
        .collect();
    if checks.is_empty() {
        let others = others.join(", ");
        let sentence =
            format!("{address} shares IOMMU group {number}, and goes only together with {others}");
        let mend = "whoever is given one of them is given all";
        checks.push(Check::warn("group", sentence, mend));
    }
    for culprit in host.culprits(&group) {
        let mend = "another slot may be behind a port that has it; see outboard groups";
        checks.push(Check::warn("acs", culprit.to_string(), mend));
    }
    Ok(checks)
}

fn no_group(host: &Host, address: PciAddress) -> Check {
    let sentence = format!("{address} is in no IOMMU group");
    if host.gives_groups_late() {
        return Check::pass("group", sentence + ", and may be once it is bound");
    }
    let mend =
        "switch the IOMMU on, or use uio_pci_generic, if you trust the device with all memory";
    Check::fail("group", sentence, mend)
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
