//! An entry of the journal, and how it is written down.

use crate::bind::{
    identity::Identity,
    owner::{NodeChange, Ownership},
};
use io_core::pci::PciAddress;
use serde_json::{Value, json};

/// The shape of the first line of an entry.
const SCHEMA: &str = "outboard.journal/1";

/// Which driver a function has, and which one alone may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The driver that it is bound to.
    pub driver: Option<String>,
    /// Its `driver_override`.
    pub driver_override: Option<String>,
}

/// A bind that was begun and not taken back: what is needed to take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number. Later ones have higher numbers.
    pub id: u64,
    /// Where the function was.
    pub address: PciAddress,
    /// Which function it is.
    pub identity: Identity,
    /// How it was before.
    pub before: State,
    /// The driver that it was to be bound to.
    pub driver: String,
    /// The boot of the machine in which that was, by the kernel's id for it.
    pub boot: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// What has been written so far, as shell commands.
    pub written: Vec<String>,
    /// The nodes that were given to somebody, or were just about to be.
    pub nodes: Vec<NodeChange>,
    /// Whether it came to its end, and was not stopped on the way.
    pub complete: bool,
}

impl Entry {
    /// The line by which an entry begins.
    pub(crate) fn head(&self) -> String {
        let line = json!({
            "schema": SCHEMA,
            "id": self.id,
            "address": self.address.to_string(),
            "path": self.identity.path.to_string(),
            "ids": self.identity.ids,
            "before": { "driver": self.before.driver, "driver_override": self.before.driver_override },
            "driver": self.driver,
            "boot": self.boot,
            "time": self.time,
        });
        format!("{line}\n")
    }

    /// The line that says that something was written.
    pub(crate) fn wrote(step: &str) -> String {
        format!("{}\n", json!({ "wrote": step }))
    }

    /// The line that says that a node is given to somebody.
    pub(crate) fn gives(change: &NodeChange) -> String {
        let whose = |o: &Ownership| json!([o.uid, o.gid, o.mode]);
        let NodeChange {
            path,
            before,
            given,
        } = change;
        let node = json!({ "path": path.to_string_lossy(), "before": whose(before), "given": whose(given) });
        format!("{}\n", json!({ "node": node }))
    }

    /// The line that says that the bind came to its end.
    pub(crate) fn completed() -> String {
        format!("{}\n", json!({ "complete": true }))
    }

    /// Reads an entry.
    ///
    /// The first line is written as a whole or not at all. A later one without its end is that of a process which was
    /// stopped while it wrote it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.split_inclusive('\n');
        let head = lines.next().ok_or("it is empty")?;
        let mut entry = parse_head(head)?;
        for (number, line) in lines.enumerate() {
            if !line.ends_with('\n') {
                break;
            }
            let bad = || format!("line {} makes no sense: {:?}", number + 2, line.trim_end());
            let line: Value = serde_json::from_str(line).map_err(|_| bad())?;
            match (line.get("wrote"), line.get("node"), line.get("complete")) {
                (Some(Value::String(step)), None, None) => entry.written.push(step.clone()),
                (None, Some(node), None) => entry.nodes.push(parse_node(node).ok_or_else(bad)?),
                (None, None, Some(Value::Bool(true))) => entry.complete = true,
                _ => return Err(bad()),
            }
        }
        Ok(entry)
    }
}

/// A node that was given away: its path, and user, group and mode before and after.
fn parse_node(node: &Value) -> Option<NodeChange> {
    let whose = |name| {
        let [uid, gid, mode] = serde_json::from_value(node.get(name)?.clone()).ok()?;
        Some(Ownership { uid, gid, mode })
    };
    Some(NodeChange {
        path: node.get("path")?.as_str()?.into(),
        before: whose("before")?,
        given: whose("given")?,
    })
}

fn parse_head(line: &str) -> Result<Entry, String> {
    let head: Value =
        serde_json::from_str(line).map_err(|e| format!("its first line is no JSON: {e}"))?;
    let field = |name: &str| head.get(name).ok_or(format!("{name} is missing"));
    let text = |name: &str| {
        let text = field(name)?.as_str();
        text.ok_or(format!("{name} is no text"))
    };
    let number = |name: &str| {
        let number = field(name)?.as_u64();
        number.ok_or(format!("{name} is no number"))
    };
    if text("schema")? != SCHEMA {
        return Err(format!("it is not of the shape {SCHEMA}"));
    }
    let ids = serde_json::from_value(field("ids")?.clone());
    let before = field("before")?;
    let former = |name: &str| match before.get(name) {
        Some(Value::Null) => Ok(None),
        Some(Value::String(driver)) => driver_name(driver).map(Some),
        _ => Err(format!("before.{name} is neither a driver nor null")),
    };
    Ok(Entry {
        id: number("id")?,
        address: text("address")?
            .parse()
            .map_err(|e| format!("address: {e}"))?,
        identity: Identity {
            path: text("path")?.parse().map_err(|e| format!("path: {e}"))?,
            ids: ids.map_err(|_| "ids are not four numbers of 16 bits")?,
        },
        before: State {
            driver: former("driver")?,
            driver_override: former("driver_override")?,
        },
        driver: driver_name(text("driver")?)?,
        boot: text("boot")?.to_owned(),
        time: number("time")?,
        written: Vec::new(),
        nodes: Vec::new(),
        complete: false,
    })
}

/// A driver's name becomes part of a path, and a value for a file of `/sys`.
fn driver_name(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_graphic() && c != '/';
    if name.is_empty() || name.starts_with('.') || name.len() > 64 || !name.chars().all(plain) {
        return Err(format!("{name:?} is no name of a driver"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is in the file; written by hand from the description of the format.
    const FILE: &str = r#"{"schema":"outboard.journal/1","id":3,"address":"0000:03:00.0","path":"0000:00:05.0/00.0","ids":[32902,4307,32902,0],"before":{"driver":"e1000e","driver_override":null},"driver":"vfio-pci","boot":"b","time":1795000000}
{"wrote":"echo vfio-pci > /sys/x"}
{"complete":true}
"#;

    #[test]
    fn an_entry_is_read_as_it_is_written() {
        let entry = Entry::parse(FILE).unwrap();
        assert_eq!(entry.id, 3);
        assert_eq!(entry.identity.ids, [0x8086, 0x10d3, 0x8086, 0]);
        assert_eq!(entry.before.driver.as_deref(), Some("e1000e"));
        assert_eq!(entry.before.driver_override, None);
        assert_eq!(entry.written, ["echo vfio-pci > /sys/x"]);
        assert!(entry.complete);
        let again = entry.head() + &Entry::wrote("echo vfio-pci > /sys/x") + &Entry::completed();
        assert_eq!(Entry::parse(&again).unwrap(), entry);
    }

    #[test]
    fn a_last_line_without_its_end_was_never_written() {
        let head = FILE.lines().next().unwrap().len() + 1;
        for end in head..FILE.len() {
            let entry = Entry::parse(&FILE[..end]).unwrap();
            assert!(!entry.complete, "{end}");
        }
    }

    #[test]
    fn what_is_damaged_or_hostile_is_refused_with_a_reason() {
        let refused = |from: &str, to: &str, reason: &str| {
            assert!(FILE.contains(from), "{from}");
            let error = Entry::parse(&FILE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{error:?}, not {reason:?}");
        };
        assert_eq!(Entry::parse("").unwrap_err(), "it is empty");
        refused("{\"schema\"", "\0", "no JSON");
        refused("journal/1", "journal/2", "not of the shape");
        refused("\"e1000e\"", "\"../../x\"", "no name of a driver");
        refused("\"e1000e\"", "\"a\\nb\"", "no name of a driver");
        refused("\"e1000e\"", "\"\"", "no name of a driver");
        refused("\"e1000e\"", "7", "before.driver is neither");
        refused("4307", "70000", "four numbers");
        refused("0000:03:00.0", "/etc", "address");
        refused("0000:00:05.0/00.0", "/etc", "path");
        refused("\"boot\"", "\"shoe\"", "boot is missing");
        refused("\"time\":1795000000", "\"time\":-1", "time is no number");
        refused("{\"wrote\"", "{\"rote\"", "line 2 makes no sense");
        refused(
            "{\"complete\":true",
            "{\"node\":{\"path\":\"/dev/x\"}",
            "line 3 makes no sense",
        );
    }

    #[test]
    fn a_node_that_was_given_away_is_read_as_it_is_written() {
        // From the description of the format: user, group and mode, which is 0600 and 0660.
        let line = r#"{"node":{"path":"/dev/vfio/7","before":[0,0,384],"given":[1000,2000,432]}}"#;
        let entry = Entry::parse(&FILE.replacen("{\"complete\":true}", line, 1)).unwrap();
        let [node] = entry.nodes.as_slice() else {
            panic!("one")
        };
        assert_eq!(
            node.to_string(),
            "chown 1000:2000 /dev/vfio/7 && chmod 660 /dev/vfio/7"
        );
        assert_eq!((node.before.uid, node.before.mode), (0, 0o600));
        let again: Value = serde_json::from_str(&Entry::gives(node)).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(line).unwrap());
    }
}
