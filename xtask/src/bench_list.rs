//! What `outboard list` takes: on generated trees of many functions, and beside lspci.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::assembly::target_folder;
use crate::bench_row::Row;
use crate::error::{Context, Result};
use crate::static_build::cargo;
use crate::{packages, program};

/// The name that all rows begin with.
const NAME: &str = "list";

/// The functions of the trees; the times of the second are compared with this many times those of the first.
const FUNCTIONS: [u32; 2] = [1_000, 10_000];
const TIMES: f64 = 10.0;

/// What the larger tree is meant to stay below, in seconds.
const TARGET: f64 = 0.5;

/// How often each command is run; on this machine's few functions it is soon over.
const TURNS: usize = 9;
const TURNS_HERE: usize = 41;

/// Whether a row of these has that text in its name.
pub fn is_wanted(only: &str) -> bool {
    NAME.contains(only)
}

/// Makes the trees, runs the commands, and returns the rows.
pub fn measure() -> Result<Vec<Row>> {
    eprintln!("xtask: building outboard, and trees of {FUNCTIONS:?} functions");
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "outboard-tools",
    ]);
    program::run(&mut build)?;
    let outboard = target_folder().join("release/outboard");
    // As /sys is: in memory.
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.context(|| "cannot make a folder for the trees")?;
    let roots = FUNCTIONS.map(|functions| folder.path().join(functions.to_string()));
    for (root, functions) in roots.iter().zip(FUNCTIONS) {
        tree(root, functions).context(|| "cannot make a tree of functions")?;
    }
    let list = |root: &Path| command(&outboard, &["list".as_ref(), "--root".as_ref(), root]);
    let [few, many] = &roots;
    eprintln!("xtask: listing");
    let name = "list, 10,000 functions";
    let growth = turns(&mut list(many), &mut list(few), TURNS, TIMES)?;
    let limit: Vec<_> = growth.iter().map(|[ours, _]| [*ours, TARGET]).collect();
    let mut rows = vec![
        row(name, "0.5 s", &limit, Some(1.0))?,
        row(name, "10 x list, 1,000 functions", &growth, Some(1.2))?,
    ];
    if let Err(error) = packages::ensure(&["pciutils"]) {
        eprintln!("xtask: no row beside lspci, which is not there: {error}");
        return Ok(rows);
    }
    let lspci = Path::new("lspci");
    let path = format!("sysfs.path={}", many.join("sys/bus/pci").display());
    let mut rival = command(lspci, &["-O".as_ref(), path.as_ref()]);
    let both = turns(&mut list(many), &mut rival, TURNS, 1.0)?;
    rows.push(row(name, "lspci, which shows less", &both, None)?);
    let mut ours = command(&outboard, &["list".as_ref()]);
    let both = turns(&mut ours, &mut command(lspci, &[]), TURNS_HERE, 1.0)?;
    rows.push(row("list, this machine", "lspci", &both, Some(1.0))?);
    let both = turns(
        &mut ours,
        &mut command(lspci, &["-k".as_ref()]),
        TURNS_HERE,
        1.0,
    )?;
    rows.push(row("list, this machine", "lspci -k", &both, Some(1.0))?);
    Ok(rows)
}

fn command(program: &Path, arguments: &[&Path]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Seconds of both, which take turns; the second's are multiplied.
fn turns(
    ours: &mut Command,
    rival: &mut Command,
    count: usize,
    times: f64,
) -> Result<Vec<[f64; 2]>> {
    let mut all = Vec::new();
    // The first turn finds files that nobody has read yet.
    for turn in 0..=count {
        let both = [seconds(ours)?, seconds(rival)? * times];
        if turn > 0 {
            all.push(both);
        }
    }
    Ok(all)
}

fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let status = command.status();
    let status = status.context(|| format!("cannot start `{}`", program::line(command)))?;
    if status.success() {
        return Ok(start.elapsed().as_secs_f64());
    }
    Err(format!("`{}` failed ({status})", program::line(command)).into())
}

/// A row of the table, of the seconds that both took.
pub fn row(what: &str, rival: &str, turns: &[[f64; 2]], target: Option<f64>) -> Result<Row> {
    let times: Vec<f64> = turns.iter().map(|[ours, _]| *ours).collect();
    let rivals: Vec<f64> = turns.iter().map(|[_, rival]| *rival).collect();
    let ratios: Vec<f64> = turns.iter().map(|[ours, rival]| ours / rival).collect();
    Row::new(&json!({
        "what": what,
        "rival": rival,
        "target": target.map(|ratio| json!({ "time": ratio })),
        "accesses": 1,
        "passes": 1,
        "nanoseconds": {
            "ours": quartile(times, 2) * 1e9,
            "rival": quartile(rivals, 2) * 1e9,
        },
        "time_ratio": quartile(ratios.clone(), 2),
        "time_ratio_quartiles": Value::from(vec![quartile(ratios.clone(), 1), quartile(ratios, 3)]),
    }))
}

fn quartile(mut values: Vec<f64>, quarter: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len() * quarter / 4)
        .copied()
        .unwrap_or(f64::NAN)
}

/// What a function has in `/sys` besides links: files and what they say, but for those with its numbers in them.
const FILES: [(&str, &str); 6] = [
    ("revision", "0x02"),
    ("driver_override", "(null)"),
    ("reset_method", "flr bus"),
    ("irq", "11"),
    ("power_state", "D0"),
    ("numa_node", "-1"),
];

/// Vendor, device and class of the functions: Intel's 82574L, Samsung's SM981, NVIDIA's GA102, a ConnectX.
const KINDS: [(u16, u16, u32); 4] = [
    (0x8086, 0x10d3, 0x0002_0000),
    (0x144d, 0xa808, 0x0001_0802),
    (0x10de, 0x2204, 0x0003_0000),
    (0x15b3, 0x101e, 0x0002_0000),
];

const DRIVERS: [Option<&str>; 4] = [Some("e1000e"), Some("nvme"), Some("vfio-pci"), None];

/// A machine's `/sys` with so many functions, 32 on a bus, each alone in its IOMMU group.
fn tree(root: &Path, functions: u32) -> Result<()> {
    let sys = root.join("sys");
    for folder in ["bus/pci/devices", "class/net", "class/block"] {
        fs::create_dir_all(sys.join(folder))?;
    }
    for driver in DRIVERS.into_iter().flatten() {
        fs::create_dir_all(sys.join("bus/pci/drivers").join(driver))?;
    }
    let kinds = KINDS.into_iter().cycle();
    let drivers = DRIVERS.into_iter().flat_map(|driver| [driver; 4]).cycle();
    for ((number, kind), driver) in (0..functions).zip(kinds).zip(drivers) {
        function(&sys, number, kind, driver)?;
    }
    Ok(())
}

fn function(sys: &Path, number: u32, kind: (u16, u16, u32), driver: Option<&str>) -> Result<()> {
    let (vendor, device, class) = kind;
    let bus = number / 32 + 1;
    let (domain, bus, slot) = (bus >> 8, bus & 0xff, number % 32);
    let address = format!("{domain:04x}:{bus:02x}:{slot:02x}.0");
    let place = format!("devices/pci{domain:04x}:00/{domain:04x}:00:01.0/{address}");
    let dir = sys.join(&place);
    fs::create_dir_all(&dir)?;
    let write = |name: &str, text: String| fs::write(dir.join(name), text + "\n");
    for (name, text) in FILES {
        write(name, text.to_owned())?;
    }
    for (name, id) in [
        ("vendor", vendor),
        ("device", device),
        ("subsystem_vendor", vendor),
        ("subsystem_device", 1),
    ] {
        write(name, format!("{id:#06x}"))?;
    }
    write("class", format!("{class:#08x}"))?;
    let event = format!(
        "PCI_CLASS={class:X}\nPCI_ID={vendor:04X}:{device:04X}\nPCI_SUBSYS_ID={vendor:04X}:0001"
    );
    write("uevent", event)?;
    let (base, sub, interface) = (class >> 16, class >> 8 & 0xff, class & 0xff);
    let alias = format!(
        "pci:v{vendor:08X}d{device:08X}sv{vendor:08X}sd00000001bc{base:02X}sc{sub:02X}i{interface:02X}"
    );
    write("modalias", alias)?;
    write("resource", resource())?;
    fs::write(dir.join("config"), config(kind))?;
    // Links as the kernel makes them, so that the trees may be moved.
    if let Some(driver) = driver {
        symlink(
            format!("../../../../bus/pci/drivers/{driver}"),
            dir.join("driver"),
        )?;
    }
    let group = PathBuf::from(format!("kernel/iommu_groups/{number}"));
    fs::create_dir_all(sys.join(&group).join("devices"))?;
    symlink(
        Path::new("../../../..").join(group),
        dir.join("iommu_group"),
    )?;
    symlink(
        Path::new("../../..").join(place),
        sys.join("bus/pci/devices").join(address),
    )?;
    Ok(())
}

/// Four BARs, one of them I/O ports, and nine empty lines: other BARs, the ROM, windows of bridges.
fn resource() -> String {
    let bars = [
        (0xfe84_0000_u64, 0x2_0000, 0x40200),
        (0xfe86_0000, 0x2_0000, 0x40200),
        (0xc000, 0x20, 0x40101),
        (0xfe88_0000, 0x4000, 0x40200),
    ];
    let bars = bars.map(|(start, size, flags)| (start, start + size - 1, flags));
    let lines = bars.into_iter().chain([(0, 0, 0); 9]);
    let lines = lines.map(|(start, end, flags)| format!("{start:#018x} {end:#018x} {flags:#018x}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first 256 bytes, which lspci reads.
fn config((vendor, device, class): (u16, u16, u32)) -> Vec<u8> {
    let ids = [vendor.to_le_bytes(), device.to_le_bytes()].concat();
    let class = (class << 8 | 2).to_le_bytes();
    let mut config = [&ids[..], &[0; 4], &class].concat();
    config.resize(256, 0);
    config
}
