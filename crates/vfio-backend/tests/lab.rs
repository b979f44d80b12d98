//! Real devices through the kernel's VFIO, in the lab.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{
    AccessWidth, ErrorKind, Io, RegionError, SysOrIoMap, Width,
    pci::PciAddress,
    poll::{Poll, Verdict},
};
use pci_host::{BarKind, Host};
use std::{env, fs, time::Duration};
use vfio_backend::VfioDevice;

// Where the lab has its devices: see `cargo xtask lab -- outboard list`.
const EDU: &str = "00:03.0";
const IVSHMEM: &str = "00:10.0";
const TESTDEV: &str = "00:13.0";
const NIC: &str = "03:00.0";
const EDU_BEHIND_BRIDGE: &str = "05:01.0";

/// A function, bound to vfio-pci until this is dropped.
struct Bound {
    host: Host,
    address: PciAddress,
}

impl Bound {
    fn new(address: &str) -> Self {
        assert!(
            env::var_os("OUTBOARD_LAB").is_some(),
            "these tests are run by `cargo xtask test`"
        );
        let (host, address) = (Host::system(), address.parse().unwrap());
        let plan = host
            .plan_bind(&host.function(address).unwrap(), "vfio-pci")
            .unwrap();
        host.execute(&plan, Duration::from_secs(10)).unwrap();
        Self { host, address }
    }

    fn open(&self) -> io_core::Result<VfioDevice> {
        VfioDevice::open(&self.host, self.address)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let function = self.host.function(self.address).unwrap();
        self.host
            .execute(&self.host.plan_release(&function), Duration::ZERO)
            .unwrap();
    }
}

/// The mappings and descriptors of VFIO that this process has.
fn held() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let maps = maps.lines().filter(|line| line.contains("vfio")).count();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        let link = fs::read_link(entry.as_ref().unwrap().path());
        link.is_ok_and(|link| link.to_string_lossy().contains("vfio"))
    });
    (maps, descriptors.count())
}

// QEMU's docs/specs/edu.rst describes the registers.

#[test]
#[ignore = "needs the lab"]
fn edu_identifies_itself_and_inverts_what_is_written_to_its_liveness_register() {
    let bound = Bound::new(EDU);
    let bar = bound.open().unwrap().map_bar(0).unwrap();
    let edu = bar.mmio::<0x100>().unwrap();
    assert_eq!(edu.read32::<0x00>(), 0x0100_00ed);
    edu.write32::<0x04>(0x1234_5678);
    assert_eq!(edu.read32::<0x04>(), 0xedcb_a987);
    assert_eq!(edu.try_read32(0x04).unwrap(), 0xedcb_a987);
}

#[test]
#[ignore = "needs the lab"]
fn edu_computes_a_factorial() {
    let bound = Bound::new(EDU);
    let bar = bound.open().unwrap().map_bar(0).unwrap();
    let edu = bar.mmio::<0x100>().unwrap();
    edu.write32::<0x08>(10);
    let computing = |status| {
        if status & 1 == 0 {
            Verdict::Ready
        } else {
            Verdict::Pending
        }
    };
    Poll::within(Duration::from_secs(5))
        .until(|| edu.read32::<0x20>(), computing)
        .unwrap();
    assert_eq!(edu.read32::<0x08>(), 3_628_800);
}

#[test]
#[ignore = "needs the lab"]
fn regions_are_as_the_kernel_and_the_device_have_them() {
    let bound = Bound::new(TESTDEV);
    let device = bound.open().unwrap();
    for bar in &device.function().bars {
        let region = device.region_info(u32::from(bar.index)).unwrap();
        assert_eq!(
            region.size, bar.size,
            "VFIO and sysfs agree on BAR {}",
            bar.index
        );
        assert!(region.readable && region.writable);
        assert_eq!(region.mappable, bar.kind != BarKind::IoPorts);
    }
    assert_eq!(device.region_info(2).unwrap().size, 0, "there is no BAR 2");
    assert_eq!(
        device.region_info(7).unwrap().size,
        0x100,
        "conventional PCI"
    );
    assert_eq!(
        device.region_info(8).unwrap_err().errno(),
        Some(22),
        "no VGA: EINVAL"
    );
    drop(device);
    let bound = Bound::new(NIC);
    assert_eq!(
        bound.open().unwrap().region_info(7).unwrap().size,
        0x1000,
        "PCI Express"
    );
}

#[test]
#[ignore = "needs the lab"]
fn configuration_space_is_read_and_written_at_its_own_widths() {
    let bound = Bound::new(NIC);
    let device = bound.open().unwrap();
    let config = device.config();
    assert_eq!(config.read32(0x00).unwrap(), 0x10d3_8086);
    assert_eq!(
        (config.read16(0x02).unwrap(), config.read8(0x01).unwrap()),
        (0x10d3, 0x80)
    );
    let command = config.read16(0x04).unwrap();
    assert_eq!(
        command & 0b110,
        0b010,
        "memory decoding on, bus mastering off after open"
    );
    config.write16(0x04, command | 0b100).unwrap();
    assert_eq!(config.read16(0x04).unwrap(), command | 0b100);
    config.write16(0x04, command).unwrap();
    assert_eq!(config.read16(0x04).unwrap(), command);

    assert!(config.read32(0xffc).is_ok(), "the last one");
    for offset in [0x1000, 0xfffc, 0x02] {
        let error = config.read32(offset).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_bar_smaller_than_a_page_ends_where_the_device_says() {
    let bound = Bound::new(IVSHMEM);
    let bar = bound.open().unwrap().map_bar(0).unwrap();
    assert_eq!(bar.size(), 256);
    let registers = bar.mmio::<256>().unwrap();
    assert!(registers.try_read32(252).is_ok());
    assert!(
        registers.try_read32(256).is_err(),
        "mapped, but not the BAR"
    );
    assert_eq!(
        bar.mmio::<257>().unwrap_err(),
        RegionError::TooSmall {
            need: 257,
            have: 256
        }
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_copy_into_a_bar_arrives_whole_at_any_start() {
    let bound = Bound::new(IVSHMEM);
    let device = bound.open().unwrap();
    let (bar, alias) = (device.map_bar(2).unwrap(), device.map_bar(2).unwrap());
    let map = SysOrIoMap::from(bar.mmio::<0>().unwrap());
    let image: Vec<u8> = (0..=255).cycle().take(10_007).collect();
    for offset in (0..16).chain([map.size() - image.len()]) {
        map.copy_from_slice(offset, &image, AccessWidth::Auto)
            .unwrap();
        let alias = alias.mmio::<0>().unwrap();
        for (at, byte) in image.iter().enumerate() {
            assert_eq!(alias.try_read8(offset + at), Ok(*byte));
        }
    }
    let past = map.copy_from_slice(map.size() - image.len() + 1, &image, AccessWidth::Auto);
    assert!(past.is_err());
}

/// Below 0x80, edu takes accesses of 4 bytes only: QEMU answers others with nothing, or all ones.
#[test]
#[ignore = "needs the lab"]
fn a_copy_is_made_of_accesses_of_the_width_it_was_asked_for() {
    let bound = Bound::new(EDU);
    let bar = bound.open().unwrap().map_bar(0).unwrap();
    let edu = bar.mmio::<0x100>().unwrap();
    for width in [Width::U8, Width::U16, Width::U32, Width::U64] {
        let right = width == Width::U32;
        let mut found = [0; 8];
        edu.copy_to_slice(0, &mut found, AccessWidth::Exact(width))
            .unwrap();
        assert_eq!(
            found[..4] == [0xed, 0x00, 0x00, 0x01],
            right,
            "{width:?}: {found:02x?}"
        );

        edu.write32::<0x04>(0);
        edu.copy_from_slice(0, &[0x0f; 8], AccessWidth::Exact(width))
            .unwrap();
        assert_eq!(edu.read32::<0x04>() == 0xf0f0_f0f0, right, "{width:?}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_mapped_bar_keeps_its_device_open_and_closing_leaves_nothing() {
    let bound = Bound::new(IVSHMEM);
    assert_eq!(held(), (0, 0));
    for _ in 0..20 {
        let device = bound.open().unwrap();
        let bars = [device.map_bar(0).unwrap(), device.map_bar(2).unwrap()];
        assert_eq!(held(), (2, 3), "two BARs; device, group and container");
        drop(device);
        assert_eq!(
            bound.open().unwrap_err().kind(),
            ErrorKind::Busy,
            "the BARs hold it"
        );
        let [_, memory] = &bars;
        memory.mmio::<8>().unwrap().write64::<0>(1);
        drop(bars);
        assert_eq!(held(), (0, 0));
    }
}

#[test]
#[ignore = "needs the lab"]
fn nothing_is_inherited_by_a_child_process() {
    let bound = Bound::new(IVSHMEM);
    let bar = bound.open().unwrap().map_bar(2).unwrap();
    let address = format!("{:x}-", bar.raw::<0>().unwrap().addr());
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut mapping = smaps.lines().skip_while(|line| !line.starts_with(&address));
    let flags = mapping.find(|line| line.starts_with("VmFlags:")).unwrap();
    // Documentation/filesystems/proc.rst: "dc - do not copy area on fork".
    assert!(flags.split_whitespace().any(|flag| flag == "dc"), "{flags}");

    let mut descriptors = 0;
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let Ok(link) = fs::read_link(&path) else {
            continue;
        };
        if link.to_string_lossy().contains("vfio") {
            let info = path.to_string_lossy().replace("/fd/", "/fdinfo/");
            let info = fs::read_to_string(info).unwrap();
            let flags = info
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & 0o2_000_000, 0, "{} is O_CLOEXEC", link.display());
            descriptors += 1;
        }
    }
    assert_eq!(descriptors, 3, "device, group and container");
}

#[test]
#[ignore = "needs the lab"]
fn what_cannot_be_opened_or_mapped_is_refused_with_the_reason() {
    let bound = Bound::new(EDU_BEHIND_BRIDGE);
    let error = bound.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(
        error.to_string(),
        "0000:05:01.0 shares IOMMU group 6 with devices that other drivers have: 0000:05:03.0 \
         (virtio-pci)"
    );

    let error = VfioDevice::open(&bound.host, NIC.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotBound);
    assert_eq!(
        error.to_string(),
        "0000:03:00.0 is not bound to vfio-pci: it is bound to e1000e"
    );

    let bound = Bound::new(TESTDEV);
    let device = bound.open().unwrap();
    let error = device.map_bar(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.hint(), Some("its BARs that are memory: 0"));
    assert_eq!(device.map_bar(4).unwrap_err().kind(), ErrorKind::NotFound);
}
