//! `outboard bind`.

use crate::{
    change::{self, Change, driver_name},
    cli::{BindArgs, ChangeArgs, HowArgs},
    consent::{self, Findings, Group},
    failure::{Exit, Failure},
    report::Report,
    select,
};
use pci_host::{Done, Host, PciFunction, Plan};

const SCHEMA: &str = "outboard.bind/1";

/// Binds devices to a driver.
pub fn run(args: &BindArgs) -> Result<Report, Failure> {
    let host = change::system().with_patience(args.change.timeout);
    let devices = args.devices.find(&host)?;
    let changes = plan(&host, devices, &args.how, &args.change)?;
    if args.dry_run {
        return change::dry_run(SCHEMA, &changes);
    }
    change::check(&changes)?;
    let results = change::execute(&host, &changes, args.change.timeout);
    change::report(SCHEMA, &changes, results, &|plan, done| {
        let changed = !plan.steps().is_empty() || !done.nodes.is_empty();
        (sentence(plan, done), changed)
    })
}

/// Plans to bind these devices, and the members of their groups that are to come along.
pub fn plan(
    host: &Host,
    mut devices: Vec<PciFunction>,
    how: &HowArgs,
    change: &ChangeArgs,
) -> Result<Vec<Change>, Failure> {
    for member in select::several(host, &how.with)? {
        check_member(&member, &devices)?;
        devices.push(member);
    }
    let mut seen = Vec::new();
    devices.retain(|f| {
        !seen.contains(&f.address) && {
            seen.push(f.address);
            true
        }
    });
    let mut plans = Vec::new();
    for function in &devices {
        let plan = host.plan_bind(function, &how.driver)?;
        plans.push(match &how.owner {
            Some(owner) => plan.give_to(host, owner)?,
            None => plan,
        });
    }
    let group = if how.driver.contains("vfio") {
        Group::Whole
    } else {
        Group::Any
    };
    let findings = consent::ask(host, &plans, &change.allow, group)?;
    let changes = plans.into_iter().zip(findings);
    Ok(changes
        .map(|(plan, findings): (Plan, Findings)| Change { plan, findings })
        .collect())
}

/// Refuses a device that comes along without a reason.
fn check_member(member: &PciFunction, devices: &[PciFunction]) -> Result<(), Failure> {
    let group = member.iommu_group;
    if group.is_some() && devices.iter().any(|device| device.iommu_group == group) {
        return Ok(());
    }
    let message = format!(
        "{} is in another IOMMU group than the device",
        member.address
    );
    let hint = "bind it by itself; `outboard groups` shows who is in which group";
    Err(Failure::new(Exit::Refused, message).with_hint(hint))
}

fn sentence(plan: &Plan, done: &Done) -> String {
    let address = done.function.address;
    let driver = done.function.driver.as_deref().unwrap_or_default();
    let mut text = if plan.steps().is_empty() {
        format!("{address} is bound to {driver} already\n")
    } else {
        let had = driver_name(plan.before().driver.as_deref());
        format!("{address} is bound to {driver} now; it had {had}\n")
    };
    if let Some(node) = &done.node {
        let whose = match plan.owner() {
            Some(owner) => format!("programs of {owner}"),
            None => "programs".to_owned(),
        };
        text += &format!("{whose} reach it through {}\n", node.display());
    }
    if !done.is_handled {
        text += "udev has not handled the node in time: who may open it may change yet\n";
    }
    text
}
