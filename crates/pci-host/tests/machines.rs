//! Machines as they were seen: what the kernel shows of each, in `machines/`, beside what lspci said of it then.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::pci::PciAddress;
use pci_host::{BarKind, BarResource, Code, Finding, Host, PciFunction};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A machine that was written down by `machines/capture.sh`.
struct Machine {
    root: TempDir,
    said: PathBuf,
    host: Host,
}

impl Machine {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
        let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let all: Vec<Self> = entries
            .filter(|path| path.is_dir())
            .map(Self::new)
            .collect();
        assert!(!all.is_empty());
        all
    }

    fn named(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
        Self::new(folder.join(name))
    }

    /// What is found of a function, as `code: sentence`.
    fn users(&self, address: &str) -> Vec<String> {
        let function = self.host.function(address.parse().unwrap()).unwrap();
        let found = self.host.users(&function).unwrap().into_iter();
        found
            .map(|finding| format!("{}: {}", finding.code, finding.sentence))
            .collect()
    }

    fn new(said: PathBuf) -> Self {
        let root = TempDir::new().unwrap();
        let host = Host::at(root.path());
        let machine = Self { root, said, host };
        for line in machine.said("files").lines() {
            machine.add(line);
        }
        machine
    }

    fn said(&self, file: &str) -> String {
        fs::read_to_string(self.said.join(file)).unwrap()
    }

    /// Makes one file or link.
    fn add(&self, line: &str) {
        let (path, rest) = line.split_once(' ').unwrap();
        let (kind, rest) = rest.split_once(' ').unwrap();
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match kind {
            "=" => fs::write(path, rest.replace('|', "\n")).unwrap(),
            "->" => {
                // What a link leads to may show nothing else.
                fs::create_dir_all(path.parent().unwrap().join(rest)).unwrap();
                symlink(rest, path).unwrap();
            }
            ":" => {
                let (digits, length) = rest.split_once(' ').unwrap();
                let digits = digits.as_bytes().chunks(2);
                let mut bytes: Vec<u8> = digits
                    .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 16).unwrap())
                    .collect();
                bytes.resize(length.parse().unwrap(), 0);
                fs::write(path, bytes).unwrap();
            }
            _ => panic!("{line}"),
        }
    }

    /// What lspci said of each function, by its words for it.
    fn lspci(&self) -> BTreeMap<PciAddress, BTreeMap<String, String>> {
        let text = self.said("lspci");
        let functions = text.split("\n\n").filter(|block| !block.is_empty());
        let function = |block: &str| {
            let fields = block.lines().map(|line| line.split_once(":\t").unwrap());
            let fields: BTreeMap<String, String> = fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            (fields.get("Slot").unwrap().parse().unwrap(), fields)
        };
        functions.map(function).collect()
    }

    /// What lspci said of the BARs of each function.
    fn regions(&self) -> BTreeMap<PciAddress, Vec<BarResource>> {
        let mut all: BTreeMap<PciAddress, Vec<_>> = BTreeMap::new();
        let mut address = None;
        for line in self.said("lspci-regions").lines() {
            if let Some(region) = line.strip_prefix("\tRegion ") {
                all.get_mut(&address.unwrap())
                    .unwrap()
                    .push(self::region(region));
            } else if !line.starts_with('\t') {
                address = Some(line.split(' ').next().unwrap().parse().unwrap());
                all.insert(address.unwrap(), Vec::new());
            }
        }
        all
    }

    fn functions(&self) -> BTreeMap<PciAddress, PciFunction> {
        let all = self.host.functions().unwrap().into_iter();
        all.map(|function| (function.address, function)).collect()
    }
}

/// Of `0: Memory at fe840000 (32-bit, non-prefetchable) [size=128K]`, `2: I/O ports at d040 [size=32]`.
fn region(text: &str) -> BarResource {
    let (index, rest) = text.split_once(": ").unwrap();
    let (what, size) = rest.split_once(" [size=").unwrap();
    let size = size.strip_suffix(']').unwrap();
    let (digits, unit) = match size.split_at(size.len() - 1) {
        (digits, "K") => (digits, 1 << 10),
        (digits, "M") => (digits, 1 << 20),
        (digits, "G") => (digits, 1 << 30),
        _ => (size, 1),
    };
    let (_, start) = what.split_once(" at ").unwrap();
    let start = start.split(' ').next().unwrap();
    let kind = match what.contains("I/O ports") {
        true => BarKind::IoPorts,
        false => BarKind::Memory {
            prefetchable: !what.contains("non-prefetchable"),
            wide: what.contains("64-bit"),
        },
    };
    BarResource {
        index: index.parse().unwrap(),
        start: u64::from_str_radix(start, 16).unwrap(),
        size: digits.parse::<u64>().unwrap() * unit,
        kind,
    }
}

#[test]
fn ids_drivers_and_groups_are_those_that_lspci_names() {
    for machine in Machine::all() {
        let (functions, lspci) = (machine.functions(), machine.lspci());
        let (ours, theirs): (Vec<_>, Vec<_>) = (functions.keys().collect(), lspci.keys().collect());
        assert_eq!(ours, theirs, "{:?}", machine.said);
        for (address, f) in functions {
            let theirs = lspci.get(&address).unwrap();
            let said = |name: &str| theirs.get(name).cloned().unwrap_or_default();
            let id = |id: u16| format!("{id:04x}");
            assert_eq!(
                (id(f.vendor), id(f.device)),
                (said("Vendor"), said("Device"))
            );
            assert_eq!(format!("{:04x}", f.class >> 8), said("Class"), "{address}");
            let board = format!("{:04x}:{:04x}", f.subsystem_vendor, f.subsystem_device);
            // lspci says nothing of a board without ids.
            if !said("SVendor").is_empty() {
                assert_eq!(board, format!("{}:{}", said("SVendor"), said("SDevice")));
            }
            assert_eq!(
                f.driver.clone().unwrap_or_default(),
                said("Driver"),
                "{address}"
            );
            let group = f.iommu_group.map(|group| group.to_string());
            assert_eq!(group.unwrap_or_default(), said("IOMMUGroup"), "{address}");
        }
    }
}

#[test]
fn bars_have_the_sizes_that_lspci_names() {
    for machine in Machine::all() {
        let regions = machine.regions();
        for (address, function) in machine.functions() {
            assert_eq!(
                function.bars, regions[&address],
                "{address} of {:?}",
                machine.said
            );
        }
    }
}

#[test]
fn bridges_on_the_way_are_those_that_lspci_names() {
    for machine in Machine::all() {
        for line in machine.said("lspci-paths").lines() {
            let (path, _) = line.split_once(' ').unwrap();
            let mut way: Vec<PciAddress> = path
                .split('/')
                .map(|address| address.parse().unwrap())
                .collect();
            let address = way.pop().unwrap();
            assert_eq!(machine.host.bridges_to(address), way, "{:?}", machine.said);
        }
    }
}

#[test]
fn a_group_has_the_members_that_lspci_names() {
    for machine in Machine::all() {
        let mut expected: BTreeMap<u32, BTreeSet<PciAddress>> = BTreeMap::new();
        for (address, fields) in machine.lspci() {
            if let Some(group) = fields.get("IOMMUGroup") {
                expected
                    .entry(group.parse().unwrap())
                    .or_default()
                    .insert(address);
            }
        }
        let groups = machine.host.iommu_groups().unwrap().into_iter();
        let ours: BTreeMap<u32, BTreeSet<PciAddress>> = groups
            .map(|group| {
                (
                    group.number,
                    group.members.iter().map(|m| m.address).collect(),
                )
            })
            .collect();
        assert_eq!(ours, expected, "{:?}", machine.said);
    }
}

#[test]
fn a_path_and_what_is_attached_lead_back_to_the_function() {
    for machine in Machine::all() {
        for function in machine.functions().into_values() {
            let path = machine.host.device_path(function.address).to_string();
            let found = machine
                .host
                .select(&format!("path:{path}").parse().unwrap());
            assert_eq!(found.unwrap(), function, "{path}");
        }
        for (address, selectors) in machine.host.attached() {
            for selector in selectors {
                match machine.host.select(&selector) {
                    Ok(function) => assert_eq!(function.address, address),
                    // Several controllers reach that disk.
                    Err(error) => assert!(error.hint().unwrap().contains(&address.to_string())),
                }
            }
        }
    }
}

#[test]
fn routes_that_ip_names_and_mounts_that_lsblk_names_are_found() {
    let mut routes = 0;
    let mut mounts = 0;
    for machine in Machine::all() {
        let has = |selector: &str, code: Code, what: &str, on: &str| {
            let function = machine.host.select(&selector.parse().unwrap()).ok()?;
            let found = machine.host.users(&function).unwrap();
            let fits = |finding: &Finding| {
                // Whoever reads of the default route is told of no other.
                let said = |words: &str| finding.sentence.contains(words);
                finding.code == code && (said(what) || said("the default route")) && said(on)
            };
            Some(found.iter().any(fits))
        };
        for line in machine.said("ip-route").lines() {
            let to = line.split(' ').next().unwrap();
            let mut words = line.split(' ').skip_while(|word| *word != "dev");
            let interface = words.nth(1).unwrap();
            // That of a virtual interface is found for what it stands on.
            if let Some(found) = has(&format!("net:{interface}"), Code::Route, to, interface) {
                assert!(found, "{line} of {:?}", machine.said);
                routes += 1;
            }
        }
        for line in machine.said("lsblk").lines() {
            let (disk, point) = line.split_once(' ').unwrap_or((line, ""));
            let disk_of = format!("block:{disk}");
            if let Some(found) =
                has(&disk_of, Code::Mounted, point, disk).filter(|_| !point.is_empty())
            {
                assert!(found, "{line} of {:?}", machine.said);
                mounts += 1;
            }
        }
    }
    assert!(routes > 0 && mounts > 0);
}

#[test]
fn a_disk_that_two_controllers_reach_is_in_use_through_each() {
    // QEMU was told of one subsystem with controllers at 16.0 and 17.0. Nothing was mounted then; this line is made up.
    let machine = Machine::named("q35-multipath");
    machine.add("proc/self/mountinfo = 35 26 259:2 / /tmp/mnt rw - ext4 /dev/nvme1n1 rw|");
    for address in ["0000:00:16.0", "0000:00:17.0"] {
        let expected = format!("mounted: /tmp/mnt is mounted from nvme1n1 of {address}");
        assert_eq!(machine.users(address), [expected]);
    }
    assert_eq!(machine.users("0000:04:00.0"), Vec::<String>::new());
}

#[test]
fn a_screen_and_virtual_functions_are_found() {
    // QEMU's VGA was in 02:00.0, and 2 was written to igb's sriov_numvfs.
    let card = "0000:02:00.0";
    assert_eq!(
        Machine::named("q35-multipath").users(card),
        [
            format!("display: {card} is what the firmware and the boot loader show themselves on"),
            format!("display: a screen at card0-Virtual-1 shows a picture of {card}"),
            format!("display: fb0 of {card} is a console"),
        ]
    );
    let machine = Machine::named("q35-igb");
    let said = "vfs: 0000:06:00.0 has 2 virtual functions, which go away with its driver";
    assert_eq!(machine.users("0000:06:00.0"), [said]);
    let physical = machine
        .host
        .physical_function("0000:06:10.2".parse().unwrap());
    assert_eq!(physical, Some("0000:06:00.0".parse().unwrap()));
}
