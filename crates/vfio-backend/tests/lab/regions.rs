//! Regions of real devices: BARs, configuration space, the ROM.

use crate::places::{EDU, EDU_BEHIND_BRIDGE, IVSHMEM, NIC, TESTDEV};
use io_core::{
    AccessWidth, Error, ErrorKind, Io, SysOrIoMap, Width,
    poll::{Poll, Verdict},
};
use lab_guest::Bound;
use pci_host::BarKind;
use std::{fs, time::Duration};
use vfio_backend::{IommuMode, VfioDevice};

/// The mappings and descriptors of VFIO that this process has.
fn held() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    // Not the test program itself, in a folder of such a name.
    let of_vfio = |line: &&str| line.contains("[vfio") || line.contains("/dev/vfio");
    let maps = maps.lines().filter(of_vfio).count();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        let link = fs::read_link(entry.as_ref().unwrap().path());
        link.is_ok_and(|link| link.to_string_lossy().contains("vfio"))
    });
    (maps, descriptors.count())
}

/// How many descriptors of VFIO an open device has.
fn descriptors(device: &VfioDevice) -> usize {
    match device.context().mode() {
        IommuMode::Type1 => 3, // device, group and container
        _ => 1,                // device; that of /dev/iommu is not VFIO's
    }
}

// QEMU's docs/specs/edu.rst describes the registers.

#[test]
#[ignore = "needs the lab"]
fn edu_identifies_itself_and_inverts_what_is_written_to_its_liveness_register() {
    let bound = Bound::new(EDU);
    let bar = bound.open().unwrap().bar(0).unwrap();
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
    let bar = bound.open().unwrap().bar(0).unwrap();
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
    assert_eq!(config.try_read32(0x00).unwrap(), 0x10d3_8086);
    assert_eq!(
        (
            config.try_read16(0x02).unwrap(),
            config.try_read8(0x01).unwrap()
        ),
        (0x10d3, 0x80)
    );
    let command = config.try_read16(0x04).unwrap();
    assert_eq!(
        command & 0b110,
        0b010,
        "memory decoding on, bus mastering off after open"
    );
    config.try_write16(0x04, command | 0b100).unwrap();
    assert_eq!(config.try_read16(0x04).unwrap(), command | 0b100);
    config.try_write16(0x04, command).unwrap();
    assert_eq!(config.try_read16(0x04).unwrap(), command);

    assert_eq!(config.size(), 0x1000, "the size is the real one");
    assert!(config.try_read32(0xffc).is_ok(), "the last one");
    for offset in [0x1000, 0xfffc, 0x02] {
        let error = Error::from(config.try_read32(offset).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(
            error
                .to_string()
                .contains("configuration space of 0000:03:00.0")
        );
    }
    assert_eq!(device.config_extended().unwrap().size(), 0x1000);
}

/// QEMU's docs/specs/pci-testdev.rst: a test is selected by a write to the first byte; what follows is a
/// table that describes it, with the data to write and its offset. The BAR of I/O ports has the same.
#[test]
#[ignore = "needs the lab"]
fn a_bar_of_io_ports_is_reached_by_calls() {
    let bound = Bound::new(TESTDEV);
    let device = bound.open().unwrap();
    assert!(device.bar(1).unwrap().mmio::<0>().is_err());
    let (ports, memory) = (
        device.bar_by_calls(1).unwrap(),
        device.bar_by_calls(0).unwrap(),
    );
    for (bar, index) in [(&ports, 1), (&memory, 0)] {
        let io = bar.io::<16>().unwrap();
        io.try_write8(0, 0).unwrap();
        let (width, offset) = (io.try_read8(1).unwrap(), io.try_read32(4).unwrap());
        let (data, count) = (io.try_read8(8).unwrap(), io.try_read32(12).unwrap());
        assert_eq!(
            (width, count),
            (1, 0),
            "the first test writes bytes, and none were written"
        );
        let offset = usize::try_from(offset).unwrap();
        for _ in 0..3 {
            io.try_write8(offset, data).unwrap();
        }
        assert_eq!(io.try_read32(12), Ok(3), "the device has counted");
        let past = io.try_read32(io.size()).unwrap_err().to_string();
        assert!(
            past.contains(&format!("BAR {index} of 0000:00:13.0")),
            "{past}"
        );
    }
    // Two ways to one BAR.
    let mapped = device.bar(0).unwrap();
    assert_eq!(mapped.mmio::<16>().unwrap().read32::<12>(), 3);
    assert_eq!(
        device.bar_by_calls(2).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        device.bar_by_calls(7).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
#[ignore = "needs the lab"]
fn an_error_names_the_bar() {
    let bound = Bound::new(EDU);
    let bar = bound.open().unwrap().bar(0).unwrap();
    let error = bar.mmio::<0>().unwrap().try_read32(0x10_0000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "4 bytes at offset 0x100000 do not fit in BAR 0 of 0000:00:03.0 (0x100000 bytes)"
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_bar_smaller_than_a_page_ends_where_the_device_says() {
    let bound = Bound::new(IVSHMEM);
    let bar = bound.open().unwrap().bar(0).unwrap();
    assert_eq!(bar.size(), 256);
    let registers = bar.mmio::<256>().unwrap();
    assert!(registers.try_read32(252).is_ok());
    assert!(
        registers.try_read32(256).is_err(),
        "mapped, but not the BAR"
    );
    let error = bar.mmio::<257>().unwrap_err().to_string();
    assert_eq!(error, "the region has 0x100 bytes, and 0x101 are needed");
}

#[test]
#[ignore = "needs the lab"]
fn a_copy_into_a_bar_arrives_whole_at_any_start() {
    let bound = Bound::new(IVSHMEM);
    let device = bound.open().unwrap();
    let (bar, alias) = (device.bar(2).unwrap(), device.bar(2).unwrap());
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
    let bar = bound.open().unwrap().bar(0).unwrap();
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
        let bars = [device.bar(0).unwrap(), device.bar(2).unwrap()];
        let descriptors = descriptors(&device);
        assert_eq!(held(), (2, descriptors), "two BARs");
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
    let device = bound.open().unwrap();
    let bar = device.bar(2).unwrap();
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
    let expected = match device.context().mode() {
        IommuMode::Type1 => 3,
        _ => 1,
    };
    assert_eq!(
        descriptors, expected,
        "device, group and container; or device"
    );
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
    let error = device.bar(1).unwrap().mmio::<0>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "BAR 1 of 0000:00:13.0 cannot be mapped");
    assert_eq!(device.bar(4).unwrap_err().kind(), ErrorKind::NotFound);
}
