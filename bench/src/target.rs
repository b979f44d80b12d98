//! What the project aims at.

use serde_json::{Value, json};

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the benches make it")]
pub enum Target {
    /// At most this many instructions more than the rival, for one access.
    MoreInstructions(u32),
    /// At most this many times the rival's time.
    Time(f64),
    /// Nothing: the row is for information.
    Nothing,
}

impl Target {
    /// As it stands in a row.
    #[must_use]
    pub fn json(self) -> Value {
        match self {
            Self::MoreInstructions(more) => json!({ "more_instructions": more }),
            Self::Time(ratio) => json!({ "time": ratio }),
            Self::Nothing => Value::Null,
        }
    }
}
