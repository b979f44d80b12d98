//! `outboard release`.

use crate::{
    bind::{driver_name, dry_run},
    cli::ReleaseArgs,
    failure::Failure,
    report::Report,
};
use pci_host::{Execution, Host};
use serde_json::json;

/// Gives a device back to the driver that it had, or to another one of the kernel's own.
pub fn run(args: &ReleaseArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let function = args.device.find(&host)?;
    let plan = match &args.to {
        Some(driver) => host.plan_release_to(&function, driver)?,
        None => host.plan_release(&function)?,
    };
    if args.dry_run {
        return Ok(dry_run("outboard.release/1", &plan));
    }
    let after = Execution::new(&host)
        .timeout(args.timeout)
        .run(&plan)?
        .function;
    let address = after.address;
    let changed =
        after.driver != function.driver || after.driver_override != function.driver_override;
    let now = driver_name(after.driver.as_deref());
    let text = if changed {
        let before = driver_name(function.driver.as_deref());
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
