//! How long it takes to open devices, all at once.

use super::devices::{Device, Mode};
use crate::hot::OneProcessor;
use io_core::dma::DmaOptions;
use lab_guest::Bound;
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};
use vfio_backend::{VfioContext, VfioDevice};

scenarios! { everywhere:
    init
}

/// Opens all devices, a thread for each: in one context, and then each in a context of its own.
fn init(devices: &[Device]) {
    // QEMU 10 may abort (`iotlb_to_section`) or hang when one emulated processor changes where BARs are while the other
    // runs. Opening a device changes that.
    let _one = OneProcessor::new();
    let bound: Vec<Vec<Bound>> = devices.iter().map(Device::bind).collect();
    for &mode in Mode::all() {
        together(devices, &bound, mode);
        let contexts: Vec<_> = bound.iter().map(|_| mode.context()).collect();
        open(devices, &bound, mode, |index| &contexts[index]);
    }
}

fn together(devices: &[Device], bound: &[Vec<Bound>], mode: Mode) {
    let context = mode.context();
    let opened = open(devices, bound, mode, |_| &context);
    // Whoever was first: what is known of the addresses is known of all devices.
    let space = context.dma().unwrap();
    for device in &opened {
        assert_eq!(device.dma().unwrap().limits(), space.limits(), "{mode}");
    }
    let memory = space.allocate(4096, DmaOptions::default()).unwrap();
    memory.share().unwrap();
}

#[expect(clippy::print_stdout, reason = "times are what it is for")]
fn open<'c>(
    devices: &[Device],
    bound: &[Vec<Bound>],
    mode: Mode,
    context: impl Fn(usize) -> &'c VfioContext,
) -> Vec<VfioDevice> {
    let start = Barrier::new(devices.len());
    let started = Instant::now();
    let opened: Vec<(VfioDevice, Duration)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..devices.len())
            .map(|index| {
                let (context, address, start) = (context(index), bound[index][0].address, &start);
                scope.spawn(move || {
                    start.wait();
                    let started = Instant::now();
                    let device = context.open(address).unwrap();
                    (device, started.elapsed())
                })
            })
            .collect();
        let threads = threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).collect()
    });
    println!(
        "{mode}: {} devices in {:?}",
        opened.len(),
        started.elapsed()
    );
    for (device, (_, time)) in devices.iter().zip(&opened) {
        println!("  {}: {time:?}", device.name);
    }
    opened.into_iter().map(|(device, _)| device).collect()
}
