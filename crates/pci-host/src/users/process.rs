//! Processes that have a device open, or mapped.

use super::{Code, Finding};
use crate::{Host, PciFunction, host::link_name, host::names, host::read};
use io_core::pci::PciAddress;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// How deep the folders of devices go that are looked through: `usb1/1-4/1-4:1.0/0003:.../hidraw/hidraw0` is one of 6.
const DEEPEST: usize = 12;

/// A process, as it is shown.
pub(super) struct Process {
    id: String,
    command: String,
    /// Its unit of systemd.
    unit: Option<String>,
}

impl Process {
    fn read(dir: &Path, id: &str) -> Self {
        let cgroup = fs::read_to_string(dir.join("cgroup")).unwrap_or_default();
        Self {
            id: id.to_owned(),
            command: read(&dir.join("comm")).unwrap_or_else(|_| "a process".to_owned()),
            unit: unit(&cgroup),
        }
    }

    /// How it is brought to let go.
    pub(super) fn hint(&self) -> String {
        match &self.unit {
            Some(unit) if unit.ends_with(".service") => {
                format!("stop it: sudo systemctl stop {unit}")
            }
            _ => format!("let it end: sudo kill {}", self.id),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}", self.command, self.id)?;
        if let Some(unit) = &self.unit {
            write!(f, ", {unit}")?;
        }
        write!(f, ")")
    }
}

/// Who has the device open or mapped.
pub(super) fn users(host: &Host, function: &PciFunction) -> Vec<Finding> {
    let files = files(host, function);
    let mut found = Vec::new();
    for (id, dir) in others(host) {
        let held = held(&dir, &files, function.address);
        if held.is_empty() {
            continue;
        }
        let process = Process::read(&dir, &id);
        found.extend(held.into_iter().map(|how| {
            let sentence = format!("{process} has {how}");
            Finding::new(Code::Open, sentence, process.hint())
        }));
    }
    found
}

/// Which process has these open, by what the links of its descriptors say: `socket:[4711]`.
pub(super) fn with_descriptors(host: &Host, links: &BTreeSet<String>) -> BTreeMap<String, Process> {
    let mut found = BTreeMap::new();
    for (id, dir) in others(host) {
        for descriptor in names(&dir.join("fd")).unwrap_or_default() {
            let link = link_name(&dir.join("fd").join(&descriptor)).ok().flatten();
            if let Some(link) = link.filter(|link| links.contains(link)) {
                found.insert(link, Process::read(&dir, &id));
            }
        }
    }
    found
}

/// All processes but this one and the kernel's own, with their folders.
fn others(host: &Host) -> impl Iterator<Item = (String, PathBuf)> + '_ {
    let myself = fs::read_link(host.proc().join("self")).unwrap_or_default();
    let all = names(host.proc()).unwrap_or_default().into_iter();
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let others = all.filter(move |name| is_number(name) && Path::new(name) != myself);
    others
        .map(|name| (name.clone(), host.proc().join(name)))
        .filter(|(_, dir)| !is_the_kernels(dir))
}

/// Whether it is a thread of the kernel's own: it has no program, and hence nothing open, nor mapped. To see that takes a
/// fraction of the time, and most processes of a machine may be such.
fn is_the_kernels(dir: &Path) -> bool {
    let program = dir.join("exe");
    let none = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    // The link is there, and leads nowhere (proc_pid_exe(5)).
    fs::read_link(&program).is_err_and(|e| none(&e)) && program.symlink_metadata().is_ok()
}

/// The innermost unit of systemd in `/proc/PID/cgroup`, whose lines are `number:controllers:path`.
fn unit(cgroup: &str) -> Option<String> {
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut units = paths
        .flat_map(|path| path.rsplit('/'))
        .filter(|name| name.ends_with(".service") || name.ends_with(".scope"));
    units.next().map(str::to_owned)
}

/// What a process has of these files: `/dev/nvme0 open`.
fn held(dir: &Path, files: &BTreeSet<PathBuf>, address: PciAddress) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for descriptor in names(&dir.join("fd")).unwrap_or_default() {
        let Ok(file) = fs::read_link(dir.join("fd").join(&descriptor)) else {
            continue;
        };
        if files.contains(&file) {
            held.insert(format!("{} open", file.display()));
        } else if file == Path::new("anon_inode:[vfio-device]") {
            // Newer kernels say which device that is.
            let info = fs::read_to_string(dir.join("fdinfo").join(&descriptor)).unwrap_or_default();
            let of = info
                .lines()
                .find_map(|line| line.strip_prefix("vfio-device-syspath:"));
            if of.is_some_and(|path| path.ends_with(&address.to_string())) {
                held.insert(format!("{address} open by VFIO"));
            }
        }
    }
    let maps = fs::read_to_string(dir.join("maps")).unwrap_or_default();
    for line in maps.lines() {
        // Five words, and the path, which may have spaces in it.
        if let Some(start) = line.find('/') {
            let file = PathBuf::from(line.get(start..).unwrap_or_default());
            if files.contains(&file) {
                held.insert(format!("{} mapped", file.display()));
            }
        }
    }
    held
}

/// The nodes and files by which a program reaches the device.
fn files(host: &Host, function: &PciFunction) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let link = host.function_dir(function.address);
    let dir = link.canonicalize().unwrap_or(link);
    nodes(host, &dir, 0, &mut files);
    for name in names(&dir).unwrap_or_default() {
        if name.starts_with("resource") && name != "resource" || name == "config" || name == "rom" {
            files.insert(dir.join(name));
        }
    }
    // It stays with VFIO while the kernel waits within an unbind.
    let is_with_vfio = function.has_vfio_driver() || dir.join("vfio-dev").exists();
    if let Some(group) = function.iommu_group.filter(|_| is_with_vfio) {
        files.insert(host.vfio_group(group));
    }
    // NVIDIA's driver has nodes of which /sys knows nothing.
    let nvidia = host.proc().join(format!(
        "driver/nvidia/gpus/{}/information",
        function.address
    ));
    let minor = fs::read_to_string(nvidia).unwrap_or_default();
    let minor = minor
        .lines()
        .find_map(|line| line.strip_prefix("Device Minor:"));
    files.extend(minor.map(|minor| host.dev().join(format!("nvidia{}", minor.trim()))));
    files
}

/// The nodes of the devices in this folder and below, but for those behind a bridge.
fn nodes(host: &Host, dir: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    // Not of the function itself, for which some kernels take its lock.
    if dir.join("dev").exists() {
        let event = read(&dir.join("uevent")).unwrap_or_default();
        let name = event.lines().find_map(|line| line.strip_prefix("DEVNAME="));
        found.extend(name.map(|name| host.dev().join(name)));
    }
    if depth == DEEPEST {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_function = entry
            .file_name()
            .to_str()
            .is_some_and(|n| n.parse::<PciAddress>().is_ok());
        // A link leads to another device, or up again.
        if !is_function && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            nodes(host, &entry.path(), depth + 1, found);
        }
    }
}
