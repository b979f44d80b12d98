//! Time, as a ratio of two sides that take turns.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Target;

/// Does the same work so many times.
pub type Side<'a> = dyn FnMut(u32) + 'a;

/// Medians, and the quartiles of the ratio; times in seconds for one pass.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benches read it")]
pub struct Turns {
    /// Our time.
    pub ours: f64,
    /// The rival's.
    pub rival: f64,
    /// The median of the ratios of neighbouring turns.
    pub ratio: f64,
    /// Their first quartile.
    pub low: f64,
    /// Their third quartile.
    pub high: f64,
}

impl Turns {
    /// Of turns that were timed: seconds of ours, and of the rival's beside them.
    #[must_use]
    pub fn of(mut ours: Vec<f64>, mut rival: Vec<f64>) -> Self {
        let pairs = ours.iter().zip(&rival);
        let mut ratios: Vec<f64> = pairs.map(|(ours, rival)| ours / rival).collect();
        Self {
            ours: quantile(&mut ours, 2),
            rival: quantile(&mut rival, 2),
            ratio: quantile(&mut ratios, 2),
            low: quantile(&mut ratios, 1),
            high: quantile(&mut ratios, 3),
        }
    }
}

/// Lets both sides take `count` turns of `passes`. Each turn of one stands beside a turn of the other, so that what
/// disturbs the machine for longer than that disturbs both.
pub fn take_turns(ours: &mut Side<'_>, rival: &mut Side<'_>, passes: u32, count: usize) -> Turns {
    let (mut times, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..count {
        let (one, two);
        // Neither is always the first.
        if turn % 2 == 0 {
            one = turn_of(ours, passes);
            two = turn_of(rival, passes);
        } else {
            two = turn_of(rival, passes);
            one = turn_of(ours, passes);
        }
        times.push(one);
        theirs.push(two);
    }
    let each = 1.0 / f64::from(passes);
    let turns = Turns::of(times, theirs);
    Turns {
        ours: turns.ours * each,
        rival: turns.rival * each,
        ..turns
    }
}

/// How many passes make a turn that takes `least`; what is found out on the way warms up the caches.
pub fn passes(side: &mut Side<'_>, least: Duration) -> u32 {
    let mut passes = 1;
    loop {
        let start = Instant::now();
        side(passes);
        if start.elapsed() >= least {
            return passes;
        }
        passes *= 2;
    }
}

/// A row, as the benches print it. `passes` is how many of them make a turn, and `accesses` how many of what is measured
/// there are in one.
#[must_use]
pub fn row(
    (what, rival): (&str, &str),
    target: Target,
    (accesses, passes): (u32, u32),
    turns: Turns,
) -> Value {
    let each = 1e9 / f64::from(accesses);
    json!({
        "what": what,
        "rival": rival,
        "target": target.json(),
        "accesses": accesses,
        "passes": passes,
        "nanoseconds": { "ours": turns.ours * each, "rival": turns.rival * each },
        "time_ratio": turns.ratio,
        "time_ratio_quartiles": [turns.low, turns.high],
    })
}

/// How many seconds a turn takes.
fn turn_of(side: &mut Side<'_>, passes: u32) -> f64 {
    let start = Instant::now();
    side(passes);
    start.elapsed().as_secs_f64()
}

/// The first, second or third quartile.
fn quantile(values: &mut [f64], quarter: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = values.len() * quarter / 4;
    values.get(index).copied().unwrap_or(f64::NAN)
}
