//! What a bench says of a row, what is aimed at, and the table.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::error::Result;
use crate::instructions;

/// What a count may be off by, for one access.
const SLACK: f64 = 0.01;

/// How many passes are counted at least, and at most.
const LEAST: u32 = 16;
const MOST: u32 = 1 << 14;

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    /// At most this many instructions more than the rival, for one access.
    MoreInstructions(f64),
    /// At most this many times the rival's time.
    Time(f64),
    /// Nothing.
    Nothing,
}

impl Target {
    fn new(row: &Value) -> Self {
        let target = row.get("target");
        let of = |key| target.and_then(|target| target.get(key)?.as_f64());
        of("more_instructions")
            .map(Self::MoreInstructions)
            .or_else(|| of("time").map(Self::Time))
            .unwrap_or(Self::Nothing)
    }

    /// Whether it is met; `None` if there is none, or if what it is about was not counted.
    fn is_met(self, time_ratio: f64, more_instructions: Option<f64>) -> Option<bool> {
        match self {
            Self::MoreInstructions(more) => Some(more_instructions? <= more + SLACK),
            Self::Time(ratio) => Some(time_ratio <= ratio),
            Self::Nothing => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::MoreInstructions(0.0) => "1.00 instr.".to_owned(),
            Self::MoreInstructions(more) => format!("+{more} instr."),
            Self::Time(ratio) => format!("{ratio:.2} time"),
            Self::Nothing => "-".to_owned(),
        }
    }
}

/// A line of the table. Times are nanoseconds, and like the instructions of one access, or of one copy.
#[derive(Clone, Debug)]
pub struct Row {
    what: String,
    /// The kernel's interface to the IOMMU, if it is one of the lab's.
    mode: Option<String>,
    rival: String,
    accesses: f64,
    passes: u32,
    times: [f64; 2],
    ratio: f64,
    quartiles: [f64; 2],
    instructions: Option<[f64; 2]>,
    target: Target,
}

impl Row {
    /// What the bench says of a row.
    pub fn new(row: &Value) -> Result<Self> {
        let text = |key: &str| Some(row.get(key)?.as_str()?.to_owned());
        let number = |pointer: &str| {
            let number = row.pointer(pointer).and_then(Value::as_f64);
            number.ok_or_else(|| format!("a row of the bench has no {pointer}: {row}"))
        };
        let passes = row.get("passes").and_then(Value::as_u64);
        let passes = passes.and_then(|n| u32::try_from(n).ok());
        Ok(Self {
            what: text("what").ok_or("a row of the bench has no name")?,
            mode: text("mode"),
            rival: text("rival").ok_or("a row of the bench has no rival")?,
            accesses: number("/accesses")?,
            passes: passes.ok_or("a row of the bench has no number of passes")?,
            times: [number("/nanoseconds/ours")?, number("/nanoseconds/rival")?],
            ratio: number("/time_ratio")?,
            quartiles: [
                number("/time_ratio_quartiles/0")?,
                number("/time_ratio_quartiles/1")?,
            ],
            instructions: None,
            target: Target::new(row),
        })
    }

    /// The same with its instructions counted.
    pub fn with_instructions(self, bench: &Path) -> Result<Self> {
        // As many as take a moment where nothing is counted.
        let passes = self.passes.clamp(LEAST, MOST);
        let counts = instructions::of_a_pass(bench, &self.what, ["ours", &self.rival], passes)?;
        let instructions = Some(counts.map(|pass| pass / self.accesses));
        Ok(Self {
            instructions,
            ..self
        })
    }

    /// The same with the instructions that `counted` has of it: there, an instruction takes a nanosecond.
    pub fn with_counts_of(self, counted: &[Self]) -> Self {
        let same = |row: &&Self| (&row.what, &row.mode) == (&self.what, &self.mode);
        let instructions = counted.iter().find(same).map(|row| row.times);
        Self {
            instructions,
            ..self
        }
    }

    fn met(&self) -> Option<bool> {
        let more = self.instructions.map(|[ours, rival]| ours - rival);
        self.target.is_met(self.ratio, more)
    }

    /// Whether it misses what does not depend on the machine and on what else that does.
    pub fn fails(&self) -> bool {
        matches!(self.target, Target::MoreInstructions(_)) && self.met() == Some(false)
    }

    pub fn json(&self) -> Value {
        let target = match self.target {
            Target::MoreInstructions(more) => json!({ "more_instructions": more }),
            Target::Time(ratio) => json!({ "time_ratio": ratio }),
            Target::Nothing => Value::Null,
        };
        let counted =
            |[ours, rival]: [f64; 2]| json!({ "ours": ours, "rival": rival, "more": ours - rival });
        let mut row = json!({
            "what": self.what,
            "rival": self.rival,
            "nanoseconds": { "ours": self.times[0], "rival": self.times[1] },
            "time_ratio": self.ratio,
            "time_ratio_quartiles": self.quartiles,
            "target": target,
            "met": self.met(),
        });
        let optional = [
            ("instructions", self.instructions.map(counted)),
            ("mode", self.mode.clone().map(Value::from)),
        ];
        for (key, value) in optional {
            if let (Some(value), Some(row)) = (value, row.as_object_mut()) {
                row.insert(key.to_owned(), value);
            }
        }
        row
    }

    /// The cells of its line, under their heads; empty ones stand for what no row of a bench has.
    fn cells(&self) -> [(&'static str, String); 11] {
        let [low, high] = self.quartiles;
        let met = self.met();
        let met = met.map_or("-", |met| if met { "met" } else { "missed" });
        let counted = |side: usize| {
            let count = self.instructions.and_then(|both| both.get(side).copied());
            count.map(short).unwrap_or_default()
        };
        [
            ("WHAT", self.what.clone()),
            ("MODE", self.mode.clone().unwrap_or_default()),
            ("RIVAL", self.rival.clone()),
            ("OURS ns", short(self.times[0])),
            ("RIVAL ns", short(self.times[1])),
            ("RATIO", format!("{:.3}", self.ratio)),
            ("QUARTILES", format!("{low:.3}-{high:.3}")),
            ("OURS instr.", counted(0)),
            ("RIVAL instr.", counted(1)),
            ("TARGET", self.target.text()),
            ("MET", met.to_owned()),
        ]
    }
}

/// Heads of columns with numbers.
const NUMBERS: [&str; 6] = [
    "OURS ns",
    "RIVAL ns",
    "RATIO",
    "QUARTILES",
    "OURS instr.",
    "RIVAL instr.",
];

/// The table, without columns that are empty in each row.
pub fn table(rows: &[Row]) -> String {
    let lines: Vec<_> = rows.iter().map(Row::cells).collect();
    let wanted = |head: &str| {
        let mut cells = lines.iter().flatten();
        cells.any(|(of, cell)| *of == head && !cell.is_empty())
    };
    let heads = lines.iter().take(1).flatten().map(|(head, _)| *head);
    let heads: Vec<&str> = heads.filter(|head| wanted(head)).collect();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(&heads);
    for line in &lines {
        let cells = line.iter().filter(|(head, _)| heads.contains(head));
        table.add_row(cells.map(|(_, cell)| cell));
    }
    for (index, head) in heads.iter().enumerate() {
        if let (true, Some(column)) = (NUMBERS.contains(head), table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.trim().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A number of nanoseconds or instructions: of many, the fractions say nothing.
fn short(number: f64) -> String {
    if number < 100.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Target, Value, json, table};

    fn row(more: &Value) -> Row {
        let mut row = json!({ "what": "a", "rival": "b", "accesses": 2, "passes": 4,
            "nanoseconds": { "ours": 3.0, "rival": 2.0 }, "time_ratio": 1.5, "time_ratio_quartiles": [1.4, 1.6] });
        let all = row.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        Row::new(&row).unwrap()
    }

    #[test]
    fn a_target_about_instructions_is_judged_by_them_alone() {
        let target = Target::new(&json!({ "target": { "more_instructions": 2 } }));
        assert_eq!(target, Target::MoreInstructions(2.0));
        assert_eq!(target.is_met(9.0, Some(2.0)), Some(true));
        assert_eq!(target.is_met(0.5, Some(3.0)), Some(false));
        assert_eq!(target.is_met(0.5, None), None);
    }

    #[test]
    fn a_target_about_time_is_judged_by_the_ratio() {
        let target = Target::new(&json!({ "target": { "time": 1.05 } }));
        assert_eq!(target.is_met(1.05, Some(9.0)), Some(true));
        assert_eq!(target.is_met(1.06, None), Some(false));
    }

    #[test]
    fn without_a_target_nothing_is_missed() {
        let target = Target::new(&json!({ "target": null }));
        assert_eq!(target.is_met(9.0, Some(9.0)), None);
    }

    #[test]
    fn a_row_of_the_lab_has_a_mode_and_what_was_counted_in_another_guest() {
        let row = row(&json!({ "mode": "iommufd", "target": { "time": 1.03 } }));
        assert_eq!(row.json().get("mode"), Some(&json!("iommufd")));
        assert_eq!(row.json().get("instructions"), None);
        assert!(!row.fails(), "times depend on the machine");
        let mut counted = row.clone();
        counted.times = [11.0, 10.0];
        let row = row.with_counts_of(&[counted]);
        let table = table(&[row]);
        let words: Vec<_> = table.split_whitespace().collect();
        let expected = "WHAT MODE RIVAL OURS ns RIVAL ns RATIO QUARTILES OURS instr. RIVAL instr. \
                        TARGET MET a iommufd b 3.00 2.00 1.500 1.400-1.600 11.00 10.00 1.03 time missed";
        assert_eq!(words.join(" "), expected);
    }
}
