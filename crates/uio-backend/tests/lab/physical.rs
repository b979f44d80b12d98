//! Memory by its physical addresses.
#![expect(unsafe_code, reason = "asks for physical memory")]

use crate::{EDU, by_sysfs};
use io_core::{ErrorKind, PciDevice};

#[test]
#[ignore = "needs the lab"]
fn a_device_behind_an_iommu_is_given_no_physical_memory() {
    let device = by_sysfs(EDU);
    assert!(device.dma().is_none());
    // SAFETY: it is refused.
    let error = unsafe { device.use_physical_memory() }.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let start = "the IOMMU translates what 0000:00:03.0";
    assert!(error.to_string().starts_with(start), "{error}");
}

mod noiommu {
    use crate::by_sysfs;
    use io_core::{Io, PciDevice, dma::DmaOptions};
    use lab_guest::Qmp;
    use pci_host::Host;
    use serde_json::json;
    use std::{fs, thread::sleep, time::Duration};

    /// Where what is plugged into the empty root port is: see docs/lab.md.
    const PLUGGED: &str = "02:00.0";

    #[test]
    #[ignore = "needs the lab"]
    fn a_device_by_sysfs_alone_reads_and_writes_huge_pages() {
        lab_guest::fact("kernel");
        let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
        fs::write(pool, "4").unwrap();
        let mut qmp = Qmp::connect().unwrap();
        // Its DMA engine has 32 address bits, and the guest's memory ends below 4 GiB.
        let edu =
            json!({ "bus": "rp2", "driver": "edu", "id": "plugged", "dma_mask": 0xffff_ffff_u32 });
        qmp.execute("device_add", &edu).unwrap();
        while Host::system().function(PLUGGED.parse().unwrap()).is_err() {
            sleep(Duration::from_millis(10));
        }
        {
            let device = by_sysfs(PLUGGED);
            // SAFETY: the device is told addresses of buffers only, and is idle when they are dropped.
            unsafe { device.use_physical_memory() }.unwrap();
            let space = device.dma().unwrap();
            device.set_bus_master(true).unwrap();
            let options = DmaOptions::default().address_bits(32);
            let mut from = space.allocate(4096, options).unwrap();
            from[..8].copy_from_slice(b"physical");
            let from = from.share().unwrap();
            let to = space.allocate(4096, options).unwrap().share().unwrap();
            let bar = device.bar(0).unwrap();
            let registers = bar.io::<0x100>().unwrap();
            // docs/specs/edu.rst of QEMU: source, destination, count, command; its own memory is at 40000h.
            for (source, target, command) in [
                (from.iova().raw(), 0x4_0000, 1),
                (0x4_0000, to.iova().raw(), 3),
            ] {
                registers.try_write64(0x80, source).unwrap();
                registers.try_write64(0x88, target).unwrap();
                registers.try_write64(0x90, 8).unwrap();
                registers.try_write64(0x98, command).unwrap();
                while registers.try_read64(0x98).unwrap() & 1 != 0 {
                    sleep(Duration::from_millis(5));
                }
            }
            let read = to.view().try_read64(0).unwrap();
            assert_eq!(&read.to_le_bytes(), b"physical");
            device.set_bus_master(false).unwrap();
        }
        qmp.device_del("plugged").unwrap();
        while Host::system().function(PLUGGED.parse().unwrap()).is_ok() {
            sleep(Duration::from_millis(10));
        }
        fs::write(pool, "0").unwrap();
    }
}
