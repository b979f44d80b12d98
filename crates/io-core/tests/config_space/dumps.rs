//! The dumps of this folder.

/// The configuration space of a function, and what lspci says of it.
pub struct Dump {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub lspci: &'static str,
}

pub fn all() -> impl Iterator<Item = Dump> {
    DUMPS.iter().map(|&(name, hex, lspci)| Dump {
        name,
        bytes: bytes(hex),
        lspci,
    })
}

/// The bytes of the dump with this name.
pub fn named(name: &str) -> Vec<u8> {
    all().find(|dump| dump.name == name).unwrap().bytes
}

macro_rules! dumps {
    ($($name:literal)*) => {
        &[$( ($name, include_str!(concat!($name, ".hex")), include_str!(concat!($name, ".lspci"))) ),*]
    };
}

const DUMPS: &[(&str, &str, &str)] = dumps![
    "82576-sr-iov"
    "cloud-virtio-net"
    "fiji-resizable-bar"
    "gm965-host-bridge"
    "intel-dsa-pasid"
    "made-by-hand"
    "oz711-cardbus"
    "qemu-ahci"
    "qemu-e1000e"
    "qemu-edu"
    "qemu-ioh3420"
    "qemu-ivshmem"
    "qemu-nvme-sr-iov"
    "qemu-pci-bridge"
    "qemu-pcie-pci-bridge"
    "qemu-root-port"
    "qemu-switch-downstream"
    "qemu-switch-upstream"
    "qemu-testdev"
    "qemu-virtio-ats"
    "qemu-xhci"
    "thunderx-ea"
];

/// The bytes of a dump as `lspci -xxxx` writes it. Lines of zeros are left out, but for the last one.
fn bytes(hex: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in hex.lines().skip(1) {
        let (offset, values) = line.split_once(": ").unwrap();
        bytes.resize(usize::from_str_radix(offset, 16).unwrap(), 0);
        let values = values.split(' ');
        bytes.extend(values.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}
