//! Disks in use.

use super::{free, in_use, until};
use crate::users::{Done, found, shell};
use lab_guest::Mapped;
use std::{fs, path::Path};

const DRIVE: &str = "0000:04:00.0";

/// A drive with nothing on it, once its driver has brought it up.
fn drive() {
    until("a disk", || Path::new("/dev/nvme0n1").exists());
    shell("dd if=/dev/zero of=/dev/nvme0n1 bs=64k count=4 conv=fsync");
    until("a drive that nobody uses", || found(DRIVE).is_empty());
}

#[test]
#[ignore = "needs the lab"]
fn a_file_system_that_is_mounted() {
    drive();
    let mounted = Done::new(
        "mke2fs /dev/nvme0n1 && mkdir -p /tmp/mnt && mount -t ext4 /dev/nvme0n1 /tmp/mnt",
        "umount /tmp/mnt",
    );
    fs::write("/tmp/mnt/file", "still here").unwrap();
    let expected = format!("mounted: /tmp/mnt is mounted from nvme0n1 of {DRIVE}");
    in_use(DRIVE, &[expected]);
    assert_eq!(fs::read_to_string("/tmp/mnt/file").unwrap(), "still here");
    drop(mounted);
    free(DRIVE);
}

/// With modules of the distribution's kernel.
mod stock {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn disks_that_the_device_mapper_has_made() {
        for (uuid, what, title) in [
            ("LVM-lab", "LVM's volume", "vg-data"),
            ("CRYPT-LUKS2-lab", "the encrypted disk", "secret"),
            ("mpath-lab", "the multipath disk", "mpatha"),
            ("", "the disk", "other"),
        ] {
            drive();
            let mapped = Mapped::new(title, uuid, "nvme0n1");
            let expected = format!("holder: {what} {title} is on nvme0n1 of {DRIVE}");
            in_use(DRIVE, &[expected]);
            drop(mapped);
            free(DRIVE);
        }
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_file_system_on_a_volume_on_an_encrypted_disk() {
        drive();
        let luks = Mapped::new("luks", "CRYPT-LUKS2-lab", "nvme0n1");
        let volume = Mapped::new("vg-data", "LVM-lab", "dm-0");
        let mounted = Done::new(
            "mke2fs /dev/dm-1 && mkdir -p /tmp/mnt && mount -t ext4 /dev/dm-1 /tmp/mnt",
            "umount /tmp/mnt",
        );
        let expected = [
            format!(
                "mounted: /tmp/mnt is mounted from dm-1 (vg-data, on dm-0, on nvme0n1) of {DRIVE}"
            ),
            format!("holder: LVM's volume vg-data is on dm-0 of {DRIVE}"),
            format!("holder: the encrypted disk luks is on nvme0n1 of {DRIVE}"),
        ];
        in_use(DRIVE, &expected);
        drop(mounted);
        drop(volume);
        drop(luks);
        free(DRIVE);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_member_of_a_raid() {
        drive();
        // Of one member, without anything written to it, as Documentation/admin-guide/md.rst has it.
        let raid = Done::new(
            "echo md7 > /sys/module/md_mod/parameters/new_array && cd /sys/block/md7/md && \
             echo none > metadata_version && echo raid1 > level && echo 1 > raid_disks && \
             cat /sys/block/nvme0n1/dev > new_dev && echo 0 > dev-nvme0n1/slot && \
             echo 32768 > component_size && echo active > array_state",
            "echo clear > /sys/block/md7/md/array_state",
        );
        let expected = format!("holder: the RAID md7 is on nvme0n1 of {DRIVE}");
        in_use(DRIVE, &[expected]);
        drop(raid);
        free(DRIVE);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_file_system_on_a_loop_of_the_disk() {
        drive();
        let mounted = Done::new(
            "losetup /dev/loop0 /dev/nvme0n1 && mke2fs /dev/loop0 && mkdir -p /tmp/mnt && \
             mount -t ext4 /dev/loop0 /tmp/mnt",
            "umount /tmp/mnt; losetup -d /dev/loop0",
        );
        let expected = [
            format!("mounted: /tmp/mnt is mounted from loop0 (on nvme0n1) of {DRIVE}"),
            format!("holder: the loop loop0 is on nvme0n1 of {DRIVE}"),
        ];
        in_use(DRIVE, &expected);
        drop(mounted);
        free(DRIVE);
    }

    /// A target of SCSI has it as ZFS has its disks: for itself, and no link says so.
    #[test]
    #[ignore = "needs the lab"]
    fn a_disk_that_the_kernel_has_for_itself() {
        drive();
        let target = Done::new(
            "mkdir -p /tmp/config && mount -t configfs none /tmp/config && \
             mkdir -p /tmp/config/target/core/iblock_0/disk && cd /tmp/config/target/core/iblock_0/disk && \
             echo udev_path=/dev/nvme0n1 > control && echo 1 > enable",
            "rmdir /tmp/config/target/core/iblock_0/disk /tmp/config/target/core/iblock_0; \
             umount /tmp/config",
        );
        let expected = format!("holder: the kernel has nvme0n1 of {DRIVE} for itself");
        in_use(DRIVE, &[expected]);
        drop(target);
        free(DRIVE);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_disk_that_is_swapped_to() {
        drive();
        let swap = Done::new(
            "mkswap /dev/nvme0n1 && swapon /dev/nvme0n1",
            "swapoff /dev/nvme0n1",
        );
        let expected = format!("swap: the kernel swaps to nvme0n1 of {DRIVE}");
        in_use(DRIVE, &[expected]);
        drop(swap);
        free(DRIVE);
    }
}
