//! Files of ours in `/etc`: which of them are, and how they are changed so that nobody sees half of one.

use crate::Host;
use io_core::{Error, ErrorKind, Result};
use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What the first line of a file of ours begins with; or the second, below the `#!` of a script.
const OURS: &str = "# Made by `outboard ";

/// A file that is to be written, or to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileChange {
    /// Where it is.
    pub path: PathBuf,
    /// What will be in it; `None` if it is removed. What begins with `#!` may be run.
    pub contents: Option<String>,
}

impl Host {
    /// Writes and removes the files of a plan. Nobody sees half of one.
    ///
    /// # Errors
    ///
    /// This user may not, or a file turned out not to be ours.
    pub fn change_files(&self, changes: &[FileChange]) -> Result<()> {
        for FileChange { path, .. } in changes {
            ours(path)?;
        }
        for FileChange { path, contents } in changes {
            let done = match contents {
                Some(contents) => replace(path, contents),
                None => fs::remove_file(path),
            };
            done.map_err(|e| {
                let error = Error::from_os(format!("cannot change {}", path.display()), e);
                match error.kind() {
                    ErrorKind::PermissionDenied => {
                        error.with_hint("this needs root: run it with sudo")
                    }
                    _ => error,
                }
            })?;
        }
        Ok(())
    }

    /// The folder for rules of udev that are this machine's own.
    pub(crate) fn udev_rules(&self) -> PathBuf {
        self.etc().join("udev/rules.d")
    }
}

/// What is in a file of ours, if there is one. One that is not ours is an error.
pub(crate) fn ours(path: &Path) -> Result<Option<String>> {
    let text = read(path)?;
    let is_link = fs::symlink_metadata(path).is_ok_and(|about| !about.is_file());
    match text {
        Some(text) if is_link || !is_ours(&text) => {
            let message = format!("{} is somebody else's", path.display());
            Err(Error::new(ErrorKind::Busy, message).with_hint(
                "outboard changes only files whose first line says that it made them: move that one away",
            ))
        }
        text => Ok(text),
    }
}

/// The change that makes a file of ours say this, or `None`, no file; nothing, if it is so.
pub(crate) fn change(path: PathBuf, contents: Option<String>) -> Result<Option<FileChange>> {
    let now = ours(&path)?;
    Ok((now != contents).then_some(FileChange { path, contents }))
}

fn is_ours(text: &str) -> bool {
    let text = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => rest,
        _ => text,
    };
    text.starts_with(OURS)
}

/// The text of a file, if there is one.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        // What is no text is nobody's that we know.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::from_os(format!("cannot read {}", path.display()), e)),
    }
}

/// Puts a file in the place of another one, or of none.
fn replace(path: &Path, contents: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)?;
    // It ends on neither .rules nor .conf, so that nobody reads it.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mode = if contents.starts_with("#!") {
        0o755
    } else {
        0o644
    };
    let mut file = File::create(&new)?;
    file.write_all(contents.as_bytes())?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&new, path)
}
