//! A load whose every result is known: factorials, and bytes that are copied to the device and back.

use crate::{Edu, MEMORY_SIZE};
use io_core::{Error, ErrorKind, PciDevice, Result, recovery::Work};
use std::{
    fmt, mem,
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// The bytes of a copy.
const COPY: usize = 512;

/// The load. It is [`Work`]: [`until_gone`](io_core::recovery::until_gone) runs it.
pub struct Soak<'d> {
    device: &'d dyn PciDevice,
    until: Instant,
    has_begun: bool,
    round: u32,
    /// What the device was given last, and where, until it was read back.
    copied: Option<(usize, Vec<u8>)>,
    /// How many results in a row were wrong.
    wrong: u32,
    tell: Box<dyn FnMut(&str) + 'd>,
    /// What was done.
    pub tally: Tally,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Factorials that were right.
    pub factorials: u64,
    /// Copies that came back as they were.
    pub copies: u64,
    /// How often the device was lost and brought up again.
    pub recoveries: u32,
    /// Whether a result was wrong, and again after the device was brought up for it.
    pub is_wrong: bool,
}

impl<'d> Soak<'d> {
    /// A load for so long. `tell` is told of its beginning, and of losses.
    pub fn new(device: &'d dyn PciDevice, time: Duration, tell: impl FnMut(&str) + 'd) -> Self {
        Self {
            device,
            until: Instant::now() + time,
            has_begun: false,
            round: 0,
            copied: None,
            wrong: 0,
            tell: Box::new(tell),
            tally: Tally::default(),
        }
    }

    fn check_factorials(&mut self, edu: &Edu<'_>) -> Result<()> {
        for _ in 0..16 {
            self.round += 1;
            let n = self.round % 13;
            let factorial = edu.factorial(n)?;
            if factorial != (1..=n).product::<u32>() {
                return Err(self.wrong(&format!("computes {factorial} as the factorial of {n}")));
            }
            self.tally.factorials += 1;
        }
        Ok(())
    }

    /// Gives the device bytes, or has them back and compares: each takes it 100 ms.
    fn copy(&mut self, edu: &Edu<'_>) -> Result<()> {
        let Some((offset, there)) = self.copied.take() else {
            self.round += 1;
            let seed = self.round.wrapping_mul(0x9e37_79b9);
            let words = (0..).map(|i: u32| seed.wrapping_add(i).wrapping_mul(0x85eb_ca6b));
            let there: Vec<u8> = words.flat_map(u32::to_le_bytes).take(COPY).collect();
            let offset = usize::try_from(seed >> 8).unwrap_or(0) % (MEMORY_SIZE - COPY);
            edu.write(offset, &there)?;
            self.copied = Some((offset, there));
            return Ok(());
        };
        let mut back = vec![0; COPY];
        edu.read(offset, &mut back)?;
        if there != back {
            return Err(self.wrong("does not give back what was copied to it"));
        }
        self.tally.copies += 1;
        Ok(())
    }

    /// What a wrong result means. The device does not say when a transfer fails, such as for a reset that nobody tells of:
    /// then it is right the next time.
    fn wrong(&mut self, what: &str) -> Error {
        self.wrong += 1;
        self.tally.is_wrong = self.wrong > 2;
        let kind = if self.tally.is_wrong {
            ErrorKind::Other
        } else {
            ErrorKind::Lost
        };
        Error::new(kind, format!("{} {what}", self.device.address()))
    }
}

impl<'d> Work for Soak<'d> {
    type Driver = Edu<'d>;
    type Done = ();

    fn bring_up(&mut self) -> Result<Edu<'d>> {
        self.copied = None;
        let mut edu = Edu::new(self.device)?;
        edu.check_liveness(self.round)?;
        let kind = edu.use_interrupt()?;
        if !mem::replace(&mut self.has_begun, true) {
            (self.tell)(&format!("computing and copying, by {kind}"));
        }
        Ok(edu)
    }

    fn step(&mut self, edu: &mut Edu<'d>) -> Result<ControlFlow<()>> {
        if Instant::now() >= self.until && self.copied.is_none() {
            return Ok(ControlFlow::Break(()));
        }
        self.check_factorials(edu)?;
        self.copy(edu)?;
        if self.copied.is_none() {
            self.wrong = 0;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn recovered(&mut self, why: &Error, after: Duration) {
        self.tally.recoveries += 1;
        (self.tell)(&format!("recovered after {after:.1?}: {why}"));
    }
}

impl fmt::Debug for Soak<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("Soak");
        output
            .field("device", &self.device)
            .field("tally", &self.tally);
        output.finish_non_exhaustive()
    }
}
