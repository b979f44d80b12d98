//! Memory for devices, on a simulated IOMMU and on one that fails.
#![expect(unsafe_code, reason = "implements what a backend does")]

use io_core::{
    AccessWidth, Error, ErrorKind, Io, Result,
    dma::{
        DmaBox, DmaDirection, DmaLimits, DmaOps, DmaOptions, DmaPages, DmaSpace, Iova, IovaRange,
        PageSize,
    },
    sim::SimulatedDma,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

#[test]
fn memory_goes_from_the_processor_to_the_device_and_back() {
    let iommu = SimulatedDma::new();
    let space = iommu.space();
    let mut memory = space.allocate(100, DmaOptions::default()).unwrap();
    assert_eq!(memory.len(), 4096, "whole pages");
    memory[..2].copy_from_slice(&[1, 2]);
    assert_eq!(iommu.mappings(), 0, "not reachable yet");

    let buffer = memory.share().unwrap();
    let mut seen = [0; 2];
    iommu.read(buffer.iova(), &mut seen).unwrap();
    assert_eq!(seen, [1, 2]);
    iommu
        .write(Iova::new(buffer.iova().raw() + 4094), &[8, 9])
        .unwrap();
    assert_eq!(buffer.view().try_read16(4094), Ok(0x0908));
    assert!(
        iommu
            .write(Iova::new(buffer.iova().raw() + 4095), &[8, 9])
            .is_err(),
        "past the end"
    );

    let iova = buffer.iova();
    let memory = buffer.unshare().unwrap();
    assert_eq!((memory[0], memory[4095]), (1, 9));
    assert!(
        iommu.read(iova, &mut seen).is_err(),
        "not reachable any more"
    );
}

#[test]
fn a_direction_is_kept() {
    let iommu = SimulatedDma::new();
    let share = |direction| {
        let options = DmaOptions::default().direction(direction);
        iommu.space().allocate(1, options).unwrap().share().unwrap()
    };
    // Each of a space of its own, which would take the same addresses: the second mapping is refused.
    let to = share(DmaDirection::ToDevice);
    assert!(iommu.write(to.iova(), &[1]).is_err());
    iommu.read(to.iova(), &mut [0]).unwrap();
    drop(to);
    let from = share(DmaDirection::FromDevice);
    assert!(iommu.read(from.iova(), &mut [0]).is_err());
    iommu.write(from.iova(), &[1]).unwrap();
    let again = iommu.space().allocate(1, DmaOptions::default()).unwrap();
    assert_eq!(again.share().unwrap_err().kind(), ErrorKind::Busy);
}

#[test]
fn a_simulated_device_works_on_the_thread_of_its_driver() {
    let iommu = SimulatedDma::new();
    let buffer = iommu
        .space()
        .allocate(1, DmaOptions::default())
        .unwrap()
        .share()
        .unwrap();
    let iova = buffer.iova();
    let elsewhere = iommu.clone();
    let refused = thread::spawn(move || elsewhere.write(iova, &[1]).is_err());
    assert!(refused.join().unwrap());
    let moved = thread::spawn(move || buffer.view().try_read8(0));
    assert!(moved.join().is_err(), "it would race with the device");
}

/// An IOMMU that maps, and does not unmap.
#[derive(Debug)]
struct Stuck(Arc<AtomicUsize>);

/// Memory that counts how often it is freed.
#[derive(Debug)]
struct Counted(Box<[u128]>, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: the memory is in a box of its own, which no reference is made to.
unsafe impl DmaPages for Counted {
    fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr().cast_mut().cast()
    }

    fn len(&self) -> usize {
        self.0.len() * 16
    }
}

impl DmaOps for Stuck {
    fn limits(&self) -> Result<DmaLimits> {
        Ok(DmaLimits {
            ranges: vec![IovaRange::ALL],
            page_sizes: 0x10,
            mappings: None,
        })
    }

    fn pages(&self, len: usize, _: PageSize) -> Result<Box<dyn DmaPages>> {
        let memory = vec![0; len.div_ceil(16)].into();
        Ok(Box::new(Counted(memory, Arc::clone(&self.0))))
    }

    unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
        Ok(())
    }

    fn unmap(&self, _: Iova, _: usize) -> Result<()> {
        Err(Error::new(ErrorKind::Other, "cannot unmap"))
    }
}

#[test]
#[cfg_attr(miri, ignore = "the memory is leaked, as it should be")]
fn memory_that_cannot_be_unmapped_is_never_freed() {
    let freed = Arc::new(AtomicUsize::new(0));
    let space = DmaSpace::new(Box::new(Stuck(Arc::clone(&freed)))).unwrap();
    let buffer = || {
        space
            .allocate(16, DmaOptions::default())
            .unwrap()
            .share()
            .unwrap()
    };
    let (first, second) = (buffer(), buffer());
    assert_ne!(first.iova(), second.iova());
    drop(first);
    assert_eq!(second.unshare().unwrap_err().to_string(), "cannot unmap");
    assert_eq!(freed.load(Ordering::Relaxed), 0);
    // What was never mapped is freed.
    drop(space.allocate(16, DmaOptions::default()).unwrap());
    assert_eq!(freed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_copy_reads_what_the_device_has_written_meanwhile() {
    let iommu = SimulatedDma::new();
    let buffer = iommu
        .space()
        .allocate(8, DmaOptions::default())
        .unwrap()
        .share()
        .unwrap();
    let view = buffer.view();
    view.copy_from_slice(0, b"expected", AccessWidth::Auto)
        .unwrap();
    iommu.write(buffer.iova(), b"E").unwrap();
    let found = view
        .verify(0, b"expected", AccessWidth::Auto)
        .unwrap()
        .unwrap();
    assert_eq!((found.offset, found.found), (0, b'E'));
}

/// An IOMMU that has less with every device.
#[derive(Debug)]
struct Narrowing(SimulatedDma, AtomicUsize);

impl DmaOps for Narrowing {
    fn limits(&self) -> Result<DmaLimits> {
        let asked = self.1.fetch_add(1, Ordering::Relaxed);
        let last = if asked == 0 { 0xff_ffff } else { 0xf_ffff };
        let ranges = IovaRange::new(0, last).into_iter().collect();
        Ok(DmaLimits {
            ranges,
            ..self.0.limits()?
        })
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        self.0.pages(len, pages)
    }

    unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
        Ok(())
    }

    fn unmap(&self, _: Iova, _: usize) -> Result<()> {
        Ok(())
    }
}

#[test]
fn addresses_that_a_second_device_has_not_are_not_told() {
    let ops = Narrowing(SimulatedDma::new(), AtomicUsize::new(0));
    let space = DmaSpace::new(Box::new(ops)).unwrap();
    let options = DmaOptions::default().at(Iova::new(0x10_0000));
    let share = || space.allocate(4096, options).unwrap().share();
    assert!(share().is_ok(), "the first one has it");
    space.refresh().unwrap();
    let error = share().unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("0xfffff") && !hint.contains("0xffffff"),
        "{hint}"
    );
}

#[test]
fn an_address_that_is_asked_for_is_one_that_the_device_reaches() {
    let space = SimulatedDma::new().space();
    let share = |bits, at, len| {
        let options = DmaOptions::default().address_bits(bits).at(Iova::new(at));
        space.allocate(len, options).unwrap().share()
    };
    assert!(share(28, 0xfff_f000, 0x1000).is_ok());
    for at in [0x1000_0000, 0xfff_f000] {
        let error = share(28, at, 0x2000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot map 0x2000 bytes for a device: the 0x2000 bytes of addresses at {at:#x} are beyond a device with 28 \
                 address bits"
            )
        );
    }
    assert!(share(29, 0x1000_0000, 0x1000).is_ok());
    assert!(share(64, 0x2000_0000, 0x1000).is_ok());
}

#[test]
fn an_address_that_was_given_back_goes_to_whom_it_fits() {
    let space = SimulatedDma::new().space();
    let share = |options: DmaOptions| space.allocate(0x1000, options).and_then(DmaBox::share);
    let any = DmaOptions::default();
    let [first, second] = [share(any).unwrap(), share(any).unwrap()];
    let [high, below] = [first.iova(), second.iova()];
    assert_eq!(high.raw(), 0x7f_ffff_f000, "the highest of all");
    assert_eq!(below.raw(), 0x7f_ffff_e000);
    drop(first);
    let low = share(any.address_bits(32)).unwrap();
    assert!(low.iova().raw() < 1 << 32, "what it does not reach");
    drop(share(any.at(high)).unwrap());
    let large = space.allocate(0x2000, any).and_then(DmaBox::share).unwrap();
    assert!(large.iova() < below, "too large for one page");
    drop(second);
    let both = space
        .allocate(0x2000, any.at(below))
        .and_then(DmaBox::share)
        .unwrap();
    let next = share(any).unwrap();
    assert!(next.iova() < large.iova(), "all above is in use");
    drop(both);
    assert_eq!(share(any).unwrap().iova(), high);

    // Address 0 is one as well, if it is asked for.
    let zero = any.at(Iova::new(0));
    drop(share(zero).unwrap());
    drop(share(zero).unwrap());
}
