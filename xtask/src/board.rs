//! Memory, chipset, IOMMU, and the kernel's command line.

use crate::lab::Options;

/// A panic ends QEMU, and an oops is one. The kernel's self-tests of cryptography would take half a second; its test of the
/// timer takes an emulator on a busy host for a broken one, and panics.
const CMDLINE: &str = "console=ttyS0 panic=-1 oops=panic quiet cryptomgr.notests no_timer_check";

/// What every machine has. A write to pvpanic is an event for the host, and ends nothing.
const COMMON: &str = "-nodefaults -display none -no-reboot -action panic=none -smp 2 -m 1024";

/// The IOMMU of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Iommu {
    /// Intel's, with interrupt remapping
    Intel,
    /// Intel's, which cannot remap interrupts
    Noremap,
    /// AMD's, with interrupt remapping
    Amd,
    /// virtio-iommu, which cannot remap interrupts: VFIO is told to allow that
    Virtio,
    /// None
    None,
}

impl Iommu {
    /// The word for it, which tests in the guest see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intel => "intel",
            Self::Noremap => "noremap",
            Self::Amd => "amd",
            Self::Virtio => "virtio",
            Self::None => "none",
        }
    }

    /// The device, which must come before all others. AMD's takes the first free slot, 01.0, and cannot be told where.
    fn device(self) -> Option<&'static str> {
        match self {
            Self::Intel => Some("intel-iommu,intremap=on,caching-mode=on"),
            Self::Noremap => Some("intel-iommu,intremap=off,caching-mode=on"),
            Self::Amd => Some("amd-iommu,intremap=on"),
            Self::Virtio => Some("virtio-iommu-pci,addr=01.0"),
            Self::None => None,
        }
    }

    /// What the kernel is told. Behind QEMU's amd-iommu its own nvme driver gives up after 60 s if its DMA is translated.
    fn cmdline(self) -> &'static str {
        match self {
            Self::Intel | Self::Noremap => " intel_iommu=on",
            Self::Amd => " iommu=pt",
            Self::Virtio | Self::None => "",
        }
    }
}

/// The arguments of QEMU.
pub fn arguments(options: &Options) -> Vec<String> {
    let mut words: Vec<&str> = COMMON.split(' ').collect();
    if options.count {
        words.extend(["-icount", "shift=0,sleep=off"]);
    }
    words.extend(["-machine", "q35,kernel-irqchip=split"]);
    words.extend(
        options
            .iommu
            .device()
            .into_iter()
            .flat_map(|device| ["-device", device]),
    );
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let mut cmdline = format!("{CMDLINE}{}", options.iommu.cmdline());
    if let Some(more) = &options.append {
        cmdline = format!("{cmdline} {more}");
    }
    words.extend(["-append".to_owned(), cmdline]);
    words
}
