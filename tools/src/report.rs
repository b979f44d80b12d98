//! What a command has to say: text for people, JSON for programs.

use crate::{
    colour::{BAD, CAUTION, paint},
    failure::Failure,
};
use serde_json::{Value, json};
use std::io::{self, Write};

/// The result of a command.
#[derive(Debug)]
pub struct Report {
    /// The name and version of the shape of `data`: `outboard.list/1`.
    pub schema: &'static str,
    /// For programs.
    pub data: Value,
    /// For people.
    pub text: String,
}

impl Report {
    /// Nothing to say.
    pub fn empty() -> Self {
        Self {
            schema: "",
            data: Value::Null,
            text: String::new(),
        }
    }

    /// Prints it to standard output.
    pub fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            print_json(&json!({ "schema": self.schema, "data": self.data }))?;
        } else {
            print_text(&self.text)?;
        }
        Ok(())
    }
}

/// Prints one JSON object to standard output.
pub fn print_json(value: &Value) -> io::Result<()> {
    // All at once: standard output is written to the system line by line.
    let text = format!("{value:#}\n");
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a text to standard output.
pub fn print_text(text: &str) -> io::Result<()> {
    anstream::stdout().write_all(text.as_bytes())
}

/// Says something on standard error.
pub fn complain(what: &str, message: &str) {
    let style = match what {
        "error" => BAD,
        _ => CAUTION,
    };
    // Nothing is left to be done if even this cannot be written.
    let _ = writeln!(anstream::stderr(), "{}: {message}", paint(style, what));
}
