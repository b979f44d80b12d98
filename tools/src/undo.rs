//! `outboard undo`.

use crate::{
    change::{self, Change, driver_name},
    cli::UndoArgs,
    consent::{self, Group},
    failure::{Exit, Failure},
    report::Report,
};
use io_core::{Error, ErrorKind};
use pci_host::{Done, Entry, Host, Plan};
use serde_json::json;

const SCHEMA: &str = "outboard.undo/1";

/// Puts a device back to how it was before an entry of the journal.
pub fn run(args: &UndoArgs) -> Result<Report, Failure> {
    let host = change::system().with_patience(args.change.timeout);
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
            data: json!({ "changed": false, "entry": entry.id, "devices": [] }),
            text: format!("entry {}: nothing is left to take back: {why}\n", entry.id),
        });
    }
    let function = host.function_of(entry)?;
    let plan = host.plan_undo(&function, entry)?;
    let mut findings = consent::ask(
        &host,
        std::slice::from_ref(&plan),
        &args.change.allow,
        Group::Any,
    )?;
    let changes: Vec<_> = findings
        .pop()
        .map(|findings| Change { plan, findings })
        .into_iter()
        .collect();
    if args.dry_run {
        return change::dry_run(SCHEMA, &changes);
    }
    change::check(&changes)?;
    let results = change::execute(&host, &changes, args.change.timeout);
    change::report(SCHEMA, &changes, results, &sentence)
}

fn sentence(plan: &Plan, done: &Done) -> (String, bool) {
    let now = driver_name(done.function.driver.as_deref());
    let text = format!(
        "{} is as it was before, with {now}\n",
        done.function.address
    );
    (text, !plan.steps().is_empty() || !done.nodes.is_empty())
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
