//! `outboard undo`.

use crate::{
    bind::{driver_name, dry_run},
    cli::UndoArgs,
    failure::{Exit, Failure},
    report::Report,
};
use io_core::{Error, ErrorKind};
use pci_host::{Entry, Execution, Host};
use serde_json::json;

const SCHEMA: &str = "outboard.undo/1";

/// Puts a device back to how it was before an entry of the journal.
pub fn run(args: &UndoArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let journal = host.journal()?;
    let entry = match args.id {
        Some(id) => journal.entry(id)?,
        None => journal.entries.last().ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                "the journal is empty: there is nothing to take back",
            )
        })?,
    };
    if let Some(why) = moot(&host, entry)? {
        if !args.dry_run {
            host.forget(entry)?;
        }
        return Ok(Report {
            schema: SCHEMA,
            data: data(entry, false, entry.before.driver.as_deref()),
            text: format!("entry {}: nothing is left to take back: {why}\n", entry.id),
        });
    }
    let function = host.function_of(entry)?;
    let plan = host.plan_undo(&function, entry)?;
    if args.dry_run {
        return Ok(dry_run(SCHEMA, &plan));
    }
    let after = Execution::new(&host)
        .timeout(args.timeout)
        .run(&plan)?
        .function;
    let now = driver_name(after.driver.as_deref());
    Ok(Report {
        schema: SCHEMA,
        data: data(entry, !plan.steps().is_empty(), after.driver.as_deref()),
        text: format!("{} is as it was before, with {now}\n", after.address),
    })
}

/// Why nothing can be left of what an entry says, if so.
fn moot(host: &Host, entry: &Entry) -> Result<Option<String>, Error> {
    if host.is_of_another_boot(entry)? {
        return Ok(Some("the machine was restarted since".to_owned()));
    }
    match host.function_of(entry) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(error.to_string())),
        _ => Ok(None),
    }
}

fn data(entry: &Entry, changed: bool, driver: Option<&str>) -> serde_json::Value {
    json!({
        "address": entry.address.to_string(),
        "changed": changed,
        "driver": driver,
        "entry": entry.id,
    })
}
