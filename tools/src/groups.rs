//! `outboard groups`.

use crate::{
    cli::GroupsArgs,
    failure::{Exit, Failure},
    names::Names,
    report::Report,
};
use pci_host::{Host, IommuGroup, PciFunction};
use serde_json::{Value, json};

/// Shows the IOMMU groups, or that of a device.
pub fn run(args: &GroupsArgs) -> Result<Report, Failure> {
    let host = args.look.host();
    let groups = match &args.device {
        None => host.iommu_groups()?,
        Some(selector) => {
            let function = host.select(selector)?;
            let group = host.group_of(&function)?;
            let missing = || none(&format!("{} is in no IOMMU group", function.address));
            vec![group.ok_or_else(missing)?]
        }
    };
    if groups.is_empty() {
        return Err(none("there are no IOMMU groups on this machine"));
    }
    let names = Names::of(groups.iter().flat_map(|group| &group.members));
    Ok(Report {
        schema: "outboard.groups/1",
        data: groups.iter().map(|group| data(&host, group)).collect(),
        text: groups
            .iter()
            .map(|group| text(&host, group, &names))
            .collect(),
    })
}

/// What is said of the group of a device in a page about that, if it is in one.
pub fn of(host: &Host, function: &PciFunction, names: &Names) -> Result<Option<String>, Failure> {
    let group = host.group_of(function)?;
    Ok(group.map(|group| text(host, &group, names)))
}

fn none(message: &str) -> Failure {
    Failure::new(Exit::Unsupported, message)
        .with_hint("is the IOMMU switched on? `outboard doctor` says what is missing")
}

/// The group as a tree: what is behind a bridge of the group stands below it.
fn text(host: &Host, group: &IommuGroup, names: &Names) -> String {
    let mut text = format!("group {}: {}\n", group.number, state(group));
    for culprit in host.culprits(group) {
        text += &format!("  because {culprit}\n");
    }
    for member in &group.members {
        let above = host.bridges_to(member.address);
        let depth = group
            .members
            .iter()
            .filter(|m| above.contains(&m.address))
            .count();
        let what = names.class(member).unwrap_or("device");
        let driver = member.driver.as_deref().unwrap_or("no driver");
        let PciFunction {
            address,
            vendor,
            device,
            ..
        } = member;
        let indent = "  ".repeat(depth + 1);
        text += &format!("{indent}{address} {vendor:04x}:{device:04x} {what}, {driver}\n");
    }
    text
}

/// Whether the group can be given to a program, and if not, why.
fn state(group: &IommuGroup) -> String {
    let blockers: Vec<_> = group
        .blockers()
        .map(|member| {
            let driver = member.driver.as_deref().unwrap_or_default();
            format!("{} is bound to {driver}", member.address)
        })
        .collect();
    match blockers.as_slice() {
        [] => "viable".to_owned(),
        blockers => format!("not viable now: {}", blockers.join(", ")),
    }
}

fn data(host: &Host, group: &IommuGroup) -> Value {
    let member = |member: &PciFunction| {
        json!({
            "address": member.address.to_string(),
            "driver": member.driver,
            "bridge": member.is_bridge,
            "viable": member.leaves_group_viable(),
        })
    };
    let culprit = |culprit: &pci_host::Culprit| json!({ "address": culprit.address.to_string(), "sentence": culprit.to_string() });
    json!({
        "group": group.number,
        "viable": group.blockers().next().is_none(),
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "because": host.culprits(group).iter().map(culprit).collect::<Vec<_>>(),
    })
}
