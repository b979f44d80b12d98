//! A row: which ones are wanted, and how long their turns are.

use std::time::{Duration, Instant};

use outboard_bench::{Side, Target, passes, row, take_turns};
use serde_json::Value;
use vfio_backend::IommuMode;

/// How long one turn takes, at least: the processors of the guest are threads of a host that has other work.
const TURN: Duration = Duration::from_millis(20);

/// How long a row may take, about.
const ROW: f64 = 6.0;

/// The least and most turns of a side.
const TURNS: [f64; 2] = [9.0, 301.0];

/// How long a turn takes, and how many there are, where the clock counts instructions: each is like the other.
const COUNTED: (Duration, usize) = (Duration::from_millis(1), 3);

/// The rows of one mode.
pub struct Contest<'a> {
    text: &'a str,
    pub mode: IommuMode,
    /// Whether the guest's clock counts instructions.
    pub counts: bool,
}

impl<'a> Contest<'a> {
    pub fn new(text: &'a str, mode: IommuMode, counts: bool) -> Self {
        Self { text, mode, counts }
    }

    /// Whether the row is asked for.
    pub fn wants(&self, what: &str) -> bool {
        what.contains(self.text)
    }

    /// Times a row that is wanted, and prints it.
    pub fn row(
        &self,
        (what, rival): (&str, &str),
        target: Target,
        accesses: u32,
        (ours, theirs): (&mut Side<'_>, &mut Side<'_>),
    ) {
        // The first access to a mapped BAR takes longer than a turn.
        ours(1);
        theirs(1);
        let turn = if self.counts { COUNTED.0 } else { TURN };
        let passes = passes(ours, turn).min(passes(theirs, turn));
        let count = if self.counts {
            COUNTED.1
        } else {
            turns(ours, theirs, passes)
        };
        let turns = take_turns(ours, theirs, passes, count);
        let mut row = row((what, rival), target, (accesses, passes), turns);
        if let Some(row) = row.as_object_mut() {
            row.insert("mode".to_owned(), Value::from(self.mode.to_string()));
        }
        println!("{row}");
    }
}

/// As many turns as the time of a row is enough for.
fn turns(ours: &mut Side<'_>, theirs: &mut Side<'_>, passes: u32) -> usize {
    let start = Instant::now();
    take_turns(ours, theirs, passes, 2);
    let pair = start.elapsed().as_secs_f64() / 2.0;
    let [least, most] = TURNS;
    let wanted = (ROW / pair).clamp(least, most);
    let count = (1_u16..).find(|count| f64::from(*count) >= wanted);
    count.map_or(1, usize::from)
}
