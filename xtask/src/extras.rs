//! The devices that `--devices` adds: the first one is at `0000:06:00.0`, the next at `0000:07:00.0`, and so on, each
//! behind a root port of its own (`0000:00:15.0`, `0000:00:16.0`, ...). The standard ones stay where they are.

use std::fs::File;
use std::path::Path;

use crate::error::{Context, Result};
use crate::topology::{NVME_BYTES, arguments, value};

/// The slot of the first root port; what is behind the last one of the standard devices has bus 5.
const FIRST_SLOT: usize = 0x15;

/// Behind them are the lab's own devices.
const MOST: usize = 5;

/// A device that can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Extra {
    /// Intel's network card 82576, 8086:10c9, with SR-IOV; asks for QEMU 8 or later, as --qemu-version does
    Igb,
    /// A network card, 8086:10d3
    E1000e,
    /// A drive of 64 MiB, 1b36:0010
    Nvme,
    /// QEMU's educational device, 1234:11e8
    Edu,
    /// A network card, 1af4:1041
    VirtioNet,
    /// QEMU's test device, 1b36:0005
    PciTestdev,
    /// Memory, 1 MiB in BAR 2, 1af4:1110
    Ivshmem,
    /// What tells the host of a panic, 1b36:0011
    Pvpanic,
}

/// The arguments for `extras`. `folder` is for files that last as long as the run.
pub fn devices(extras: &[Extra], folder: &Path) -> Result<Vec<String>> {
    if extras.len() > MOST {
        return Err(format!("--devices takes at most {MOST} devices").into());
    }
    let mut text = String::new();
    for (position, extra) in extras.iter().enumerate() {
        let (id, slot) = (format!("extra{position}"), FIRST_SLOT + position);
        text +=
            &format!("-device pcie-root-port,id={id},chassis={slot},slot={slot},addr={slot:x}.0\n");
        text += &extra.device(&id, folder)?;
    }
    Ok(arguments(&text))
}

impl Extra {
    /// The device behind the root port `id`, and what stands behind the device.
    fn device(self, id: &str, folder: &Path) -> Result<String> {
        let net = |device: &str| {
            format!(
                "-netdev user,id={id}-net,restrict=on
                 -device {device},bus={id},netdev={id}-net,romfile=\n"
            )
        };
        Ok(match self {
            Self::Igb => net("igb"),
            Self::E1000e => net("e1000e"),
            Self::VirtioNet => net("virtio-net-pci"),
            Self::Edu => format!("-device edu,bus={id}\n"),
            Self::PciTestdev => format!("-device pci-testdev,bus={id}\n"),
            Self::Pvpanic => format!("-device pvpanic-pci,bus={id}\n"),
            Self::Ivshmem => format!(
                "-object memory-backend-ram,id={id}-memory,size=1M,share=on
                 -device ivshmem-plain,memdev={id}-memory,bus={id}\n"
            ),
            Self::Nvme => {
                let file = folder.join(format!("{id}.img"));
                File::create(&file)
                    .and_then(|file| file.set_len(NVME_BYTES))
                    .context(|| format!("cannot make the drive {}", file.display()))?;
                format!(
                    "-drive if=none,id={id}-drive,format=raw,file={}
                     -device nvme,bus={id},drive={id}-drive,serial={id}\n",
                    value(&file)?
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Extra, MOST, Path, devices};

    #[test]
    fn each_has_a_root_port_of_its_own() {
        let arguments = devices(&[Extra::Edu, Extra::Pvpanic], Path::new("/")).unwrap();
        let devices: Vec<&String> = arguments.iter().skip(1).step_by(2).collect();
        assert_eq!(
            devices,
            [
                "pcie-root-port,id=extra0,chassis=21,slot=21,addr=15.0",
                "edu,bus=extra0",
                "pcie-root-port,id=extra1,chassis=22,slot=22,addr=16.0",
                "pvpanic-pci,bus=extra1",
            ]
        );
    }

    #[test]
    fn more_than_there_are_slots_are_refused() {
        assert!(devices(&[Extra::Edu; MOST + 1], Path::new("/")).is_err());
    }
}
