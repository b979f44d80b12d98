//! What this process has of devices: what a test that comes and goes leaves nothing of.

use std::fs;

/// Descriptors, mappings and pinned memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    descriptors: usize,
    /// Lines of `/proc/self/maps` that are of VFIO, or of what takes the place of a BAR that does not answer.
    mappings: usize,
    /// Mappings that child processes do not get (`dc` in `/proc/self/smaps`, proc_pid_smaps(5)): BARs, and memory for devices.
    kept_from_children: usize,
    /// `VmLck` and `VmPin` of `/proc/self/status`: type 1 counts in the one, and iommufd in the other.
    pinned: String,
}

impl Held {
    pub fn now() -> Self {
        let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        let ours = |line: &&str| line.contains("vfio") || line.contains("outboard");
        let status = read("status");
        let pinned = status
            .lines()
            .filter(|line| line.starts_with("VmLck") || line.starts_with("VmPin"));
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            mappings: read("maps").lines().filter(ours).count(),
            kept_from_children: vm_flags().filter(|flags| flags.contains(" dc")).count(),
            pinned: pinned.collect(),
        }
    }
}

/// The flags of each mapping of this process.
fn vm_flags() -> impl Iterator<Item = String> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let flags = |line: &str| line.strip_prefix("VmFlags:").map(str::to_owned);
    maps.lines()
        .filter_map(flags)
        .collect::<Vec<_>>()
        .into_iter()
}
