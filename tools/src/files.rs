//! Files of ours in `/etc`, as they are shown.

use crate::report::Report;
use pci_host::FileChange;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The files as they would be, of a command whose output has this schema.
pub fn print(schema: &'static str, changes: &[FileChange]) -> Report {
    let text = changes
        .iter()
        .map(|FileChange { path, contents, .. }| match contents {
            Some(contents) => format!("{}:\n{contents}\n", path.display()),
            None => format!("{}: removed\n", path.display()),
        });
    let text: String = text.collect();
    let files = changes.iter().map(
        |change| json!({ "path": change.path.to_string_lossy(), "contents": change.contents }),
    );
    Report {
        schema,
        data: json!({ "print": true, "files": files.collect::<Vec<_>>() }),
        text: match text.as_str() {
            "" => "nothing has to be changed\n".to_owned(),
            _ => text,
        },
    }
}

/// What was done with files, a line each.
pub fn lines(changes: &[FileChange]) -> String {
    let line = |change: &FileChange| {
        let done = change.contents.as_ref().map_or("removed", |_| "wrote");
        format!("{done} {}\n", change.path.display())
    };
    changes.iter().map(line).collect()
}

/// The files that were changed, for programs.
pub fn changed(changes: &[FileChange]) -> Value {
    let paths: Vec<_> = changes.iter().map(|change| change.path.clone()).collect();
    texts(&paths).into()
}

/// Paths as texts.
pub fn texts(paths: &[PathBuf]) -> Vec<String> {
    let text = |path: &PathBuf| Path::to_string_lossy(path).into_owned();
    paths.iter().map(text).collect()
}
