//! A machine in a temporary folder, laid out as the kernel lays out `/sys`, `/proc` and `/dev`.

use crate::tree::Tree;
use std::{fs, ops::Deref, os::unix::fs::symlink, path::Path};

/// A machine. Paths are relative to its root.
pub struct Machine(Tree);

impl Deref for Machine {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.0
    }
}

impl Machine {
    pub fn new() -> Self {
        let machine = Self(Tree::new());
        machine.folder("sys/bus/pci/devices");
        machine
    }

    pub fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    /// A link at `at` to `to`, both from the machine's root.
    pub fn link(&self, at: &str, to: &str) {
        let at = self.path(at);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(self.path(to), at).unwrap();
    }

    /// A function at this place below `/sys/devices`: `pci0000:00/0000:00:1c.4/0000:03:00.0`. Returns its folder.
    pub fn function(&self, place: &str, ids: &str, class: u32) -> String {
        let dir = format!("sys/devices/{place}");
        let address = Path::new(place).file_name().unwrap().to_str().unwrap();
        let ids: Vec<&str> = ids.split(':').collect();
        let bridge = class >> 8 == 0x0604;
        let mut config = [0; 256];
        config[0x0e] = u8::from(bridge);
        let [vendor, device] = [ids[0], ids[1]];
        let [of_board, board] = [ids.get(2).unwrap_or(&"0000"), ids.get(3).unwrap_or(&"0000")];
        self.file(&format!("{dir}/config"), config);
        // As the kernel writes it: the digits are capitals.
        let [base, sub, interface] = [class >> 16, class >> 8 & 0xff, class & 0xff];
        let ids = format!("0000{vendor} 0000{device} 0000{of_board} 0000{board}").to_uppercase();
        let ids: Vec<&str> = ids.split(' ').collect();
        let alias = format!(
            "pci:v{}d{}sv{}sd{}bc{base:02X}sc{sub:02X}i{interface:02X}\n",
            ids[0], ids[1], ids[2], ids[3]
        );
        self.file(&format!("{dir}/modalias"), alias);
        if bridge {
            self.file(&format!("{dir}/secondary_bus_number"), "1\n");
        }
        self.file(&format!("{dir}/revision"), "0x00\n");
        self.file(&format!("{dir}/resource"), "0x0 0x0 0x0\n".repeat(6));
        let link = self.path("sys/bus/pci/devices").join(address);
        symlink(format!("../../../devices/{place}"), link).unwrap();
        dir
    }

    /// Gives a function the capability of PCI Express, as a port of this type (PCI Express Base 6.0 section 7.5.3.2).
    pub fn express(&self, function: &str, port: u8) {
        let mut config = fs::read(self.path(&format!("{function}/config"))).unwrap();
        (config[0x06], config[0x34]) = (0x10, 0x40);
        config[0x40..0x44].copy_from_slice(&[0x10, 0, port << 4 | 2, 0]);
        self.file(&format!("{function}/config"), config);
    }

    /// Puts functions, by their folders, into an IOMMU group.
    pub fn group(&self, number: u32, functions: &[&str]) {
        let group = format!("sys/kernel/iommu_groups/{number}");
        for function in functions {
            let address = Path::new(function).file_name().unwrap().to_str().unwrap();
            self.link(&format!("{group}/devices/{address}"), function);
            self.link(&format!("{function}/iommu_group"), &group);
        }
    }

    /// Binds a function to a driver.
    pub fn bind(&self, function: &str, driver: &str) {
        let driver = format!("sys/bus/pci/drivers/{driver}");
        self.folder(&driver);
        self.link(&format!("{function}/driver"), &driver);
    }

    /// Configuration space of 4 KiB whose extended capabilities are these: an id and what follows the header.
    pub fn extended(&self, function: &str, capabilities: &[(u16, &[u8])]) {
        let mut config = fs::read(self.path(&format!("{function}/config"))).unwrap();
        config.resize(4096, 0);
        let mut at = 0x100;
        for (n, (id, body)) in capabilities.iter().enumerate() {
            let next = match n + 1 < capabilities.len() {
                true => u32::try_from(at + 0x40).unwrap(),
                false => 0,
            };
            let header = u32::from(*id) | 1 << 16 | next << 20;
            config[at..at + 4].copy_from_slice(&header.to_le_bytes());
            config[at + 4..at + 4 + body.len()].copy_from_slice(body);
            at += 0x40;
        }
        self.file(&format!("{function}/config"), config);
    }

    /// A network interface of a device (of a function, or of a virtio device on it), or one without a device.
    pub fn interface(&self, name: &str, device: Option<&str>) {
        let dir = match device {
            Some(device) => format!("{device}/net/{name}"),
            None => format!("sys/devices/virtual/net/{name}"),
        };
        self.folder(&dir);
        if let Some(device) = device {
            self.link(&format!("{dir}/device"), device);
        }
        self.link(&format!("sys/class/net/{name}"), &dir);
    }

    /// Stacks the interface `upper` on `lower`; `master` if it owns the lower one, as bonds and bridges do.
    pub fn stack(&self, upper: &str, lower: &str, master: bool) {
        let (class, up, low) = (
            "sys/class/net",
            format!("upper_{upper}"),
            format!("lower_{lower}"),
        );
        self.link(
            &format!("{class}/{lower}/{up}"),
            &format!("{class}/{upper}"),
        );
        self.link(
            &format!("{class}/{upper}/{low}"),
            &format!("{class}/{lower}"),
        );
        if master {
            self.link(
                &format!("{class}/{lower}/master"),
                &format!("{class}/{upper}"),
            );
        }
    }

    /// A disk, or a partition, in this folder, whose number is `number`.
    pub fn block(&self, dir: &str, number: &str) {
        let name = Path::new(dir).file_name().unwrap().to_str().unwrap();
        self.file(&format!("{dir}/dev"), format!("{number}\n"));
        self.file(&format!("{dir}/uevent"), format!("DEVNAME={name}\n"));
        self.folder(&format!("{dir}/holders"));
        self.folder(&format!("{dir}/slaves"));
        self.link(&format!("sys/class/block/{name}"), dir);
    }

    /// Makes the disk `upper` hold `lower`.
    pub fn hold(&self, upper: &str, lower: &str) {
        let class = "sys/class/block";
        self.link(
            &format!("{class}/{lower}/holders/{upper}"),
            &format!("{class}/{upper}"),
        );
        self.link(
            &format!("{class}/{upper}/slaves/{lower}"),
            &format!("{class}/{lower}"),
        );
    }

    /// A process that has these files open.
    pub fn process(&self, pid: u32, comm: &str, open: &[&str]) {
        let dir = format!("proc/{pid}");
        self.file(&format!("{dir}/comm"), format!("{comm}\n"));
        self.file(&format!("{dir}/maps"), "");
        self.folder(&format!("{dir}/fd"));
        for (n, node) in open.iter().enumerate() {
            self.link(&format!("{dir}/fd/{}", n + 3), node);
        }
    }
}

/// A desktop: two NICs of the same kind, an NVMe drive, a drive behind VMD, and a NIC with virtual functions.
pub fn desktop() -> Machine {
    let machine = Machine::new();
    for port in ["00:06.0", "00:1c.0", "00:1c.4", "00:1d.0"] {
        machine.function(&format!("pci0000:00/0000:{port}"), "8086:7ab8", 0x06_0400);
    }
    for (port, bus, name) in [("00:1c.0", "02", "eth0"), ("00:1c.4", "03", "eth1")] {
        let nic = machine.function(
            &format!("pci0000:00/0000:{port}/0000:{bus}:00.0"),
            "8086:125c:8086:0000",
            0x02_0000,
        );
        machine.interface(name, Some(&nic));
    }
    let drive = machine.function(
        "pci0000:00/0000:00:06.0/0000:01:00.0",
        "144d:a80c:144d:a801",
        0x01_0802,
    );
    machine.block(&format!("{drive}/nvme/nvme0/nvme0n1"), "259:0");
    machine.block(&format!("{drive}/nvme/nvme0/nvme0n1/nvme0n1p1"), "259:1");
    machine.function("pci0000:00/0000:00:0e.0", "8086:467f", 0x01_0400);
    let behind = "pci0000:00/0000:00:0e.0/pci10000:e0";
    machine.function(&format!("{behind}/10000:e0:1a.0"), "8086:7ac8", 0x06_0400);
    machine.function(
        &format!("{behind}/10000:e0:1a.0/10000:e1:00.0"),
        "144d:a80c",
        0x01_0802,
    );
    with_virtual_functions(&machine);
    machine
}

/// An X710 whose virtual functions start in the middle of its bus, and go on on the next one.
fn with_virtual_functions(machine: &Machine) {
    let port = "pci0000:00/0000:00:1d.0";
    let physical = machine.function(&format!("{port}/0000:04:00.0"), "8086:1572", 0x02_0000);
    machine.file(&format!("{physical}/sriov_offset"), "16\n");
    machine.file(&format!("{physical}/sriov_stride"), "240\n");
    for (number, virtual_function) in ["0000:04:02.0", "0000:05:00.0"].iter().enumerate() {
        let place = format!("{port}/{virtual_function}");
        let dir = machine.function(&place, "8086:154c", 0x02_0000);
        machine.link(&format!("{dir}/physfn"), &physical);
        machine.link(&format!("{physical}/virtfn{number}"), &dir);
    }
}
