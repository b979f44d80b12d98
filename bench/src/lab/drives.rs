//! Reads of single blocks by the example driver, beside a loop made for nothing else and beside the kernel's driver.

use nvme::{Nvme, Operation, Options};
use outboard_bench::Target;

use crate::contest::Contest;
use crate::drive_by_hand::ByHand;
use crate::drive_of_kernel::OfKernel;
use crate::{Result, bound};

/// Three drives that are alike: see `cargo xtask bench --lab`.
const OURS: &str = "0000:04:00.0";
const BY_HAND: &str = "0000:06:00.0";
const OF_KERNEL: &str = "0000:07:00.0";

const DEPTHS: [u16; 3] = [1, 8, 32];

pub fn rows(contest: &Contest<'_>) -> Result<()> {
    for depth in DEPTHS {
        let by_hand = format!("NVMe reads, depth {depth}, beside a loop by hand");
        let of_kernel = format!("NVMe reads, depth {depth}, beside the kernel");
        if !contest.wants(&by_hand) && !contest.wants(&of_kernel) {
            continue;
        }
        let device = bound::open(OURS, contest.mode)?;
        let options = Options {
            depth,
            interrupts: false,
        };
        let mut nvme = Nvme::new(&device, options)?;
        let mut next = 0;
        let mut ours = |reads| read(&mut nvme, &mut next, reads).expect("the drive can be read");
        if contest.wants(&by_hand) {
            let device = bound::open(BY_HAND, contest.mode)?;
            let mut drive = ByHand::new(&device, depth)?;
            let mut theirs = |reads| drive.read(reads);
            let sides = (by_hand.as_str(), "volatile loop, as libvfn's perf");
            // Above libvfn's figures: ours is to take no longer.
            contest.row(sides, Target::Time(1.0), 1, (&mut ours, &mut theirs));
            drive.stop()?;
        }
        if contest.wants(&of_kernel) {
            let mut drive = OfKernel::new(OF_KERNEL, depth)?;
            let mut theirs = |reads| drive.read(reads);
            let sides = (of_kernel.as_str(), "O_DIRECT, io_submit");
            contest.row(sides, Target::Time(1.0), 1, (&mut ours, &mut theirs));
        }
        nvme.close()?;
    }
    Ok(())
}

/// Reads so many blocks one after the other, with as many commands under way as there may be.
fn read(nvme: &mut Nvme<'_>, next: &mut u64, reads: u32) -> io_core::Result<()> {
    let blocks = nvme.namespace().blocks;
    let mut left = reads;
    let mut under_way = 0;
    let mut begin = |nvme: &mut Nvme<'_>, slot| {
        *next = (*next + 1) % blocks;
        nvme.submit(slot, Operation::Read(*next, 1))
    };
    while left > 0 {
        let Some(slot) = nvme.take() else { break };
        begin(nvme, slot)?;
        (left, under_way) = (left - 1, under_way + 1);
    }
    while under_way > 0 {
        let (slot, done) = nvme.wait()?;
        done?;
        if left > 0 {
            begin(nvme, slot)?;
            left -= 1;
        } else {
            nvme.give_back(slot);
            under_way -= 1;
        }
    }
    Ok(())
}
