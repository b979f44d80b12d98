//! `outboard access`: who may open a device besides root.

use crate::{
    cli::{AccessCommand, DeviceArgs, GrantArgs, RevokeArgs},
    failure::{Exit, Failure},
    files,
    report::Report,
};
use io_core::pci::PciAddress;
use pci_host::{FileChange, Grant, Grantee, Host, PciFunction, Selector};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Command};

const SCHEMA: &str = "outboard.access/1";

/// Gives a device away, takes it back, or shows whose they are.
pub fn run(command: &AccessCommand) -> Result<Report, Failure> {
    let host = Host::system();
    match command {
        AccessCommand::Grant(args) => grant(&host, args),
        AccessCommand::Revoke(args) => revoke(&host, args),
        AccessCommand::Show { device } => show(&host, device.as_ref()),
    }
}

fn grant(host: &Host, args: &GrantArgs) -> Result<Report, Failure> {
    let function = args.device.find(host)?;
    let (address, to) = (function.address, &args.to);
    refuse_company(host, &function, &args.with)?;
    let kib = u64::try_from(args.memlock.div_ceil(1024)).unwrap_or(u64::MAX);
    let changes = host.plan_grant(&function, to, kib)?;
    if args.print {
        return Ok(files::print(SCHEMA, &changes));
    }
    host.change_files(&changes)?;
    let nodes = host.nodes_of(&function);
    udev(host, &nodes)?;
    if let Some(node) = nodes.iter().find(|node| !host.is_node_of(node, to)) {
        let message = format!(
            "the files are written, and udev has not given {} to {to}",
            node.display()
        );
        return Err(Failure::new(Exit::Other, message).with_hint(
            "are the rules of Outboard installed? cargo xtask install puts them in place (docs/udev.md); udevadm test shows \
             which rules there are",
        ));
    }
    let may = match nodes.as_slice() {
        [] => "it will be theirs when it is bound".to_owned(),
        nodes => format!("by {}", list(nodes)),
    };
    let mut text = match changes.as_slice() {
        [] => format!("{to} may open {address} already: {may}\n"),
        changes => format!("{to} may open {address}: {may}\n{}", files::lines(changes)),
    };
    text.push_str("the limit of locked memory holds from the next login on\n");
    Ok(Report {
        schema: SCHEMA,
        data: data(to, Some(address), &changes, &nodes),
        text,
    })
}

fn revoke(host: &Host, args: &RevokeArgs) -> Result<Report, Failure> {
    let to = &args.to;
    let (path, function) = args.device.place(host)?;
    let changes = host.plan_revoke(&path, to)?;
    if args.print {
        return Ok(files::print(SCHEMA, &changes));
    }
    host.change_files(&changes)?;
    let mut nodes = function
        .as_ref()
        .map(|f| host.nodes_of(f))
        .unwrap_or_default();
    nodes.retain(|node| !changes.is_empty() && host.is_node_of(node, to));
    host.take_back(&nodes)?;
    if !changes.is_empty() {
        udev(host, &nodes)?;
    }
    let text = match changes.as_slice() {
        [] => format!("path:{path} has not been given to {to}\n"),
        changes => format!(
            "{to} may not open path:{path} any more; who has it open keeps it until then\n{}",
            files::lines(changes)
        ),
    };
    Ok(Report {
        schema: SCHEMA,
        data: data(to, function.map(|f| f.address), &changes, &nodes),
        text,
    })
}

fn show(host: &Host, device: Option<&Selector>) -> Result<Report, Failure> {
    let mut grants = host.grants()?;
    if let Some(selector) = device {
        let args = DeviceArgs {
            device: selector.clone(),
            expect: None,
        };
        let (path, _) = args.place(host)?;
        grants.retain(|grant| grant.path == path);
    }
    let rows: Vec<(Grant, Option<PciFunction>)> = grants
        .into_iter()
        .map(|grant| {
            let function = host.select(&Selector::Path(grant.path.clone())).ok();
            let function = function.filter(|function| grant.ids.are_of(function));
            (grant, function)
        })
        .collect();
    let mut text = String::new();
    for (Grant { to, path, ids, .. }, function) in &rows {
        let state = match function {
            None => "no such device there".to_owned(),
            Some(function) => match host.nodes_of(function).as_slice() {
                [] => format!("{}, not bound", function.address),
                nodes => format!("{}, {}", function.address, list(nodes)),
            },
        };
        text.push_str(&format!("{to}  path:{path}  {ids}  {state}\n"));
    }
    if rows.is_empty() {
        text.push_str("no device has been given to anybody by outboard access\n");
    }
    let grants = rows.iter().map(|(Grant { to, path, ids, .. }, function)| {
        json!({
            "to": to.to_string(),
            "path": format!("path:{path}"),
            "ids": ids.to_string(),
            "address": function.as_ref().map(|f| f.address.to_string()),
            "nodes": function.as_ref().map(|f| files::texts(&host.nodes_of(f))),
        })
    });
    Ok(Report {
        schema: SCHEMA,
        data: json!({ "grants": grants.collect::<Vec<_>>() }),
        text,
    })
}

/// Refuses to give away the node of a group with functions that nobody has consented to.
fn refuse_company(host: &Host, function: &PciFunction, with: &[PciAddress]) -> Result<(), Failure> {
    let Some(group) = function.iommu_group else {
        return Ok(());
    };
    let mut others = host.iommu_group(group)?;
    others.retain(|f| f.address != function.address && !f.is_bridge && !with.contains(&f.address));
    if others.is_empty() {
        return Ok(());
    }
    let others: Vec<_> = others.iter().map(|f| f.address.to_string()).collect();
    let message = format!(
        "the node of IOMMU group {group} gives {} as well as {}",
        others.join(" and "),
        function.address
    );
    let hint = format!("if that is meant: --with {}", others.join(" --with "));
    Err(Failure::new(Exit::Refused, message).with_hint(hint))
}

/// Has systemd and udev read their files again, and udev apply its rules to nodes that are there.
fn udev(host: &Host, nodes: &[PathBuf]) -> Result<(), Failure> {
    let run = |command: &mut Command| {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |why: String| {
            let message = format!("the files are as they should be, and {program} failed: {why}");
            Failure::new(Exit::Other, message)
                .with_hint("is it running? limits and owners of nodes are set when it starts")
        };
        let output = command.output().map_err(|e| failed(e.to_string()))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            )),
        }
    };
    if host.runs_systemd() {
        run(Command::new("systemctl").arg("daemon-reload"))?;
    }
    run(Command::new("udevadm").args(["control", "--reload"]))?;
    if nodes.is_empty() {
        return Ok(());
    }
    let mut trigger = Command::new("udevadm");
    run(trigger
        .args(["trigger", "--settle", "--action=change"])
        .args(nodes))
}

fn data(
    to: &Grantee,
    address: Option<PciAddress>,
    changes: &[FileChange],
    nodes: &[PathBuf],
) -> Value {
    let paths: Vec<_> = changes.iter().map(|change| change.path.clone()).collect();
    json!({
        "to": to.to_string(),
        "address": address.map(|address| address.to_string()),
        "changed": !changes.is_empty(),
        "files": files::texts(&paths),
        "nodes": files::texts(nodes),
    })
}

fn list(nodes: &[PathBuf]) -> String {
    files::texts(nodes).join(" and ")
}
