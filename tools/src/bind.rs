//! `outboard bind` and `outboard release`.

use crate::{
    cli::{BindArgs, ReleaseArgs},
    failure::Failure,
    report::Report,
};
use pci_host::{Host, Plan};
use serde_json::json;
use std::{path::Path, time::Duration};

/// Binds a device to a driver.
pub fn bind(args: &BindArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let function = args.device.find(&host)?;
    let plan = host.plan_bind(&function, &args.driver)?;
    if args.dry_run {
        return Ok(dry_run("outboard.bind/1", &plan));
    }
    let (after, node) = host.execute(&plan, args.timeout)?;
    let (address, driver) = (after.address, &args.driver);
    let changed = !plan.steps().is_empty();
    let mut text = if changed {
        format!(
            "{address} is bound to {driver} now; it had {}",
            had(function.driver.as_deref())
        )
    } else {
        format!("{address} is bound to {driver} already")
    };
    if let Some(node) = &node {
        text.push_str(&format!("\nprograms reach it through {}", node.display()));
    }
    Ok(Report {
        schema: "outboard.bind/1",
        data: json!({
            "address": address.to_string(),
            "changed": changed,
            "driver": after.driver,
            "former_driver": function.driver,
            "node": node.as_deref().map(Path::to_string_lossy),
        }),
        text: text + "\n",
    })
}

/// Gives a device back to the kernel's choice of driver.
pub fn release(args: &ReleaseArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let function = args.device.find(&host)?;
    let plan = host.plan_release(&function);
    if args.dry_run {
        return Ok(dry_run("outboard.release/1", &plan));
    }
    let (after, _) = host.execute(&plan, Duration::ZERO)?;
    let address = after.address;
    let changed =
        after.driver != function.driver || after.driver_override != function.driver_override;
    let now = had(after.driver.as_deref());
    let text = if changed {
        let before = had(function.driver.as_deref());
        format!("{address} is released; it had {before}, and now has {now}\n")
    } else {
        format!("{address} needs no release; it has {now}\n")
    };
    Ok(Report {
        schema: "outboard.release/1",
        data: json!({
            "address": address.to_string(),
            "changed": changed,
            "driver": after.driver,
            "former_driver": function.driver,
        }),
        text,
    })
}

fn had(driver: Option<&str>) -> String {
    driver.map_or("no driver".to_owned(), |driver| {
        format!("the driver {driver}")
    })
}

/// The writes that a plan would make, as shell commands.
fn dry_run(schema: &'static str, plan: &Plan) -> Report {
    let steps: Vec<_> = plan.steps().iter().map(ToString::to_string).collect();
    let writes = plan
        .steps()
        .iter()
        .map(|step| json!({ "path": step.path.to_string_lossy(), "value": step.value }));
    Report {
        schema,
        data: json!({
            "address": plan.before().address.to_string(),
            "dry_run": true,
            "writes": writes.collect::<Vec<_>>(),
        }),
        text: match steps.as_slice() {
            [] => format!("{}: nothing has to be done\n", plan.before().address),
            steps => steps.join("\n") + "\n",
        },
    }
}
