//! Errors are sentences: what was tried, why it failed, what to do next.

use std::fmt::Display;

/// The result of everything here; the error is a sentence for the person at the terminal.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Puts what was tried in front of why it failed.
pub trait Context<T> {
    /// Adds `what` to the error, if there is one.
    fn context<S: Display>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context<S: Display>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| format!("{}: {error}", what()).into())
    }
}
