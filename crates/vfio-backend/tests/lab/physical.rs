//! Memory by its physical addresses, without an IOMMU.
#![expect(unsafe_code, reason = "opens devices without an IOMMU")]

use crate::{
    edu::Edu,
    nobody,
    places::EDU,
    plugged::{PLUGGED, Plugged},
};
use io_core::{
    AccessWidth, ErrorKind, Io,
    dma::{DmaOptions, PageSize},
};
use lab_guest::Bound;
use pci_host::Host;
use std::fs;
use vfio_backend::{IommuMode, UnsafeNoIommu, VfioContext};

/// Makes the kernel's pool of huge pages of 2 MiB so large.
fn set_pool(pages: u32) {
    let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    fs::write(pool, pages.to_string()).unwrap();
    let now = fs::read_to_string(pool).unwrap();
    assert_eq!(now.trim(), pages.to_string());
}

#[test]
#[ignore = "needs the lab"]
fn devices_with_an_iommu_are_given_no_physical_addresses() {
    let bound = Bound::new(EDU);
    let context = VfioContext::new(&bound.host, IommuMode::Auto).unwrap();
    // SAFETY: it is refused.
    let error = unsafe { context.use_physical_memory() }.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("IommuMode::NoIommu"));
}

#[test]
#[ignore = "needs the lab"]
fn who_may_not_see_physical_addresses_is_told_what_it_takes() {
    lab_guest::fact("kernel");
    if nobody::told().is_none() {
        let name = "physical::who_may_not_see_physical_addresses_is_told_what_it_takes";
        return nobody::run(name, 64, "");
    }
    // SAFETY: it is refused.
    let error = unsafe { dma_memory::physical_space(&Host::system()) }.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.hint().unwrap().contains("CAP_SYS_ADMIN"), "{error}");
}

mod noiommu {
    use super::*;

    fn context(bound: &Bound) -> VfioContext {
        // SAFETY: the tests tell devices addresses of buffers only, and drop a buffer when its device is idle.
        let mode = IommuMode::NoIommu(unsafe { UnsafeNoIommu::new() });
        VfioContext::new(&bound.host, mode).unwrap()
    }

    fn allow() {
        let switch = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
        fs::write(switch, "1").unwrap();
    }

    #[test]
    #[ignore = "needs the lab"]
    fn a_device_without_an_iommu_reads_huge_pages_and_writes_others() {
        allow();
        set_pool(4);
        {
            let _plugged = Plugged::edu(32);
            let bound = Bound::new(PLUGGED);
            let context = context(&bound);
            let device = context.open(bound.address).unwrap();
            assert!(device.dma().is_none(), "not before it is asked for");
            // SAFETY: as above.
            unsafe { context.use_physical_memory() }.unwrap();
            let space = device.dma().unwrap();
            device.set_bus_master(true).unwrap();
            let bar = device.bar(0).unwrap();

            let options = DmaOptions::default().address_bits(32);
            let image: Vec<u8> = (0..=255).cycle().take(2048).collect();
            let mut from = space.allocate(4096, options).unwrap();
            assert_eq!(from.len(), 2 << 20, "a whole huge page");
            // The end of the page: it is contiguous.
            from[(2 << 20) - 2048..].copy_from_slice(&image);
            let from = from.share().unwrap();
            let to = space.allocate(1, options).unwrap().share().unwrap();
            for buffer in [&from, &to] {
                let at = buffer.iova().raw();
                assert!(at != 0 && at % (2 << 20) == 0 && at >> 32 == 0, "{at:#x}");
            }
            assert_ne!(from.iova(), to.iova());
            let end = io_core::dma::Iova::new(from.iova().raw() + (2 << 20) - 2048);
            Edu(&bar).read(end, 2048);
            Edu(&bar).write(to.iova(), 2048);
            let mut back = vec![0; 4096];
            to.view()
                .copy_to_slice(0, &mut back, AccessWidth::Auto)
                .unwrap();
            assert_eq!(back[..2048], image);
            assert_eq!(back[2048..], [0; 2048]);
            device.set_bus_master(false).unwrap();
        }
        set_pool(0);
    }

    #[test]
    #[ignore = "needs the lab"]
    fn what_cannot_be_had_without_an_iommu_is_refused_with_the_reason() {
        allow();
        let bound = Bound::new(EDU);
        let context = context(&bound);
        let device = context.open(bound.address).unwrap();
        // SAFETY: the device is told no addresses.
        let space = unsafe { context.use_physical_memory() }.unwrap();
        assert_eq!(device.dma().unwrap().limits(), space.limits());

        set_pool(0);
        let error = space.allocate(4096, DmaOptions::default()).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains("hugepages-2048kB/nr_hugepages"), "{hint}");

        set_pool(2);
        let error = space.allocate((2 << 20) + 1, DmaOptions::default());
        assert!(error.unwrap_err().hint().unwrap().contains("Huge1G"));
        // 2 MiB are out of reach of 20 bits wherever they are.
        let options = DmaOptions::default().address_bits(20);
        let error = space.allocate(4096, options).unwrap().share().unwrap_err();
        assert!(error.to_string().contains("it has 20 address bits"));
        let large = DmaOptions::default().pages(PageSize::Huge1G);
        assert!(space.allocate(4096, large).is_err(), "the pool has none");
        let large = DmaOptions::default().pages_if_possible(PageSize::Huge1G);
        assert_eq!(space.allocate(4096, large).unwrap().len(), 2 << 20);
        set_pool(0);
    }
}
