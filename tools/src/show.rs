//! `outboard show`.

use crate::{
    capabilities, cli::ShowArgs, failure::Failure, groups, list, names::Names, report::Report,
    units, users,
};
use io_core::pci::Config;
use pci_host::{Host, PciFunction};
use serde_json::{Value, json};
use std::{fmt::Write, slice};

const HELD: &str = "  held              the kernel is not through with a change of it, an unbind as a rule, and does not say what \
                    its driver override is";

/// Shows all that is known of a device.
pub fn run(args: &ShowArgs) -> Result<Report, Failure> {
    let host = args.look.host();
    let function = args.device.find(&host)?;
    let names = Names::of([&function]);
    let config = host.config_space(function.address)?;
    let (capabilities, broken) = capabilities::all(Config::new(&config));
    let findings = host.users(&function)?;
    let facts = facts(&host, &function);
    let set = host
        .driver_overrides(slice::from_ref(&function))?
        .pop()
        .flatten();
    let mut data = list::data(&host, &function, set.as_ref(), &names, &host.attached());
    if let Some(data) = data.as_object_mut() {
        for (name, value) in &facts {
            data.insert((*name).to_owned(), value.clone());
        }
        let capabilities = capabilities.iter().map(capabilities::Shown::data).collect();
        data.insert("capabilities".to_owned(), capabilities);
        data.insert(
            "capabilities_complete".to_owned(),
            json!(config.len() > 64 && broken.is_empty()),
        );
        data.insert("users".to_owned(), users::data(&findings));
    }
    let mut text = Page(head(&function, &names));
    text.facts(&data_lines(&data, &facts));
    if set.is_none() {
        text.line(HELD);
    }
    if let Some(group) = groups::of(&host, &function, &names)? {
        text.part("group", group.lines().map(str::to_owned));
    }
    text.part("BARs", function.bars.iter().map(bar));
    text.part(
        "capabilities",
        capabilities.iter().map(capabilities::Shown::text),
    );
    let cut = (config.len() <= 64).then(|| "(only root can read the rest)".to_owned());
    text.part("", broken.into_iter().chain(cut));
    text.part(
        "used by",
        findings
            .iter()
            .map(|finding| format!("{}: {}", finding.code, finding.sentence)),
    );
    Ok(Report {
        schema: "outboard.show/1",
        data,
        text: text.0,
    })
}

/// The page for people: a line a fact, and parts with lines of their own.
struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        writeln!(self.0, "{}", line.trim_end()).expect("a string takes whatever is written");
    }

    fn facts(&mut self, facts: &[(String, String)]) {
        for (name, value) in facts {
            self.line(&format!("  {name:<18}{value}"));
        }
    }

    fn part(&mut self, name: &str, lines: impl Iterator<Item = String>) {
        for (n, line) in lines.enumerate() {
            if n == 0 && !name.is_empty() {
                self.line(&format!("  {name}"));
            }
            self.line(&format!("    {line}"));
        }
    }
}

fn head(function: &PciFunction, names: &Names) -> String {
    let PciFunction {
        address,
        vendor,
        device,
        ..
    } = function;
    let class = names.class(function).unwrap_or("device");
    let name = [names.vendor(function), names.device(function)];
    let name: Vec<_> = name.into_iter().flatten().collect();
    format!(
        "{address} {vendor:04x}:{device:04x} {class}: {}\n",
        name.join(" ")
    )
}

/// What sysfs says beside what `list` shows. What it does not say is null.
fn facts(host: &Host, function: &PciFunction) -> Vec<(&'static str, Value)> {
    let address = function.address;
    let says = |name| host.attribute(address, name);
    let number = |name| says(name).and_then(|text| text.parse::<i64>().ok());
    let physical = host.physical_function(address);
    let most = number("sriov_totalvfs");
    vec![
        (
            "serial",
            json!(
                host.serial_number(address)
                    .map(|serial| format!("serial:{serial}"))
            ),
        ),
        ("power_state", json!(says("power_state"))),
        ("runtime_power", json!(says("power/runtime_status"))),
        ("link_speed", json!(says("current_link_speed"))),
        ("link_width", json!(number("current_link_width"))),
        ("max_link_speed", json!(says("max_link_speed"))),
        ("max_link_width", json!(number("max_link_width"))),
        (
            "numa_node",
            json!(number("numa_node").filter(|node| *node >= 0)),
        ),
        (
            "virtual_functions",
            json!(most.map(|_| host.virtual_functions(address))),
        ),
        ("most_virtual_functions", json!(most)),
        (
            "physical_function",
            json!(physical.map(|address| address.to_string())),
        ),
    ]
}

/// The facts as lines: what is not there is left out.
fn data_lines(data: &Value, facts: &[(&'static str, Value)]) -> Vec<(String, String)> {
    let first = [
        "class",
        "revision",
        "path",
        "use",
        "driver",
        "driver_override",
        "node",
        "reset_methods",
    ];
    let board = ["subsystem_vendor", "subsystem_device"];
    let names = first
        .into_iter()
        .chain(board)
        .chain(facts.iter().map(|(name, _)| *name));
    let line = |name: &str| {
        let value = match data.get(name)? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Array(all) if all.is_empty() => return None,
            Value::Array(all) => all
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
            other => other.to_string(),
        };
        Some((name.replace('_', " "), value))
    };
    names.filter_map(line).collect()
}

fn bar(bar: &pci_host::BarResource) -> String {
    format!(
        "{} {} of {} at {:#x}",
        bar.index,
        units::size(bar.size),
        bar.kind,
        bar.start
    )
}
