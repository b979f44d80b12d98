//! `outboard log`.

use crate::{change::driver_name, failure::Failure, report::Report};
use io_core::ErrorKind;
use pci_host::{Damaged, Entry, Host};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Shows what was bound and can be taken back, and what of the journal cannot be read.
pub fn run() -> Result<Report, Failure> {
    let host = Host::system();
    let journal = host.journal()?;
    let mut text = String::new();
    let mut entries = Vec::new();
    for entry in &journal.entries {
        let fate = Fate::of(&host, entry)?;
        writeln!(text, "{}", line(entry, fate)).expect("a string takes whatever is written");
        entries.push(data(entry, fate));
    }
    for Damaged { path, reason, .. } in &journal.damaged {
        writeln!(text, "damaged: {}: {reason}", path.display())
            .expect("a string takes whatever is written");
    }
    let damaged = journal
        .damaged
        .iter()
        .map(|damaged| json!({ "path": damaged.path.to_string_lossy(), "reason": damaged.reason }));
    Ok(Report {
        schema: "outboard.log/1",
        data: json!({ "entries": entries, "damaged": damaged.collect::<Vec<_>>() }),
        text,
    })
}

/// What has become of the device of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is there.
    There,
    /// It has been pulled out, or moved.
    Gone,
    /// The machine has been restarted.
    Restarted,
}

impl Fate {
    fn of(host: &Host, entry: &Entry) -> Result<Self, Failure> {
        if host.is_of_another_boot(entry)? {
            return Ok(Self::Restarted);
        }
        match host.function_of(entry) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Gone),
            _ => Ok(Self::There),
        }
    }
}

fn line(entry: &Entry, fate: Fate) -> String {
    let Entry {
        id,
        address,
        identity,
        driver,
        ..
    } = entry;
    let had = driver_name(entry.before.driver.as_deref());
    let mut line = format!(
        "{id}  {address}  {} to {driver}; it had {had}",
        ago(entry.time)
    );
    if let Some(former) = &entry.before.driver_override {
        line += &format!(", and the override {former}");
    }
    if fate != Fate::Restarted && !entry.complete {
        line += &format!("; stopped after {} writes", entry.written.len());
    }
    match fate {
        Fate::There => {}
        Fate::Gone => line += &format!("; the device is gone: outboard undo {id} drops the entry"),
        Fate::Restarted => line += "; before the machine was restarted",
    }
    line + &format!("  (path:{})", identity.path)
}

fn data(entry: &Entry, fate: Fate) -> Value {
    let [vendor, device, subsystem_vendor, subsystem_device] =
        entry.identity.ids.map(|id| format!("0x{id:04x}"));
    json!({
        "id": entry.id,
        "address": entry.address.to_string(),
        "path": entry.identity.path.to_string(),
        "vendor": vendor,
        "device": device,
        "subsystem_vendor": subsystem_vendor,
        "subsystem_device": subsystem_device,
        "former_driver": entry.before.driver,
        "former_override": entry.before.driver_override,
        "driver": entry.driver,
        "time": entry.time,
        "this_boot": fate != Fate::Restarted,
        "gone": fate == Fate::Gone,
        "complete": entry.complete,
        "writes": entry.written,
    })
}

/// How long ago that was, in the largest unit.
fn ago(time: u64) -> String {
    let then = UNIX_EPOCH.checked_add(Duration::from_secs(time));
    let since = then.and_then(|then| SystemTime::now().duration_since(then).ok());
    match since.map_or(0, |since| since.as_secs()) {
        seconds if seconds < 120 => format!("{seconds} s ago"),
        seconds if seconds < 7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}
