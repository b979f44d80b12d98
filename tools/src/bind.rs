//! `outboard bind`.

use crate::{cli::BindArgs, failure::Failure, report::Report};
use pci_host::{Execution, Host, Plan};
use serde_json::{Value, json};
use std::path::Path;

/// Binds a device to a driver.
pub fn run(args: &BindArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let function = args.device.find(&host)?;
    let plan = host.plan_bind(&function, &args.driver)?;
    if args.dry_run {
        return Ok(dry_run("outboard.bind/1", &plan));
    }
    let done = Execution::new(&host).timeout(args.timeout).run(&plan)?;
    let (address, driver) = (done.function.address, &args.driver);
    let changed = !plan.steps().is_empty();
    let mut text = if changed {
        let had = driver_name(function.driver.as_deref());
        format!("{address} is bound to {driver} now; it had {had}")
    } else {
        format!("{address} is bound to {driver} already")
    };
    if let Some(node) = &done.node {
        text.push_str(&format!("\nprograms reach it through {}", node.display()));
    }
    Ok(Report {
        schema: "outboard.bind/1",
        data: json!({
            "address": address.to_string(),
            "changed": changed,
            "driver": done.function.driver,
            "former_driver": function.driver,
            "node": done.node.as_deref().map(Path::to_string_lossy),
            "entry": done.entry,
        }),
        text: text + "\n",
    })
}

/// A driver for people, or that there is none.
pub fn driver_name(driver: Option<&str>) -> String {
    driver.map_or("no driver".to_owned(), |driver| {
        format!("the driver {driver}")
    })
}

/// What a plan would do, as shell commands.
pub fn dry_run(schema: &'static str, plan: &Plan) -> Report {
    let load = plan.module().map(|module| format!("modprobe {module}"));
    let steps = plan.steps().iter().map(ToString::to_string);
    let steps: Vec<_> = load.into_iter().chain(steps).collect();
    Report {
        schema,
        data: json!({
            "address": plan.before().address.to_string(),
            "dry_run": true,
            "module": plan.module(),
            "writes": writes(plan),
        }),
        text: match steps.as_slice() {
            [] => format!("{}: nothing has to be done\n", plan.before().address),
            steps => steps.join("\n") + "\n",
        },
    }
}

fn writes(plan: &Plan) -> Vec<Value> {
    let steps = plan.steps().iter();
    let write = steps.map(|s| json!({ "path": s.path.to_string_lossy(), "value": s.value }));
    write.collect()
}
