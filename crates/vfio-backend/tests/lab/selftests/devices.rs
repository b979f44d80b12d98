//! The devices and modes that scenarios run on.

use lab_guest::Bound;
use pci_host::Host;
use std::{
    fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process,
    sync::OnceLock,
};
use vfio_backend::{IommuMode, VfioContext, VfioDevice};

/// A device of the lab: see docs/lab.md.
pub struct Device {
    pub name: &'static str,
    pub address: &'static str,
}

const fn device(name: &'static str, address: &'static str) -> Device {
    Device { name, address }
}

pub const EDU: Device = device("edu", "00:03.0");

/// Those of every machine.
pub const DEVICES: [Device; 7] = [
    EDU,
    device("e1000e", "03:00.0"),
    device("nvme", "04:00.0"),
    device("virtio-net", "05:03.0"),
    device("pci-testdev", "00:13.0"),
    device("ivshmem", "00:10.0"),
    device("pvpanic", "00:14.0"),
];

/// That of the machine `qemu10`.
pub const IGB: Device = device("igb", "06:00.0");

impl Device {
    /// Binds it, and whatever it shares its IOMMU group with. The first is the device itself.
    pub fn bind(&self) -> Vec<Bound> {
        let device = Bound::new(self.address);
        let function = device.host.function(device.address).unwrap();
        let members = device.host.iommu_group(function.iommu_group.unwrap());
        let others: Vec<_> = members
            .unwrap()
            .into_iter()
            .filter(|member| !member.is_bridge && member.address != device.address)
            .map(|member| Bound::new(&member.address.to_string()))
            .collect();
        std::iter::once(device).chain(others).collect()
    }
}

/// An interface of the kernel, by the name that its selftests have for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `/dev/vfio/vfio`.
    Type1v2,
    /// The same calls, made to `/dev/iommu`.
    CompatType1v2,
    Iommufd,
}

impl Mode {
    /// Those of this kernel.
    pub fn all() -> &'static [Self] {
        match lab_guest::fact("kernel").as_str() {
            "full" => &[Self::Type1v2, Self::CompatType1v2, Self::Iommufd],
            _ => &[Self::Type1v2],
        }
    }

    pub fn context(self) -> VfioContext {
        let (host, mode) = match self {
            Self::Type1v2 => (Host::system(), IommuMode::Type1),
            Self::CompatType1v2 => (compatible(), IommuMode::Type1),
            Self::Iommufd => (Host::system(), IommuMode::Iommufd),
        };
        VfioContext::new(&host, mode).unwrap()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type1v2 => "vfio_type1v2_iommu",
            Self::CompatType1v2 => "iommufd_compat_type1v2",
            Self::Iommufd => "iommufd",
        })
    }
}

/// A machine as this one, of which the container is `/dev/iommu`.
fn compatible() -> Host {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    Host::at(ROOT.get_or_init(|| {
        let root = std::env::temp_dir().join(format!("compatible-{}", process::id()));
        let vfio = root.join("dev/vfio");
        fs::create_dir_all(&vfio).unwrap();
        symlink("/sys", root.join("sys")).unwrap();
        symlink("/dev/iommu", vfio.join("vfio")).unwrap();
        // More groups than there are in the lab.
        for group in 0..64 {
            let name = group.to_string();
            symlink(Path::new("/dev/vfio").join(&name), vfio.join(&name)).unwrap();
        }
        root
    }))
}

/// A device that is open, and what to say of it when an assertion fails.
pub struct Opened {
    pub device: VfioDevice,
    pub mode: Mode,
    pub name: &'static str,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in the mode {}", self.name, self.mode)
    }
}

/// Runs a scenario on each of the devices in each mode: one after the other, so that there is one context in the process at
/// a time.
pub fn each(devices: &[Device], scenario: impl Fn(&Opened)) {
    for device in devices {
        in_each_mode(device, &scenario);
    }
}

fn in_each_mode(device: &Device, scenario: &impl Fn(&Opened)) {
    let bound = device.bind();
    for &mode in Mode::all() {
        let opened = mode.context().open(bound[0].address);
        let opened = opened.unwrap_or_else(|e| panic!("{} in {mode}: {e}", device.name));
        scenario(&Opened {
            device: opened,
            mode,
            name: device.name,
        });
    }
}
