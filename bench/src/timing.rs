//! Time, as a ratio of two sides that take turns.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::memory::Memory;
use crate::row::{Row, Run};

/// How long one turn of the slowest side takes, at least.
const TURN: Duration = Duration::from_micros(100);

/// How many turns each side has.
const TURNS: usize = 401;

/// How many turns each of several rivals has in the contest for the fastest.
const CONTEST: usize = 51;

/// Times a row.
pub fn time(row: &Row, memory: &Memory) -> Value {
    let sides = row.rivals.iter().map(|(_, rival)| rival).chain([&row.ours]);
    // By the slowest: a turn that is long is more often interrupted than one that is short.
    let passes = sides.map(|side| passes(side, memory)).min().unwrap_or(1);
    let rivals = row.rivals.iter();
    let timed =
        rivals.map(|(name, rival)| (take_turns(row, rival, memory, passes, CONTEST), name, rival));
    // The one that ours does worst against.
    let best = timed.max_by(|(one, ..), (two, ..)| one.ratio.total_cmp(&two.ratio));
    let Some((_, name, rival)) = best else {
        return Value::Null;
    };
    let turns = take_turns(row, rival, memory, passes, TURNS);
    json!({
        "what": row.name,
        "rival": name,
        "target": row.target.json(),
        "accesses": row.accesses,
        "passes": passes,
        "nanoseconds": { "ours": turns.ours, "rival": turns.rival },
        "time_ratio": turns.ratio,
        "time_ratio_quartiles": [turns.low, turns.high],
    })
}

/// Medians, and the quartiles of the ratio; times in nanoseconds for one access.
struct Turns {
    ours: f64,
    rival: f64,
    ratio: f64,
    low: f64,
    high: f64,
}

/// Lets both sides take turns. Each turn of one stands beside a turn of the other, so that what disturbs
/// the machine for longer than that disturbs both.
fn take_turns(row: &Row, rival: &Run, memory: &Memory, passes: u32, count: usize) -> Turns {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..count {
        let (one, two);
        // Neither is always the first.
        if turn % 2 == 0 {
            one = turn_of(&row.ours, memory, passes);
            two = turn_of(rival, memory, passes);
        } else {
            two = turn_of(rival, memory, passes);
            one = turn_of(&row.ours, memory, passes);
        }
        ours.push(one);
        theirs.push(two);
        ratios.push(one / two);
    }
    let each = 1e9 / f64::from(passes) / f64::from(row.accesses);
    Turns {
        ours: quantile(&mut ours, 2) * each,
        rival: quantile(&mut theirs, 2) * each,
        ratio: quantile(&mut ratios, 2),
        low: quantile(&mut ratios, 1),
        high: quantile(&mut ratios, 3),
    }
}

/// How many seconds a turn takes.
fn turn_of(run: &Run, memory: &Memory, passes: u32) -> f64 {
    let start = Instant::now();
    run(memory, passes);
    start.elapsed().as_secs_f64()
}

/// How many passes make a turn; what is found out on the way warms up the caches.
fn passes(run: &Run, memory: &Memory) -> u32 {
    let mut passes = 1;
    loop {
        let start = Instant::now();
        run(memory, passes);
        if start.elapsed() >= TURN {
            return passes;
        }
        passes *= 2;
    }
}

/// The first, second or third quartile.
fn quantile(values: &mut [f64], quarter: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = values.len() * quarter / 4;
    values.get(index).copied().unwrap_or(f64::NAN)
}
