//! What is compared: a row has one side that is ours, and at least one that is a rival's.

use outboard_bench::Target;

use crate::memory::Memory;

/// Does the same work `passes` times.
pub type Run = Box<dyn Fn(&Memory, u32)>;

/// A row of the table.
pub struct Row {
    pub name: String,
    /// How many accesses there are in one pass; for a copy, it is one.
    pub accesses: u32,
    pub target: Target,
    pub ours: Run,
    /// Names and sides of the rivals, of which the fastest counts.
    pub rivals: Vec<(&'static str, Run)>,
}

impl Row {
    pub fn new(name: impl Into<String>, target: Target, accesses: u32, ours: Run) -> Self {
        Self {
            name: name.into(),
            accesses,
            target,
            ours,
            rivals: Vec::new(),
        }
    }

    pub fn against(mut self, name: &'static str, rival: Run) -> Self {
        self.rivals.push((name, rival));
        self
    }

    /// The side called "ours", or as a rival is.
    pub fn side(&self, name: &str) -> Option<&Run> {
        if name == "ours" {
            return Some(&self.ours);
        }
        let rival = self.rivals.iter().find(|(rival, _)| *rival == name);
        rival.map(|(_, run)| run)
    }
}
