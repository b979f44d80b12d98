//! Reads of single blocks at random, as many at once as may be.

use io_core::Result;
use nvme::{Nvme, Operation, Slot};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// How fast it went.
#[derive(Debug)]
pub struct Outcome {
    depth: usize,
    reads: u32,
    time: Duration,
    /// Of all reads together.
    latency: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = f64::from(self.reads) / self.time.as_secs_f64();
        let latency = self.latency / self.reads.max(1);
        write!(
            f,
            "depth {:2}: {per_second:.0} reads a second, {latency:.1?} each",
            self.depth
        )
    }
}

/// Reads for so long.
pub fn run(nvme: &mut Nvme<'_>, time: Duration) -> Result<Outcome> {
    let blocks = nvme.namespace().blocks;
    // Numbers that look random: a linear congruential generator with Knuth's constants for MMIX.
    let mut state = 1_u64;
    let mut lba = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 16) % blocks
    };
    let mut outcome = Outcome {
        depth: nvme.depth(),
        reads: 0,
        time,
        latency: Duration::ZERO,
    };
    let started = Instant::now();
    let mut since = vec![started; outcome.depth];
    let mut begin = |nvme: &mut Nvme<'_>, slot: Slot, since: &mut Vec<Instant>| {
        if let Some(since) = since.get_mut(usize::from(slot.number())) {
            *since = Instant::now();
        }
        nvme.submit(slot, Operation::Read(lba(), 1))
    };
    let mut under_way = 0;
    while let Some(slot) = nvme.take() {
        begin(nvme, slot, &mut since)?;
        under_way += 1;
    }
    while under_way > 0 {
        let (slot, done) = nvme.wait()?;
        done?;
        let began = since.get(usize::from(slot.number()));
        outcome.latency += began.map_or(Duration::ZERO, Instant::elapsed);
        outcome.reads += 1;
        if started.elapsed() < time {
            begin(nvme, slot, &mut since)?;
        } else {
            nvme.give_back(slot);
            under_way -= 1;
        }
    }
    outcome.time = started.elapsed();
    Ok(outcome)
}
