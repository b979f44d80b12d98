//! Time, as a ratio of ours and the rival that ours does worst against.

use std::time::Duration;

use outboard_bench::{Turns, passes, take_turns};
use serde_json::Value;

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
    let passes = sides.map(|side| passes(&mut |passes| side(memory, passes), TURN));
    let passes = passes.min().unwrap_or(1);
    let turns = |rival: &Run, count| -> Turns {
        take_turns(
            &mut |passes| (row.ours)(memory, passes),
            &mut |passes| rival(memory, passes),
            passes,
            count,
        )
    };
    let rivals = row.rivals.iter();
    let timed = rivals.map(|(name, rival)| (turns(rival, CONTEST), name, rival));
    // The one that ours does worst against.
    let best = timed.max_by(|(one, ..), (two, ..)| one.ratio.total_cmp(&two.ratio));
    let Some((_, name, rival)) = best else {
        return Value::Null;
    };
    let turns = turns(rival, TURNS);
    outboard_bench::row((&row.name, name), row.target, (row.accesses, passes), turns)
}
