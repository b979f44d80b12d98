//! The disks of a device, what is made of them, and what is mounted from that.

use super::{Code, Finding};
use crate::{Host, PciFunction, host::names, host::read};
use io_core::pci::PciAddress;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
};

/// A disk or partition of the device, or one that is made of such.
struct Disk {
    name: String,
    /// Those below it, the device's own first.
    below: Vec<String>,
}

impl Disk {
    /// Its name and how it comes to the device: `dm-0 (vg-root, on nvme0n1p3)`.
    fn shown(&self, host: &Host) -> String {
        let title = read(
            &host
                .sys()
                .join("class/block")
                .join(&self.name)
                .join("dm/name"),
        );
        let below = self.below.iter().rev().map(|name| format!("on {name}"));
        let more: Vec<String> = title.into_iter().chain(below).collect();
        match more.as_slice() {
            [] => self.name.clone(),
            more => format!("{} ({})", self.name, more.join(", ")),
        }
    }
}

/// What is kept on the device.
pub(super) fn users(host: &Host, function: &PciFunction) -> Vec<Finding> {
    let class = host.sys().join("class/block");
    let is_its = |name: &String| {
        host.disk_devices(&class.join(name))
            .contains(&function.address)
    };
    let own: Vec<String> = host.class("block").into_iter().filter(is_its).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let mounts = mounts(host);
    let swaps = fs::read_to_string(host.proc().join("swaps")).unwrap_or_default();
    let mut found = Vec::new();
    let mut explained = BTreeSet::new();
    for disk in climb(host, own.clone()) {
        let before = found.len();
        found.extend(held(host, &disk, function.address));
        let number = read(&class.join(&disk.name).join("dev")).unwrap_or_default();
        for point in mounts.get(&number).into_iter().flatten() {
            let shown = disk.shown(host);
            let sentence = format!("{point} is mounted from {shown} of {}", function.address);
            let hint = format!("unmount it: sudo umount {point}");
            found.push(Finding::new(Code::Mounted, sentence, hint));
        }
        let node = host.dev().join(&disk.name).display().to_string();
        if swaps
            .lines()
            .any(|line| line.split_whitespace().next() == Some(&node))
        {
            let shown = disk.shown(host);
            let sentence = format!("the kernel swaps to {shown} of {}", function.address);
            let hint = format!("end that: sudo swapoff {node}");
            found.push(Finding::new(Code::Swap, sentence, hint));
        }
        found.extend(btrfs(host, &disk, function.address));
        if found.len() > before {
            explained.extend(disk.below);
            explained.insert(disk.name);
        }
    }
    // Whoever has a partition keeps others from all of the disk: partitions, whose names are longer, come first.
    let mut own = own;
    own.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for disk in own {
        if !explained.iter().any(|name| is_or_has(&disk, name)) {
            let finding = claimed(host, &disk, function.address);
            explained.extend(finding.is_some().then_some(disk));
            found.extend(finding);
        }
    }
    found
}

/// Whether `name` is this disk, or a partition of it: `sda` has `sda1`, `nvme0n1` has `nvme0n1p1`, and not `nvme0n12`.
fn is_or_has(disk: &str, name: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else {
        return false;
    };
    let number = match disk.ends_with(|last: char| last.is_ascii_digit()) {
        true => rest.strip_prefix('p'),
        false => Some(rest),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_empty() || number.is_some_and(is_number)
}

/// The disks, and all that are made of them.
fn climb(host: &Host, own: Vec<String>) -> Vec<Disk> {
    let mut seen: BTreeSet<String> = own.iter().cloned().collect();
    let mut found: Vec<Disk> = Vec::new();
    let mut waiting: Vec<Disk> = own
        .into_iter()
        .map(|name| Disk {
            name,
            below: Vec::new(),
        })
        .collect();
    while let Some(disk) = waiting.pop() {
        let holders = host
            .sys()
            .join("class/block")
            .join(&disk.name)
            .join("holders");
        let holders = names(&holders).unwrap_or_default().into_iter();
        for name in holders.chain(loops(host, &disk.name)) {
            if seen.insert(name.clone()) {
                let below = [disk.below.as_slice(), std::slice::from_ref(&disk.name)].concat();
                waiting.push(Disk { name, below });
            }
        }
        found.push(disk);
    }
    found
}

/// The loop devices on a disk, which are no holders of it.
fn loops(host: &Host, disk: &str) -> Vec<String> {
    let class = host.sys().join("class/block");
    let node = host.dev().join(disk).display().to_string();
    let mut all = host.class("block");
    all.retain(|name| {
        name.starts_with("loop")
            && read(&class.join(name).join("loop/backing_file")).is_ok_and(|file| file == node)
    });
    all
}

/// That a disk is a part of another one.
fn held(host: &Host, disk: &Disk, address: PciAddress) -> Option<Finding> {
    let lower = disk.below.last()?;
    let dir = host.sys().join("class/block").join(&disk.name);
    let id = read(&dir.join("dm/uuid")).unwrap_or_default();
    let title = read(&dir.join("dm/name")).unwrap_or_else(|_| disk.name.clone());
    let (what, hint) = match id.split('-').next() {
        Some("LVM") => (
            "LVM's volume",
            format!("switch it off: sudo lvchange -an {title}"),
        ),
        Some("CRYPT") => (
            "the encrypted disk",
            format!("close it: sudo cryptsetup close {title}"),
        ),
        Some("mpath") => (
            "the multipath disk",
            format!("remove it: sudo multipath -f {title}"),
        ),
        _ if dir.join("md").exists() => (
            "the RAID",
            format!("stop it: sudo mdadm --stop /dev/{title}"),
        ),
        _ if dir.join("loop").exists() => (
            "the loop",
            format!("detach it: sudo losetup --detach /dev/{title}"),
        ),
        _ => ("the disk", format!("see what it is: lsblk /dev/{lower}")),
    };
    let sentence = format!("{what} {title} is on {lower} of {address}");
    Some(Finding::new(Code::Holder, sentence, hint))
}

/// That a disk is one of those of a btrfs, whose mounts show another number.
fn btrfs(host: &Host, disk: &Disk, address: PciAddress) -> Option<Finding> {
    let all = host.sys().join("fs/btrfs");
    let mut systems = names(&all).unwrap_or_default().into_iter();
    let id = systems.find(|id| all.join(id).join("devices").join(&disk.name).exists())?;
    let sentence = format!(
        "the btrfs {id} is mounted, and {} of {address} is a part of it",
        disk.shown(host)
    );
    Some(Finding::new(
        Code::Mounted,
        sentence,
        "unmount it: findmnt -t btrfs shows where it is",
    ))
}

/// That the kernel has a disk for itself, as ZFS has its disks, of which it says nothing: nobody else can have it then.
fn claimed(host: &Host, disk: &str, address: PciAddress) -> Option<Finding> {
    const O_EXCL: i32 = 0o200;
    const EBUSY: i32 = 16;

    let node = host.dev().join(disk);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(O_EXCL)
        .open(node);
    opened
        .err()
        .filter(|e: &io::Error| e.raw_os_error() == Some(EBUSY))?;
    let (perhaps, hint) = match pools(host).as_slice() {
        [] => (
            String::new(),
            format!("lsblk --output +FSTYPE /dev/{disk} may say what for"),
        ),
        pools => (
            format!(", perhaps for ZFS ({})", pools.join(", ")),
            "export the pool: zpool status -P, sudo zpool export".to_owned(),
        ),
    };
    let sentence = format!("the kernel has {disk} of {address} for itself{perhaps}");
    Some(Finding::new(Code::Holder, sentence, hint))
}

/// The pools of ZFS that are imported: each has a folder, beside files that are about all of them.
fn pools(host: &Host) -> Vec<String> {
    let all = host.proc().join("spl/kstat/zfs");
    let mut pools = names(&all).unwrap_or_default();
    pools.retain(|name| all.join(name).is_dir());
    pools.sort_unstable();
    pools
}

/// Where file systems are mounted, by the numbers of their disks, in all mount namespaces that can be seen.
fn mounts(host: &Host) -> BTreeMap<String, BTreeSet<String>> {
    let proc = host.proc();
    let namespace = |process: &str| fs::read_link(proc.join(process).join("ns/mnt")).ok();
    let mut seen = BTreeSet::from([namespace("self")]);
    let processes = names(proc).unwrap_or_default().into_iter();
    let processes = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let others: Vec<String> = processes
        .filter(|process| namespace(process).is_some_and(|namespace| seen.insert(Some(namespace))))
        .collect();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for process in std::iter::once("self").chain(others.iter().map(String::as_str)) {
        let text = fs::read_to_string(proc.join(process).join("mountinfo")).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split(' ').skip(2);
            if let (Some(number), Some(point)) = (words.next(), words.nth(1)) {
                let point = plain(point);
                let shown = if process == "self" {
                    point
                } else {
                    format!("{point} (of process {process})")
                };
                all.entry(number.to_owned()).or_default().insert(shown);
            }
        }
    }
    all
}

/// A path as it is: the kernel writes a space as `\040`.
fn plain(path: &str) -> String {
    let mut plain = path.to_owned();
    for (written, is) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        plain = plain.replace(written, is);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{is_or_has, plain, pools};
    use crate::Host;
    use std::fs;

    #[test]
    fn a_space_in_a_path_is_written_by_its_number() {
        assert_eq!(plain("/mnt/my\\040disk"), "/mnt/my disk");
    }

    #[test]
    fn a_partition_is_of_its_disk_and_of_no_other() {
        for (disk, name, is) in [
            ("sda", "sda1", true),
            ("sda", "sda", true),
            ("sda", "sdaa1", false),
            ("nvme0n1", "nvme0n1p9", true),
            ("nvme0n1", "nvme0n1", true),
            ("nvme0n1", "nvme0n12", false),
            ("nvme0n1p1", "nvme0n1", false),
        ] {
            assert_eq!(is_or_has(disk, name), is, "{name} of {disk}");
        }
    }

    #[test]
    fn pools_of_zfs_are_folders_beside_files() {
        // As OpenZFS 2.1 lays it out: module/zfs/spa_stats.c, arc.c, dbuf.c.
        let root = tempfile::tempdir().unwrap();
        let all = root.path().join("proc/spl/kstat/zfs");
        for file in [
            "tank/state",
            "tank/txgs",
            "rpool/iostats",
            "arcstats",
            "dbufstats",
            "zil",
        ] {
            let file = all.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        assert_eq!(pools(&Host::at(root.path())), ["rpool", "tank"]);
        assert!(pools(&Host::at(all)).is_empty());
    }
}
