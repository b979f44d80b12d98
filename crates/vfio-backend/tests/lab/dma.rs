//! Memory that real devices read and write, behind a real IOMMU.

use crate::{
    edu::{ADDRESS_BITS, Edu},
    held::is_inherited,
    nobody,
    places::{EDU, EDU_BEHIND_PORT},
    plugged::{PLUGGED, Plugged},
};
use io_core::{
    AccessWidth, Bar, Io,
    dma::{DmaBuffer, DmaDirection, DmaOptions, DmaSpace, Iova, PageSize},
};
use lab_guest::{Bound, modes};
use pci_host::Host;
use std::fs;
use vfio_backend::{IommuMode, VfioContext};

fn options() -> DmaOptions {
    DmaOptions::default().address_bits(ADDRESS_BITS)
}

/// A shared buffer that holds these bytes.
fn buffer(space: &DmaSpace, bytes: &[u8]) -> DmaBuffer {
    let mut memory = space.allocate(4096, options()).unwrap();
    let (start, _) = memory.split_at_mut(bytes.len());
    start.copy_from_slice(bytes);
    memory.share().unwrap()
}

fn bytes(buffer: &DmaBuffer, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    buffer
        .view()
        .copy_to_slice(0, &mut bytes, AccessWidth::Auto)
        .unwrap();
    bytes
}

#[test]
#[ignore = "needs the lab"]
fn a_device_reads_memory_and_writes_it_elsewhere() {
    let image: Vec<u8> = (0..=255).cycle().take(2048).collect();
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        device.set_bus_master(true).unwrap();
        let (bar, space) = (device.bar(0).unwrap(), device.dma().unwrap());
        let from = buffer(space, &image);
        let to = buffer(space, &[]);
        assert!(from.iova().raw() < 1 << ADDRESS_BITS);
        Edu(&bar).read(from.iova(), 2048);
        Edu(&bar).write(to.iova(), 2048);
        assert_eq!(bytes(&to, 2048), image, "{mode}");
        assert_eq!(bytes(&to, 4096)[2048..], [0; 2048], "{mode}");
    }
}

#[test]
#[ignore = "needs the lab"]
fn devices_of_one_context_see_the_same_memory() {
    for mode in modes() {
        let (one, two) = (Bound::new(EDU), Bound::new(EDU_BEHIND_PORT));
        let context = VfioContext::new(&one.host, mode).unwrap();
        assert!(context.dma().is_none(), "no device, and no IOMMU");
        let devices = [&one, &two].map(|bound| context.open(bound.address).unwrap());
        let space = context.dma().unwrap();
        let (from, to) = (buffer(space, b"one for both"), buffer(space, &[]));
        let bars = devices.each_ref().map(|device| {
            device.set_bus_master(true).unwrap();
            device.bar(0).unwrap()
        });
        for bar in &bars {
            Edu(bar).read(from.iova(), 12);
        }
        for bar in &bars {
            to.view().fill(0, 12, 0, AccessWidth::Auto).unwrap();
            Edu(bar).write(to.iova(), 12);
            assert_eq!(bytes(&to, 12), b"one for both", "{mode}");
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_second_device_comes_into_a_context_with_memory_and_leaves_it_and_the_first_goes_on() {
    for mode in modes() {
        let (one, two) = (Bound::new(EDU), Bound::new(EDU_BEHIND_PORT));
        let context = VfioContext::new(&one.host, mode).unwrap();
        let first = context.open(one.address).unwrap();
        first.set_bus_master(true).unwrap();
        let (bar, space) = (first.bar(0).unwrap(), context.dma().unwrap());
        let (from, to) = (buffer(space, b"from before"), buffer(space, &[]));
        let copy = |bar: &Bar| {
            to.view().fill(0, 11, 0, AccessWidth::Auto).unwrap();
            Edu(bar).read(from.iova(), 11);
            Edu(bar).write(to.iova(), 11);
            assert_eq!(bytes(&to, 11), b"from before", "{mode}");
        };
        copy(&bar);
        for _ in 0..2 {
            let second = context.open(two.address).unwrap();
            second.set_bus_master(true).unwrap();
            copy(&second.bar(0).unwrap());
            drop(second);
            copy(&bar);
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn child_processes_get_neither_memory_for_devices_nor_bars() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let memory = device.dma().unwrap().allocate(4096, options()).unwrap();
        let bar = device.bar(0).unwrap();
        let addresses = [memory.as_ptr().addr(), bar.raw::<0>().unwrap().addr()];
        assert_eq!(addresses.map(is_inherited), [false; 2], "{mode}");
        let ordinary = Box::new(0_u64);
        assert!(is_inherited((&raw const *ordinary).addr()));
    }
}

/// What the kernel lets a container have, once for all that is opened from now on, until this is dropped.
struct EntryLimit(String);

const ENTRY_LIMIT: &str = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";

impl EntryLimit {
    fn new(mappings: u32) -> Self {
        let before = fs::read_to_string(ENTRY_LIMIT).unwrap();
        fs::write(ENTRY_LIMIT, mappings.to_string()).unwrap();
        Self(before)
    }
}

impl Drop for EntryLimit {
    fn drop(&mut self) {
        fs::write(ENTRY_LIMIT, self.0.trim()).unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn more_mappings_than_the_kernel_lets_a_container_have_are_refused_with_what_to_do() {
    let _limit = EntryLimit::new(2);
    let bound = Bound::new(EDU);
    let device = bound.open_in(IommuMode::Type1);
    let space = device.dma().unwrap();
    assert_eq!(space.limits().mappings, Some(2));
    let share = || space.allocate(4096, options()).unwrap().share();
    let (_one, two) = (share().unwrap(), share().unwrap());
    let error = share().unwrap_err();
    assert_eq!(error.errno(), Some(28), "ENOSPC: {error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("use fewer, larger ones"), "{hint}");
    let command = format!("| sudo tee {ENTRY_LIMIT}");
    assert!(hint.contains(&command), "{hint}");
    // What it says works.
    drop(two);
    share().unwrap();
}

#[test]
#[ignore = "needs the lab"]
fn what_is_unmapped_or_mapped_for_the_other_direction_the_device_does_not_change() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        device.set_bus_master(true).unwrap();
        let (bar, space) = (device.bar(0).unwrap(), device.dma().unwrap());
        let source = buffer(space, b"overwritten");
        Edu(&bar).read(source.iova(), 11);

        let mut memory = space
            .allocate(4096, options().direction(DmaDirection::ToDevice))
            .unwrap();
        memory[..4].copy_from_slice(b"kept");
        let read_only = memory.share().unwrap();
        Edu(&bar).write(read_only.iova(), 11);
        assert_eq!(&bytes(&read_only, 4), b"kept", "{mode}");

        let target = buffer(space, b"kept");
        let iova = target.iova();
        let memory = target.unshare().unwrap();
        Edu(&bar).write(iova, 11);
        assert_eq!(&memory[..4], b"kept", "{mode}");
        // Mapped again, at the same address, it is reached again.
        let again = memory.share().unwrap();
        assert_eq!(again.iova(), iova);
        Edu(&bar).write(iova, 11);
        assert_eq!(&bytes(&again, 11), b"overwritten", "{mode}");
    }
}

/// Lets a device write to memory that is mapped for writing, and read it. Returns what it read.
fn read_of_what_is_for_writing(mode: IommuMode) -> Vec<u8> {
    let bound = Bound::new(EDU);
    let device = bound.open_in(mode);
    device.set_bus_master(true).unwrap();
    let (bar, space) = (device.bar(0).unwrap(), device.dma().unwrap());
    let source = buffer(space, b"from here");
    Edu(&bar).read(source.iova(), 9);

    let write_only = options().direction(DmaDirection::FromDevice);
    let target = space.allocate(4096, write_only).unwrap().share().unwrap();
    Edu(&bar).write(target.iova(), 9);
    assert_eq!(&bytes(&target, 9), b"from here", "{mode}");
    target
        .view()
        .copy_from_slice(0, b"a secret.", AccessWidth::Auto)
        .unwrap();
    Edu(&bar).read(target.iova(), 9);
    let back = buffer(space, &[]);
    Edu(&bar).write(back.iova(), 9);
    bytes(&back, 9)
}

#[test]
#[ignore = "needs the lab"]
fn what_is_mapped_for_the_device_to_write_it_writes_and_intels_iommu_lets_it_read() {
    for mode in modes() {
        // Linux sets the bit for reading in every entry of VT-d's second level.
        assert_eq!(read_of_what_is_for_writing(mode), b"a secret.", "{mode}");
    }
}

mod amd {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn what_is_mapped_for_the_device_to_write_it_does_not_read() {
        for mode in modes() {
            assert_ne!(read_of_what_is_for_writing(mode), b"a secret.", "{mode}");
        }
    }
}

mod virtio {
    use super::*;

    #[test]
    #[ignore = "needs the lab"]
    fn what_is_mapped_for_the_device_to_write_it_does_not_read() {
        for mode in modes() {
            assert_ne!(read_of_what_is_for_writing(mode), b"a secret.", "{mode}");
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn addresses_are_those_that_the_kernel_tells_and_no_others() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let space = device.dma().unwrap();
        let limits = space.limits();
        assert_eq!(limits.granule(), 0x1000);
        // The interrupt window of x86 (Intel SDM volume 3, section 12.11.1) is a hole.
        let window = 0xfee0_0000;
        let covered = |at| {
            limits
                .ranges
                .iter()
                .any(|r| r.first() <= at && at <= r.last())
        };
        assert!(!covered(window) && covered(0x1000), "{:?}", limits.ranges);
        let share = |options: DmaOptions, iova| {
            let options = options.at(Iova::new(iova));
            space.allocate(4096, options).unwrap().share()
        };
        let at = |iova| share(DmaOptions::default(), iova);
        let error = at(window).unwrap_err();
        assert!(
            error.to_string().contains("0xfee00000 are not free"),
            "{error}"
        );
        let fixed = at(0x10_0000).unwrap();
        assert_eq!(fixed.iova().raw(), 0x10_0000);
        assert!(at(0x10_0000).is_err(), "taken");
        drop(fixed);
        assert!(at(0x10_0000).is_ok(), "free again");
        let last = limits.ranges.last().unwrap().last();
        assert!(
            at(last - 0xfff).is_ok(),
            "the last page, whose end is included"
        );
        assert!(at(last + 1).is_err());
        // edu's 28 bits.
        let reached = 0x1000_0000;
        assert!(share(options(), reached - 0x1000).is_ok(), "{mode}");
        let error = share(options(), reached).unwrap_err().to_string();
        assert!(
            error.ends_with("at 0x10000000 are beyond a device with 28 address bits"),
            "{mode}: {error}"
        );
    }
}

#[test]
#[ignore = "needs the lab"]
fn memory_of_the_caller_can_be_mapped() {
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let space = device.dma().unwrap();
        let mut memory = memmap2::MmapMut::map_anon(8192).unwrap();
        let map = |memory, len| {
            // SAFETY: there is no other reference to the memory, which is unmapped from the device before it is freed.
            #[expect(unsafe_code, reason = "maps memory of its own")]
            unsafe {
                space.map_memory(memory, len, options())
            }
        };
        let mapping = map(memory.as_mut_ptr(), 8192).unwrap();
        assert!(mapping.iova().raw() % 4096 == 0 && mapping.len() == 8192);
        let error = map(memory.as_mut_ptr().wrapping_add(1), 4096).unwrap_err();
        assert!(
            error.to_string().contains("whole pages of 0x1000 bytes"),
            "{error}"
        );
        mapping.unmap().unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn huge_pages_are_used_when_there_are_some_and_small_ones_only_when_allowed() {
    let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    for mode in modes() {
        let bound = Bound::new(EDU);
        let device = bound.open_in(mode);
        let space = device.dma().unwrap();
        let huge = DmaOptions::default().pages(PageSize::Huge2M);
        fs::write(pool, "0").unwrap();
        let error = space.allocate(1, huge).unwrap_err();
        assert!(error.hint().unwrap().contains("nr_hugepages"), "{error}");
        let small = DmaOptions::default().pages_if_possible(PageSize::Huge2M);
        assert_eq!(space.allocate(1, small).unwrap().len(), 4096);

        fs::write(pool, "2").unwrap();
        let buffer = space.allocate(3 << 20, huge).unwrap().share().unwrap();
        assert_eq!(
            (buffer.len(), buffer.iova().raw() % (1 << 21)),
            (4 << 20, 0)
        );
        drop(buffer);
        fs::write(pool, "0").unwrap();
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_buffer_is_where_the_device_reaches_it_by_its_address_bits() {
    for bits in [28, 32, 39, 48] {
        let _plugged = Plugged::edu(bits);
        for mode in modes() {
            let bound = Bound::new(PLUGGED);
            let device = bound.open_in(mode);
            device.set_bus_master(true).unwrap();
            let (bar, space) = (device.bar(0).unwrap(), device.dma().unwrap());
            let options = DmaOptions::default().address_bits(bits);
            let mut memory = space.allocate(3 * 4096, options).unwrap();
            memory[..4].copy_from_slice(b"here");
            let from = memory.share().unwrap();
            let last = from.iova().raw() + (3 * 4096 - 1);
            assert!(last >> bits == 0, "{bits} bits, {mode}: {last:#x}");
            // The highest address that there is is given out first: QEMU's IOMMU has 39 bits, that of QEMU 10 has 48.
            let ranges = &space.limits().ranges;
            let end = ranges.last().unwrap().last().min((1 << bits) - 1);
            assert_eq!(last, end, "{bits} bits, {mode}");

            let to = space.allocate(4096, options).unwrap().share().unwrap();
            Edu(&bar).read(from.iova(), 4);
            Edu(&bar).write(to.iova(), 4);
            assert_eq!(&bytes(&to, 4), b"here", "{bits} bits, {mode}");
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn memory_beyond_the_limit_is_refused_with_the_numbers() {
    /// Half of the limit, in bytes.
    const HALF: usize = 512 << 10;

    if let Some(mode) = nobody::told() {
        let context = VfioContext::new(&Host::system(), mode.parse().unwrap()).unwrap();
        let device = context.open(EDU.parse().unwrap()).unwrap();
        let space = device.dma().unwrap();
        let share = |len| space.allocate(len, options()).unwrap().share();
        let half = share(HALF).unwrap();
        let error = share(HALF + 4096).unwrap_err();
        assert_eq!(error.errno(), Some(12), "ENOMEM: {error}");
        let hint = error.hint().unwrap();
        let numbers = "may lock 1048576 bytes of memory (ulimit -l); 524288 are locked, and 528384 more are needed; raise it \
                       to 1028 KiB or more";
        assert!(hint.contains(numbers), "{mode}: {hint}");
        assert!(hint.contains("limits.conf"), "{hint}");
        share(HALF).unwrap();
        drop(half);
        share(HALF + 4096).unwrap();
        return;
    }
    for mode in modes() {
        let bound = Bound::new(EDU);
        nobody::give(&bound, nobody::NOBODY);
        let name = "dma::memory_beyond_the_limit_is_refused_with_the_numbers";
        nobody::run(name, 1024, &mode.to_string());
        nobody::give(&bound, 0);
    }
}

/// A machine with pages of 1 GiB.
mod huge {
    use super::*;

    /// The kernel's pool of them.
    const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";

    #[test]
    #[ignore = "needs the lab"]
    fn a_page_of_1_gib_is_reached_from_its_first_byte_to_its_last() {
        let huge = DmaOptions::default()
            .address_bits(39)
            .pages(PageSize::Huge1G);
        let _plugged = Plugged::edu(39);
        for mode in modes() {
            let bound = Bound::new(PLUGGED);
            let device = bound.open_in(mode);
            device.set_bus_master(true).unwrap();
            let (bar, space) = (device.bar(0).unwrap(), device.dma().unwrap());
            let error = space.allocate(1, huge).unwrap_err();
            let hint = error.hint().unwrap();
            assert!(hint.contains("hugepages-1048576kB/nr_hugepages"), "{hint}");

            fs::write(POOL, "1").unwrap();
            assert_eq!(fs::read_to_string(POOL).unwrap().trim(), "1");
            let mut memory = space.allocate(4096, huge).unwrap();
            assert_eq!(memory.len(), 1 << 30, "a whole page, {mode}");
            memory[..5].copy_from_slice(b"first");
            let memory = memory.share().unwrap();
            assert_eq!(memory.iova().raw() % (1 << 30), 0, "{mode}");
            let last = (1 << 30) - 5;
            Edu(&bar).read(memory.iova(), 5);
            Edu(&bar).write(Iova::new(memory.iova().raw() + last), 5);
            let memory = memory.unshare().unwrap();
            let end = memory.get(usize::try_from(last).unwrap()..);
            assert_eq!(end, Some(&b"first"[..]), "{mode}");
            drop(memory);
            fs::write(POOL, "0").unwrap();
        }
    }
}
