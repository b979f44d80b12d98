//! A row: which ones are wanted, and how long their turns are.

use std::time::{Duration, Instant};

use outboard_bench::{Side, Target, passes, row, take_turns};
use serde_json::Value;
use vfio_backend::IommuMode;

/// How long one turn takes, at least: the processors of the guest are threads of a host that has other work.
const TURN: Duration = Duration::from_millis(5);

/// How long a row may take, about.
const ROW: f64 = 8.0;

/// The least and most turns of a side.
const TURNS: [f64; 2] = [9.0, 301.0];

/// The rows of one mode.
pub struct Contest<'a> {
    text: &'a str,
    pub mode: IommuMode,
}

impl<'a> Contest<'a> {
    pub fn new(text: &'a str, mode: IommuMode) -> Self {
        Self { text, mode }
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
        let passes = passes(ours, TURN).min(passes(theirs, TURN));
        let start = Instant::now();
        take_turns(ours, theirs, passes, 2);
        let pair = start.elapsed().as_secs_f64() / 2.0;
        let [least, most] = TURNS;
        let wanted = (ROW / pair).clamp(least, most);
        let count = (1..).step_by(2).find(|count| f64::from(*count) >= wanted);
        let count = count.and_then(|count: i32| usize::try_from(count).ok());
        let turns = take_turns(ours, theirs, passes, count.unwrap_or(1));
        let mut row = row((what, rival), target, (accesses, passes), turns);
        if let Some(row) = row.as_object_mut() {
            row.insert("mode".to_owned(), Value::from(self.mode.to_string()));
        }
        println!("{row}");
    }
}
