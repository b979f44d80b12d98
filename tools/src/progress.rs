//! Progress on standard error: a bar on a terminal, plain lines elsewhere.

use crate::report::complain;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};

/// Elsewhere than on a terminal, a line is printed for each of so many parts.
const LINES: usize = 4;

/// The progress of one phase of a load.
pub struct Progress {
    what: &'static str,
    unit: &'static str,
    total: usize,
    done: usize,
    shown: usize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// The start of a phase that has `total` bytes to go through.
    pub fn new(what: &'static str, total: usize) -> Self {
        let style = "{prefix:>10} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
        Self::styled(what, "bytes", total, style)
    }

    /// The start of a phase that has `total` devices to go through.
    pub fn of_devices(total: usize) -> Self {
        Self::styled(
            "done",
            "devices",
            total,
            "{prefix:>10} [{bar:30}] {pos}/{len} devices {eta}",
        )
    }

    fn styled(what: &'static str, unit: &'static str, total: usize, style: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(style).expect("the template is well-formed");
            let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
            bar.with_style(style.progress_chars("=> "))
                .with_prefix(what)
        });
        Self {
            what,
            unit,
            total,
            done: 0,
            shown: 0,
            bar,
        }
    }

    /// One more is done.
    pub fn one_more(&mut self) {
        self.done += 1;
        self.at(self.done);
    }

    /// So much is done.
    pub fn at(&mut self, done: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(u64::try_from(done).unwrap_or(u64::MAX)),
            None => {
                let part = done.saturating_mul(LINES) / self.total.max(1);
                if part > self.shown {
                    self.shown = part;
                    complain(
                        self.what,
                        &format!("{done} of {} {}", self.total, self.unit),
                    );
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
