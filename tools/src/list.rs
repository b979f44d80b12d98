//! `outboard list`.

use crate::{cli::ListArgs, failure::Failure, names::Names, report::Report, select, units};
use comfy_table::{Table, presets};
use pci_host::{BarKind, BarResource, Host, PciFunction};
use serde_json::{Value, json};

/// Lists the machine's PCI functions, or those that were asked for.
pub fn run(args: &ListArgs) -> Result<Report, Failure> {
    let host = Host::system();
    let functions = match args.devices.as_slice() {
        [] => host.functions()?,
        devices => select::several(&host, devices)?,
    };
    let names = Names::read();
    Ok(Report {
        schema: "outboard.list/1",
        data: functions
            .iter()
            .map(|function| data(function, &names))
            .collect(),
        text: table(&functions, &names),
    })
}

fn table(functions: &[PciFunction], names: &Names) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["ADDRESS", "ID", "CLASS", "DRIVER", "GROUP", "BARS", "NAME"]);
    for function in functions {
        let bars: Vec<_> = function.bars.iter().map(bar).collect();
        let class = format!("{:04x}", function.class >> 8);
        let name = [names.vendor(function), names.device(function)];
        table.add_row([
            function.address.to_string(),
            format!("{:04x}:{:04x}", function.vendor, function.device),
            names.class(function).map_or(class, str::to_owned),
            function.driver.clone().unwrap_or_else(|| "-".to_owned()),
            function
                .iommu_group
                .map_or_else(|| "-".to_owned(), |group| group.to_string()),
            if bars.is_empty() {
                "-".to_owned()
            } else {
                bars.join(" ")
            },
            name.into_iter().flatten().collect::<Vec<_>>().join(" "),
        ]);
    }
    // The table pads each line to the width of the widest, and each column by a space before it.
    table
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect()
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

fn data(function: &PciFunction, names: &Names) -> Value {
    json!({
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
        "driver_override": function.driver_override,
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
