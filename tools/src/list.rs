//! `outboard list`.

use crate::{
    cli::ListArgs, columns::Columns, failure::Failure, names::Names, report::Report, select, units,
};
use io_core::pci::PciAddress;
use pci_host::{BarKind, BarResource, Host, PciFunction, Selector};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// What the functions have become, by their addresses.
type Attached = BTreeMap<PciAddress, Vec<Selector>>;

/// Lists the machine's PCI functions, or those that were asked for; as `json` or as text.
pub fn run(args: &ListArgs, json: bool) -> Result<Report, Failure> {
    let host = args.look.host();
    let mut functions = match args.devices.as_slice() {
        [] => host.functions()?,
        devices => select::several(&host, devices)?,
    };
    let names = Names::of(&functions);
    functions.retain(|function| args.wants(function, &names));
    let attached = host.attached();
    let mut report = Report {
        schema: "outboard.list/1",
        ..Report::empty()
    };
    // Of ten thousand functions, either takes a while; and overrides are in the JSON alone.
    if json {
        let overrides = host.driver_overrides(&functions)?;
        let of = |(function, set): (_, &_)| {
            data(&host, function, Option::as_ref(set), &names, &attached)
        };
        report.data = functions.iter().zip(&overrides).map(of).collect();
    } else {
        report.text = table(&host, &functions, &names, &attached);
    }
    Ok(report)
}

impl ListArgs {
    fn wants(&self, function: &PciFunction, names: &Names) -> bool {
        let class = self.class.as_deref().is_none_or(|wanted| {
            let name = names.class(function).unwrap_or_default().to_lowercase();
            format!("{:06x}", function.class).starts_with(wanted) || name.contains(wanted)
        });
        let driver = self
            .driver
            .as_deref()
            .is_none_or(|wanted| function.driver.as_deref().unwrap_or("none") == wanted);
        let group = self
            .group
            .is_none_or(|wanted| function.iommu_group == Some(wanted));
        class && driver && group
    }
}

const COLUMNS: [&str; 10] = [
    "ADDRESS", "ID", "CLASS", "DRIVER", "GROUP", "NODE", "USE", "BARS", "PATH", "NAME",
];

fn table(host: &Host, functions: &[PciFunction], names: &Names, attached: &Attached) -> String {
    let mut table = Columns::new(COLUMNS);
    for function in functions {
        let bars: Vec<_> = function.bars.iter().map(bar).collect();
        let class = format!("{:04x}", function.class >> 8);
        let name = [names.vendor(function), names.device(function)];
        let group = function.iommu_group.map(|group| group.to_string());
        let node = host.node(function).map(|node| node.display().to_string());
        table.add([
            function.address.to_string(),
            format!("{:04x}:{:04x}", function.vendor, function.device),
            names.class(function).map_or(class, str::to_owned),
            function.driver.clone().unwrap_or_default(),
            group.unwrap_or_default(),
            node.unwrap_or_default(),
            uses(function, attached).join(" "),
            bars.join(" "),
            path(host, function),
            name.into_iter().flatten().collect::<Vec<_>>().join(" "),
        ]);
    }
    table.text()
}

/// What names the function by what the kernel has made of it: `net:eth0`.
fn uses(function: &PciFunction, attached: &Attached) -> Vec<String> {
    let uses = attached.get(&function.address).into_iter().flatten();
    uses.map(Selector::to_string).collect()
}

fn path(host: &Host, function: &PciFunction) -> String {
    Selector::Path(host.device_path(function.address)).to_string()
}

/// A BAR as `index:size`.
fn bar(bar: &BarResource) -> String {
    let ports = if bar.kind == BarKind::IoPorts {
        "(I/O)"
    } else {
        ""
    };
    format!("{}:{}{ports}", bar.index, units::size(bar.size))
}

/// A function for programs. Its override is not known where the kernel holds it.
pub fn data(
    host: &Host,
    function: &PciFunction,
    set: Option<&Option<String>>,
    names: &Names,
    attached: &Attached,
) -> Value {
    json!({
        "path": path(host, function),
        "use": uses(function, attached),
        "node": host.node(function).as_deref().map(Path::to_string_lossy),
        "address": function.address.to_string(),
        "vendor": hex(function.vendor, 4),
        "device": hex(function.device, 4),
        "subsystem_vendor": hex(function.subsystem_vendor, 4),
        "subsystem_device": hex(function.subsystem_device, 4),
        "class": hex(function.class, 6),
        "revision": hex(function.revision, 2),
        "vendor_name": names.vendor(function),
        "device_name": names.device(function),
        "class_name": names.class(function),
        "driver": function.driver,
        "driver_override": set,
        "held": set.is_none(),
        "iommu_group": function.iommu_group,
        "reset_methods": function.reset_methods,
        "bridge": function.is_bridge,
        "bars": function.bars.iter().map(bar_data).collect::<Vec<_>>(),
    })
}

fn bar_data(bar: &BarResource) -> Value {
    let kind = match bar.kind {
        BarKind::IoPorts => json!({ "kind": "io_ports" }),
        BarKind::Memory { prefetchable, wide } => json!({
            "kind": "memory",
            "prefetchable": prefetchable,
            "address_bits": if wide { 64 } else { 32 },
        }),
    };
    let mut data = json!({ "index": bar.index, "start": hex(bar.start, 1), "size": bar.size });
    if let (Some(data), Value::Object(kind)) = (data.as_object_mut(), kind) {
        data.extend(kind);
    }
    data
}

/// A number as the kernel writes it: `0x1af4`.
fn hex(number: impl Into<u64>, digits: usize) -> String {
    format!("{:#0width$x}", number.into(), width = digits + 2)
}
