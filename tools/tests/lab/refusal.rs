//! What is in use is refused, and refusing changes nothing: each use with the real thing.

use super::{
    NIC,
    binding::{machine, refuses},
    ok, outboard, sysfs,
};
use pci_host::Host;
use std::{
    fs::{self, File},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};
use vfio_backend::VfioDevice;

const NVME: &str = "0000:04:00.0";
const DISK: &str = "/dev/nvme0n1";

/// Waits for the drive, which its driver brings up after it was bound.
fn disk() {
    let started = Instant::now();
    // Its node is there before the kernel opens it.
    while File::open(DISK).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "no {DISK}");
        sleep(Duration::from_millis(20));
    }
}

/// Runs a program of the guest's.
fn sh(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

/// What is to be done at the end, whatever happens.
struct Finally(&'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        sh(self.0);
    }
}

/// The network interface of the NIC.
fn interface() -> String {
    let folder = format!("/sys/bus/pci/devices/{NIC}/net");
    let entry = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    entry.file_name().into_string().unwrap()
}

/// The same by every command that takes a device away.
fn each_refuses(device: &str, code: &str) {
    refuses(&["bind", device], code);
    refuses(&["bind", device, "--dry-run"], code);
    refuses(&["bind", device, "--driver", "uio_pci_generic"], code);
    let before = machine();
    let run = outboard(&["run", device, "--", "true"]).output().unwrap();
    assert_eq!(run.status.code(), Some(123), "{run:?}");
    assert_eq!(machine(), before);
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_that_is_swapped_to() {
    disk();
    if lab_guest::fact("kernel") == "stock" {
        sh(&format!("mkswap {DISK}; swapon {DISK}"));
        {
            let _off = Finally("swapoff /dev/nvme0n1");
            each_refuses(NVME, "swap");
        }
        sh("dd if=/dev/zero of=/dev/nvme0n1 bs=4096 count=1 conv=fsync");
    }
    ok(&["bind", NVME]);
    ok(&["release", NVME]);
}

mod full {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn a_drive_with_a_mounted_file_system() {
        disk();
        sh(&format!(
            "mke2fs {DISK}; mkdir -p /tmp/mounted; mount -t ext4 {DISK} /tmp/mounted"
        ));
        fs::write("/tmp/mounted/file", "still here").unwrap();
        {
            let _umount = Finally("umount /tmp/mounted");
            each_refuses(NVME, "mounted");
            assert_eq!(
                fs::read_to_string("/tmp/mounted/file").unwrap(),
                "still here"
            );
        }
        sh("dd if=/dev/zero of=/dev/nvme0n1 bs=4096 count=16 conv=fsync");
        ok(&["bind", NVME]);
        ok(&["release", NVME]);
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_interface_with_an_address_and_a_route() {
    let name = interface();
    sh(&format!(
        "ip link set {name} up; ip addr add 192.0.2.1/24 dev {name}"
    ));
    each_refuses(NIC, "address");
    each_refuses(NIC, "route");
    // Consent to one is none to the other.
    refuses(&["bind", NIC, "--allow", "address"], "route");
    let before = machine();
    let bound = super::json(&["bind", NIC, "--allow", "address,route"]);
    let findings = bound["data"]["devices"][0]["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|finding| finding["code"] == "route"),
        "{findings:?}"
    );
    ok(&["release", NIC]);
    assert_eq!(machine(), before);
    // The address went with the interface.
    ok(&["bind", NIC]);
    ok(&["release", NIC]);
}

#[test]
#[ignore = "needs the lab"]
fn a_drive_whose_node_a_process_has_open() {
    disk();
    let node = File::open(DISK).unwrap();
    each_refuses(NVME, "open");
    let said = refuses(&["bind", NVME], "open");
    let pid = std::process::id().to_string();
    assert!(said.contains(&pid), "{pid} in {said}");
    drop(node);
    ok(&["bind", NVME]);
    ok(&["release", NVME]);
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_a_program_drives() {
    ok(&["bind", NIC]);
    let device = VfioDevice::open(&Host::system(), NIC.parse().unwrap()).unwrap();
    for args in [
        vec!["release", NIC],
        vec!["release", NIC, "--to", "e1000e"],
        vec!["undo", "--last"],
        vec!["bind", NIC, "--driver", "uio_pci_generic"],
    ] {
        refuses(&args, "open");
    }
    drop(device);
    ok(&["release", NIC]);
    assert_eq!(sysfs(NIC), (Some("e1000e".into()), "(null)".into()));
}
