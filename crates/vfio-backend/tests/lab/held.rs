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
    /// What is pinned.
    pub fn pinned(&self) -> &str {
        &self.pinned
    }

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
            kept_from_children: vm_flags()
                .iter()
                .filter(|flags| flags.contains(" dc"))
                .count(),
            pinned: pinned.collect(),
        }
    }
}

/// The flags of each mapping of this process, as `/proc/self/smaps` has them (proc_pid_smaps(5)).
fn vm_flags() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let flags = |line: &str| line.strip_prefix("VmFlags:").map(str::to_owned);
    maps.lines().filter_map(flags).collect()
}

/// Whether a child process gets the mapping that has this address: `dc`, "do not copy area on fork".
pub fn is_inherited(address: usize) -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let has = |line: &str| {
        let (first, rest) = line.split_once('-').unwrap();
        let (end, _) = rest.split_once(' ').unwrap();
        let [first, end] = [first, end].map(|text| usize::from_str_radix(text, 16).unwrap());
        first <= address && address < end
    };
    // Both files have the mappings in the same order.
    let position = maps.lines().position(has).unwrap();
    let flags = vm_flags().swap_remove(position);
    !flags.split(' ').any(|flag| flag == "dc")
}

/// The BARs that this process has mapped: lines of `/proc/self/maps`.
pub fn mapped_bars() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("vfio")).count()
}
