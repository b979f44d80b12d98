//! From an event of the device to the program that waits for it, beside poll(2) and read(2) of the same eventfd.
#![expect(unsafe_code, reason = "calls poll and read")]

use std::os::fd::RawFd;
use std::time::Duration;

use io_core::Io;
use io_core::irq::{Interrupt, InterruptKind, Interrupts};
use outboard_bench::Target;

use crate::contest::Contest;
use crate::{Result, bound};

const DEVICE: &str = "0000:00:03.0";

// docs/specs/edu.txt of QEMU.
const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;

const LONG: Duration = Duration::from_secs(10);

pub fn rows(contest: &Contest<'_>) -> Result<()> {
    let (by_device, by_vfio) = ("interrupt by the device", "interrupt by VFIO's trigger");
    if !contest.wants(by_device) && !contest.wants(by_vfio) {
        return Ok(());
    }
    let device = bound::open(DEVICE, contest.mode)?;
    device.set_bus_master(true)?;
    let bar = device.bar(0)?;
    let io = bar.mmio::<0x80>()?;
    let vectors = device.enable(InterruptKind::Msi, 0..1)?;
    let interrupt = vectors.first().ok_or("no vector")?;
    let raise = || io.write32::<RAISE>(1);
    if contest.wants(by_device) {
        row(contest, by_device, interrupt.as_ref(), &raise, &|| {
            io.write32::<ACKNOWLEDGE>(1);
        });
    }
    if contest.wants(by_vfio) {
        let trigger = || interrupt.trigger().expect("VFIO can");
        row(contest, by_vfio, interrupt.as_ref(), &trigger, &|| {});
    }
    device.set_bus_master(false)?;
    Ok(())
}

fn row(
    contest: &Contest<'_>,
    what: &str,
    interrupt: &dyn Interrupt,
    raise: &dyn Fn(),
    acknowledge: &dyn Fn(),
) {
    let fd = interrupt.as_raw_fd();
    let mut ours = |passes| {
        for _ in 0..passes {
            raise();
            let events = interrupt.wait(LONG).expect("it can be waited for");
            assert_eq!(events, Some(1));
            acknowledge();
        }
    };
    let mut theirs = |passes| {
        for _ in 0..passes {
            raise();
            assert_eq!(poll_and_read(fd), 1);
            acknowledge();
        }
    };
    let sides = (what, "poll and read");
    contest.row(sides, Target::Time(1.03), 1, (&mut ours, &mut theirs));
}

/// Waits for an eventfd, and takes its count.
fn poll_and_read(fd: RawFd) -> u64 {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: it is one structure.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 10_000) };
    assert_eq!(ready, 1, "no event came");
    let mut count = 0_u64;
    // SAFETY: an eventfd gives 8 bytes, for which there is room.
    let read = unsafe { libc::read(fd, (&raw mut count).cast(), 8) };
    assert_eq!(read, 8, "it is an eventfd");
    count
}
