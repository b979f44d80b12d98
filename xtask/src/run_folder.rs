//! The folder of one run's files. It goes when the run ends; if the run was killed, with the next one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;

use crate::error::{Context, Result};

/// How the folders are called.
const PREFIX: &str = "outboard-lab-";

/// A younger folder may be one that is not locked yet.
const YOUNG: Duration = Duration::from_secs(10);

/// A folder, locked as long as this lives.
pub struct RunFolder {
    folder: TempDir,
    _lock: Flock<File>,
}

impl RunFolder {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Makes one where temporary files are, and removes those that nobody has locked.
pub fn make() -> Result<RunFolder> {
    let cannot = || "cannot make a temporary folder";
    let all = std::env::temp_dir();
    for left in abandoned(&all) {
        // It is only a matter of space; and it may be another user's.
        let _ = fs::remove_dir_all(left);
    }
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(all)
        .context(cannot)?;
    let lock = lock(folder.path()).ok_or_else(cannot)?;
    Ok(RunFolder {
        folder,
        _lock: lock,
    })
}

fn abandoned(all: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(all).into_iter().flatten().flatten();
    let ours = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(PREFIX));
    let old = ours.filter(|folder| {
        let age = folder.metadata().and_then(|data| data.modified());
        age.is_ok_and(|time| {
            SystemTime::now()
                .duration_since(time)
                .is_ok_and(|age| age > YOUNG)
        })
    });
    old.map(|folder| folder.path())
        .filter(|path| lock(path).is_some())
        .collect()
}

/// Its lock, unless somebody has it.
fn lock(folder: &Path) -> Option<Flock<File>> {
    let folder = File::open(folder).ok()?;
    Flock::lock(folder, FlockArg::LockExclusiveNonblock).ok()
}

#[cfg(test)]
mod tests {
    use super::{File, PREFIX, YOUNG, abandoned, fs, lock};

    #[test]
    fn a_folder_is_abandoned_when_it_is_old_and_nobody_holds_it() {
        let all = tempfile::tempdir().unwrap();
        let [young, held, left] = ["young", "held", "left"].map(|name| {
            let folder = all.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&folder).unwrap();
            folder
        });
        let long_ago = std::time::SystemTime::now() - 2 * YOUNG;
        for folder in [&held, &left] {
            File::open(folder).unwrap().set_modified(long_ago).unwrap();
        }
        let _lock = lock(&held).unwrap();
        assert_eq!(abandoned(all.path()), [left]);
        assert!(young.exists());
    }
}
