//! `outboard release`.

use crate::{
    change::{self, Change, driver_name},
    cli::ReleaseArgs,
    consent::{self, Group},
    failure::{Exit, Failure},
    report::Report,
};
use pci_host::{Done, Entry, Host, Plan, Selector};

const SCHEMA: &str = "outboard.release/1";

/// Gives devices back to the driver that they had, or to another one of the kernel's own.
pub fn run(args: &ReleaseArgs) -> Result<Report, Failure> {
    let host = change::system().with_patience(args.change.timeout);
    let devices = args.devices.find(&host).map_err(|failure| {
        let gone = (failure.exit() == Exit::NotFound).then(|| gone(&host, args));
        match gone.flatten() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    let mut plans = Vec::new();
    for function in &devices {
        plans.push(match &args.to {
            Some(driver) => host.plan_release_to(function, driver)?,
            None => host.plan_release(function)?,
        });
    }
    let findings = consent::ask(&host, &plans, &args.change.allow, Group::Any)?;
    let changes = plans.into_iter().zip(findings);
    let changes: Vec<_> = changes
        .map(|(plan, findings)| Change { plan, findings })
        .collect();
    if args.dry_run {
        return change::dry_run(SCHEMA, &changes);
    }
    change::check(&changes)?;
    let results = change::execute(&host, &changes, args.change.timeout);
    change::report(SCHEMA, &changes, results, &sentence)
}

/// What to do if there is no such device, but an entry of the journal about it.
fn gone(host: &Host, args: &ReleaseArgs) -> Option<String> {
    let journal = host.journal().ok()?;
    let is_named = |entry: &&Entry| {
        args.devices.devices.iter().any(|device| match device {
            Selector::Address(address) | Selector::ShortAddress(address) => {
                *address == entry.address
            }
            Selector::Path(path) => *path == entry.identity.path,
            _ => false,
        })
    };
    let mut named = journal.entries.iter().filter(is_named);
    let entry = named.find(|entry| host.function_of(entry).is_err())?;
    let id = entry.id;
    Some(format!(
        "entry {id} of the journal is about a device that was there and is gone; `outboard undo {id}` drops it"
    ))
}

fn sentence(plan: &Plan, done: &Done) -> (String, bool) {
    let address = done.function.address;
    let changed = done.state != *plan.state() || !done.nodes.is_empty();
    let now = driver_name(done.function.driver.as_deref());
    let text = if changed {
        let before = driver_name(plan.before().driver.as_deref());
        format!("{address} is released; it had {before}, and now has {now}\n")
    } else {
        format!("{address} needs no release; it has {now}\n")
    };
    (text, changed)
}
