//! Colours for a terminal. What is printed goes through anstream, which leaves them out for pipes and files, and where
//! `NO_COLOR` is set; `CLICOLOR_FORCE` keeps them.

use anstyle::{AnsiColor, Style};

/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// What is to be seen to.
pub const CAUTION: Style = AnsiColor::Yellow.on_default();

/// What fails.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// The text in a colour, which never is all that says something.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
