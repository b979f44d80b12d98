//! A BAR as memory for DMA: a type 1 IOMMU of the kernel's maps it, and iommufd refuses.
#![expect(unsafe_code, reason = "maps memory of its own")]

use super::devices::{Device, Mode, Opened, each};
use io_core::{
    Bar, ErrorKind,
    dma::{DmaMapping, DmaOptions, Iova},
};
use std::ptr;

scenarios! { everywhere:
    map_full_bar
    map_partial_bar
    map_bar_misaligned
}

const PAGE: usize = 4096;

fn map_full_bar(devices: &[Device]) {
    each(devices, |opened| {
        let bar = largest_bar(opened);
        // A mapping of a smaller one would give the device what else is in the page.
        let refused = bar.size() < PAGE;
        check(opened, &bar, 0, bar.size(), DmaOptions::default(), refused);
    });
}

fn map_partial_bar(devices: &[Device]) {
    each(devices, |opened| {
        let bar = largest_bar(opened);
        let (half, refused) = (bar.size() / 2, bar.size() < 2 * PAGE);
        check(opened, &bar, 0, half, DmaOptions::default(), refused);
    });
}

/// At addresses for the device that are at another place in a large page than those for the processor.
fn map_bar_misaligned(devices: &[Device]) {
    each(devices, |opened| {
        let bar = largest_bar(opened);
        let options = DmaOptions::default().at(Iova::new(1 << 30));
        if bar.size() < 2 * PAGE {
            check(opened, &bar, bar.size() / 2, PAGE, options, true);
        } else {
            check(opened, &bar, PAGE, bar.size() - PAGE, options, false);
        }
    });
}

/// Maps a part of a BAR, which is `refused` for its place, or by every mode but type 1.
fn check(
    opened: &Opened,
    bar: &Bar,
    offset: usize,
    len: usize,
    options: DmaOptions,
    refused: bool,
) {
    let result = map(opened, bar, offset, len, options);
    match (refused, opened.mode) {
        (true, _) => {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{opened}: {error}");
        }
        (false, Mode::Type1v2) => {
            let mapping = result.unwrap_or_else(|e| panic!("{opened}: {e}: {:?}", e.errno()));
            assert_eq!(mapping.len(), len, "{opened}");
            mapping.unmap().unwrap();
        }
        (false, Mode::CompatType1v2 | Mode::Iommufd) => {
            let error = result.unwrap_err();
            // EFAULT: it is no memory.
            assert_eq!(error.errno(), Some(14), "{opened}: {error}");
            // The addresses are free again.
            let again = map(opened, bar, offset, len, options).unwrap_err();
            assert_eq!(again.errno(), Some(14), "{opened}: {again}");
        }
    }
}

fn map(
    opened: &Opened,
    bar: &Bar,
    offset: usize,
    len: usize,
    options: DmaOptions,
) -> io_core::Result<DmaMapping> {
    let start = ptr::with_exposed_provenance_mut::<u8>(bar.raw::<0>().unwrap().addr());
    let space = opened.device.dma().unwrap();
    // SAFETY: the BAR is mapped longer than the mapping lives, which is unmapped before the BAR is; there is no reference
    // to it, and the device does not use it.
    unsafe { space.map_memory(start.wrapping_add(offset), len, options) }
}

/// The largest BAR that can be mapped. Each device has one.
fn largest_bar(opened: &Opened) -> Bar {
    (0..6)
        .filter_map(|index| opened.device.bar(index).ok())
        .filter(|bar| bar.mmio::<0>().is_ok())
        .max_by_key(Bar::size)
        .unwrap()
}
