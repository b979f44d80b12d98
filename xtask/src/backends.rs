//! `cargo xtask docs backends`: the tables of what each backend can do, from what the lab's tests found.
//!
//! The tests write a line for each finding of `io_core::contract` to `contract.txt` in the folder of their machine's
//! results: the device, the backend, what, and "yes" or "-", with tabs between them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::lab_tests;
use crate::static_build::workspace;
use crate::stream::say;

/// Write what was found in the lab to the documentation
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Which page
    #[arg(value_enum, value_name = "PAGE")]
    page: Page,
}

/// A page with a part that is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Page {
    /// docs/backends.md, by the last `cargo xtask test --only lab-full -- contract`.
    Backends,
}

/// The backends in the order of the columns, with their titles.
const BACKENDS: [(&str, &str); 7] = [
    ("iommufd", "iommufd"),
    ("type1", "type1"),
    ("noiommu", "VFIO without an IOMMU"),
    ("uio", "uio"),
    ("sysfs", "sysfs"),
    ("simulated", "simulated"),
    ("replay", "replay"),
];

const BEGIN: &str = "<!-- what follows is written by: cargo xtask docs backends -->\n";
const END: &str = "<!-- end of what is written -->\n";
/// Above the second table.
const DEVICES: &str = "What there is of each device, besides what is there of all:\n";

/// What was found: of each device by each backend, what is there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// All that was looked for, in order.
    whats: Vec<String>,
    devices: Vec<String>,
    there: BTreeMap<(String, String), Vec<String>>,
}

/// Writes the page.
pub fn run(options: &Options) -> Result<u8> {
    let Page::Backends = options.page;
    let found = Found::read(&lab_tests::all_results()?)?;
    let missing = BACKENDS.iter().find(|(backend, _)| !found.has(backend));
    if let Some((backend, _)) = missing {
        return Err(format!(
            "the lab has found nothing of {backend}: please run cargo xtask test --only lab-full -- contract first"
        )
        .into());
    }
    let text = read_page()?;
    let (before, _, after) = parts(&text)?;
    let text = format!("{before}{BEGIN}{}{END}{after}", found.tables());
    fs::write(path(), text).context(|| "cannot write docs/backends.md")?;
    say("xtask: docs/backends.md is what the lab has found");
    Ok(0)
}

/// Fails if the page has something else than was found, in those columns of which something was.
pub fn check(results: &[PathBuf]) -> Result<()> {
    let found = Found::read(results)?;
    let text = read_page()?;
    let differs = found.differs_from(parts(&text)?.1);
    if differs.is_empty() {
        return Ok(());
    }
    Err(format!(
        "docs/backends.md is not what the lab has found ({}): please run cargo xtask test --only lab-full -- contract, \
         and cargo xtask docs backends",
        differs.join("; ")
    )
    .into())
}

fn path() -> PathBuf {
    workspace().join("docs/backends.md")
}

fn read_page() -> Result<String> {
    fs::read_to_string(path()).context(|| "cannot read docs/backends.md")
}

/// What is before the tables, the tables, and what is behind them.
fn parts(page: &str) -> Result<(&str, &str, &str)> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (tables, after) = rest.split_once(END)?;
        Some((before, tables, after))
    });
    parts.ok_or_else(|| "docs/backends.md has lost the marks around its tables".into())
}

/// The cells of a line of a table, without the first.
fn cells(line: &str) -> Option<(&str, Vec<&str>)> {
    let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
    let first = cells.next()?.trim();
    Some((first, cells.map(str::trim).collect()))
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
    format!("| {first} |{cells}\n")
}

fn head(first: &str) -> String {
    let titles = BACKENDS.iter().map(|(_, title)| (*title).to_owned());
    let rule = "|---".repeat(BACKENDS.len() + 1);
    format!("{}{rule}|\n", row(first, titles))
}

impl Found {
    /// What the tests of these machines have left.
    fn read(results: &[PathBuf]) -> Result<Self> {
        let mut found = Self::default();
        for folder in results {
            let file: &Path = &folder.join("contract.txt");
            if !file.exists() {
                continue;
            }
            let text = fs::read_to_string(file);
            let text = text.context(|| format!("cannot read {}", file.display()))?;
            for line in text.lines() {
                found.add(line)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [device, backend, what, verdict] = fields[..] else {
            return Err(format!("this is no finding of the contract: {line}").into());
        };
        if !BACKENDS.iter().any(|(known, _)| *known == backend) {
            return Err(format!("the tables have no column for {backend}").into());
        }
        for (list, entry) in [(&mut self.whats, what), (&mut self.devices, device)] {
            if !list.iter().any(|known| known == entry) {
                list.push(entry.to_owned());
            }
        }
        let key = (device.to_owned(), backend.to_owned());
        let there = self.there.entry(key).or_default();
        if verdict == "yes" && !there.iter().any(|known| known == what) {
            there.push(what.to_owned());
        }
        Ok(())
    }

    fn has(&self, backend: &str) -> bool {
        self.there.keys().any(|(_, found)| found == backend)
    }

    /// Both tables: what a backend has of any device, and what there is of each.
    fn tables(&self) -> String {
        let mut text = format!("\n{}", head(""));
        for what in &self.whats {
            let cell = |(backend, _): &(&str, &str)| {
                let mut there = self.there.iter().filter(|((_, by), _)| by == backend);
                let any = there.any(|(_, there)| there.contains(what));
                if any { "yes" } else { "-" }.to_owned()
            };
            text += &row(what, BACKENDS.iter().map(cell));
        }
        text += &format!("\n{DEVICES}\n{}", head("device"));
        for device in &self.devices {
            let cells = BACKENDS.iter().map(|(backend, _)| {
                let key = (device.clone(), (*backend).to_owned());
                self.there
                    .get(&key)
                    .map_or_else(|| "not tried".to_owned(), |there| special(there))
            });
            text += &row(device, cells);
        }
        text + "\n"
    }

    /// Where these tables differ from what was found, as far as something was.
    fn differs_from(&self, tables: &str) -> Vec<String> {
        if BACKENDS.iter().all(|(backend, _)| self.has(backend)) {
            let same = tables == self.tables();
            return if same {
                Vec::new()
            } else {
                vec!["the tables".to_owned()]
            };
        }
        let devices = tables
            .split_once(DEVICES)
            .map_or("", |(_, devices)| devices);
        let rows: BTreeMap<&str, Vec<&str>> = devices.lines().filter_map(cells).collect();
        let differs = self.there.iter().filter(|((device, backend), there)| {
            let column = BACKENDS.iter().position(|(known, _)| known == backend);
            let cell = rows.get(device.as_str()).zip(column);
            let cell = cell.and_then(|(row, column)| row.get(column));
            cell != Some(&special(there).as_str())
        });
        differs
            .map(|((device, backend), there)| format!("{device} by {backend}: {}", special(there)))
            .collect()
    }
}

/// What is not there of every device by every backend.
fn special(there: &[String]) -> String {
    let common = ["configuration space", "bus mastering", "BARs"];
    let special = there.iter().map(String::as_str);
    let special: Vec<&str> = special.filter(|what| !common.contains(what)).collect();
    if special.is_empty() {
        "-".to_owned()
    } else {
        special.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::{BACKENDS, Found, parts};

    fn found(backends: &[&str]) -> Found {
        let mut found = Found::default();
        for backend in backends {
            found.add(&format!("edu\t{backend}\tBARs\tyes")).unwrap();
            found.add(&format!("edu\t{backend}\tMSI\tyes")).unwrap();
            found.add(&format!("edu\t{backend}\tDMA\t-")).unwrap();
        }
        found
    }

    #[test]
    fn the_tables_are_what_was_found_and_a_part_of_it_is_compared_with_them() {
        let all = BACKENDS.map(|(backend, _)| backend);
        let whole = found(&all);
        let tables = whole.tables();
        assert!(tables.contains("| MSI | yes | yes |"), "{tables}");
        assert!(tables.contains("| DMA | - | - |"), "{tables}");
        assert!(tables.contains("| edu | MSI | MSI |"), "{tables}");
        assert_eq!(whole.differs_from(&tables), [""; 0]);
        let part = found(&["uio", "sysfs"]);
        assert_eq!(part.differs_from(&tables), [""; 0]);

        let mut more = found(&["uio"]);
        more.add("edu\tuio\tDMA\tyes").unwrap();
        assert_eq!(more.differs_from(&tables), ["edu by uio: MSI; DMA"]);
        more.add("nvme\tuio\tDMA\tyes").unwrap();
        assert_eq!(more.differs_from(&tables).len(), 2);
        let other = tables.replacen("| yes |", "| - |", 1);
        assert_eq!(whole.differs_from(&other), ["the tables"]);
    }

    #[test]
    fn what_is_no_finding_is_refused() {
        let mut found = Found::default();
        assert!(found.add("edu yes").is_err());
        assert!(found.add("edu\tdpdk\tMSI\tyes").is_err());
        assert!(parts("a page").is_err());
    }
}
