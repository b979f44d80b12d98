//! The lab's PCI devices, always at the same addresses, as QEMU arguments.
//!
//! | address | device | ids | what it is for |
//! |---|---|---|---|
//! | `0000:00:03.0` | edu | 1234:11e8 | registers, INTx, MSI, DMA; no reset method |
//! | `0000:00:04.0` | root port `rp1` | 1b36:000c | |
//! | `0000:01:00.0` | edu | 1234:11e8 | the same with a bus reset |
//! | `0000:00:05.0` | root port `rp2` | 1b36:000c | empty (bus 2), for hot-plug |
//! | `0000:00:06.0` | root port `rp3` | 1b36:000c | |
//! | `0000:03:00.0` | e1000e | 8086:10d3 | a device with a kernel driver |
//! | `0000:00:07.0` | root port `rp4` | 1b36:000c | |
//! | `0000:04:00.0` | nvme | 1b36:0010 | a device with a kernel driver, DMA, MSI-X; 64 MiB, empty |
//! | `0000:00:08.0` | PCIe-to-PCI bridge `br` | 1b36:000e | one IOMMU group with all that is behind it |
//! | `0000:05:01.0` | edu | 1234:11e8 | |
//! | `0000:05:02.0` | edu | 1234:11e8 | |
//! | `0000:05:03.0` | virtio-net | 1af4:1000 | a sibling with a kernel driver |
//! | `0000:00:10.0` | ivshmem-plain | 1af4:1110 | BAR 2 is 64 MiB of memory, a file on the host |
//! | `0000:00:11.0` | ivshmem-doorbell | 1af4:1110 | 4 MSI-X vectors that it rings itself |
//! | `0000:00:12.0` | virtio-rng | 1af4:1005 | |
//! | `0000:00:13.0` | pci-testdev | 1b36:0005 | BAR 0 is memory, BAR 1 I/O ports |
//! | `0000:00:14.0` | pvpanic | 1b36:0011 | one register; what is written to it is an event on the host |
//!
//! An IOMMU that is a PCI device is at `0000:00:01.0`. What `--devices` adds is from `0000:00:15.0` on: see extras.rs.
//! The lab's own plumbing is at `0000:00:1a.0` (virtio-serial) and from `0000:00:1b.0` on (9p); `0000:00:1f.*` and
//! `0000:00:00.0` are q35's.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::ivshmem_server;

/// The size of the nvme drive.
pub const NVME_BYTES: u64 = 64 << 20;

/// The most folders that fit in the four slots for 9p.
const MOST_SHARES: usize = 4 * 8;

/// A folder of the host that the guest sees.
pub struct Share {
    /// What the guest mounts it by.
    pub tag: String,
    /// The folder.
    pub path: PathBuf,
    /// Whether the guest may write to it.
    pub writable: bool,
}

/// The standard devices. `folder` is for files that last as long as the run, `memory` is the file behind the
/// ivshmem-plain device.
pub fn devices(folder: &Path, memory: &Path) -> Result<Vec<String>> {
    let nvme = folder.join("nvme.img");
    File::create(&nvme)
        .and_then(|file| file.set_len(NVME_BYTES))
        .context(|| format!("cannot make the drive {}", nvme.display()))?;
    let socket = folder.join(ivshmem_server::SOCKET);
    let vectors = ivshmem_server::VECTORS;
    let (nvme, socket, memory) = (value(&nvme)?, value(&socket)?, value(memory)?);
    let text = format!(
        "-device edu,addr=03.0
         -device pcie-root-port,id=rp1,chassis=1,slot=1,addr=04.0
         -device edu,bus=rp1
         -device pcie-root-port,id=rp2,chassis=2,slot=2,addr=05.0
         -device pcie-root-port,id=rp3,chassis=3,slot=3,addr=06.0
         -netdev user,id=net1,restrict=on
         -device e1000e,bus=rp3,netdev=net1,romfile=
         -device pcie-root-port,id=rp4,chassis=4,slot=4,addr=07.0
         -drive if=none,id=drive,format=raw,file={nvme}
         -device nvme,bus=rp4,drive=drive,serial=lab
         -device pcie-pci-bridge,id=br,addr=08.0
         -device edu,bus=br,addr=1
         -device edu,bus=br,addr=2
         -netdev user,id=net2,restrict=on
         -device virtio-net-pci,bus=br,addr=3,netdev=net2,romfile=
         -object memory-backend-file,id=memory,size=64M,share=on,mem-path={memory}
         -device ivshmem-plain,memdev=memory,addr=10.0
         -chardev socket,id=ivshmem,path={socket}
         -device ivshmem-doorbell,chardev=ivshmem,vectors={vectors},addr=11.0
         -device virtio-rng-pci,addr=12.0
         -device pci-testdev,addr=13.0
         -device pvpanic-pci,addr=14.0"
    );
    Ok(arguments(&text))
}

/// The serial ports called `names` of the virtio-serial device, each connected to the socket of that name in `folder`.
pub fn ports(folder: &Path, names: &[&str]) -> Result<Vec<String>> {
    let mut text = "-device virtio-serial-pci,addr=1a.0".to_owned();
    for name in names {
        let socket = value(&folder.join(name))?;
        text += &format!(
            "\n-chardev socket,id={name},path={socket}
             -device virtserialport,chardev={name},name=outboard.{name}"
        );
    }
    Ok(arguments(&text))
}

/// A serial port of the virtio-serial device that is QEMU's QMP monitor. QEMU connects to itself, through a socket in
/// `folder`; nothing is lost before the guest opens the port.
pub fn qmp(folder: &Path) -> Result<Vec<String>> {
    let socket = value(&folder.join("qmp"))?;
    Ok(arguments(&format!(
        "-chardev socket,id=monitor,path={socket},server=on,wait=off
         -mon chardev=monitor,mode=control
         -chardev socket,id=qmp,path={socket}
         -device virtserialport,chardev=qmp,name=outboard.qmp"
    )))
}

/// The 9p devices for `shares`.
pub fn shares(shares: &[Share]) -> Result<Vec<String>> {
    if shares.len() > MOST_SHARES {
        return Err(format!("at most {MOST_SHARES} folders can be shared").into());
    }
    let mut text = String::new();
    for (
        position,
        Share {
            tag,
            path,
            writable,
        },
    ) in shares.iter().enumerate()
    {
        let (slot, function) = (0x1b + position / 8, position % 8);
        let readonly = if *writable { "off" } else { "on" };
        let path = value(path)?;
        text += &format!(
            "-fsdev local,id={tag},security_model=none,multidevs=remap,readonly={readonly},path={path}
             -device virtio-9p-pci,fsdev={tag},mount_tag={tag},addr={slot:x}.{function},multifunction=on\n"
        );
    }
    Ok(arguments(&text))
}

/// `path` as a value in a QEMU argument, where commas are doubled.
pub fn value(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains('\n'));
    let text = text.ok_or_else(|| {
        format!(
            "QEMU cannot be given the path {}: it has a line break or is not UTF-8",
            path.display()
        )
    })?;
    Ok(text.replace(',', ",,"))
}

/// One option and its argument a line.
pub fn arguments(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim_start().split_once(' '))
        .flat_map(|(option, argument)| [option.to_owned(), argument.to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Path, Share, arguments, shares, value};

    #[test]
    fn an_argument_may_have_spaces_and_commas() {
        let path = value(Path::new("/a b/c,d")).unwrap();
        assert_eq!(
            arguments(&format!("-fsdev x={path}\n  -device y")),
            ["-fsdev", "x=/a b/c,,d", "-device", "y"]
        );
    }

    #[test]
    fn shares_fill_the_functions_of_a_slot_and_then_the_next_slot() {
        let many: Vec<Share> = (0..9)
            .map(|number| Share {
                tag: format!("t{number}"),
                path: "/p".into(),
                writable: number == 8,
            })
            .collect();
        let arguments = shares(&many).unwrap();
        assert!(arguments[3].ends_with("addr=1b.0,multifunction=on"));
        assert!(arguments[7 * 4 + 3].ends_with("addr=1b.7,multifunction=on"));
        assert!(arguments[8 * 4 + 3].ends_with("addr=1c.0,multifunction=on"));
        assert!(arguments[7 * 4 + 1].contains("readonly=on"));
        assert!(arguments[8 * 4 + 1].contains("readonly=off"));
    }
}
