//! The user's cache folder: what is slow to fetch or to make is kept there, outside the checkout.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Context, Result};

/// How the folders that are being filled are called.
const UNFINISHED: &str = "unfinished-";

/// The file whose lock a run holds while it fills a folder.
const LOCK: &str = "lock";

/// The folder called `name` in the cache; `fill` makes its contents on first use.
///
/// It is filled under another name and then renamed, so that a run that is killed half-way leaves no half-made entry.
/// A second run waits for the first one to be done.
pub fn entry(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&root()?, name, fill)
}

fn entry_in(root: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let path = root.join(name);
    let cannot = || format!("cannot use {} as a cache", root.display());
    fs::create_dir_all(root).context(cannot)?;
    let lock = File::create(root.join(LOCK)).context(cannot)?;
    let _lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EAGAIN)) if path.is_dir() => return Ok(path),
        Err((lock, Errno::EAGAIN)) => {
            eprintln!("xtask: waiting for another run that fills the cache");
            Flock::lock(lock, FlockArg::LockExclusive)
                .map_err(|(_, errno)| errno)
                .context(cannot)?
        }
        Err((_, errno)) => return Err(errno).context(cannot),
    };
    remove_unfinished(root);
    if path.is_dir() {
        return Ok(path);
    }
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(root)
        .context(cannot)?;
    fill(unfinished.path())?;
    fs::rename(unfinished.path(), &path).context(cannot)?;
    Ok(path)
}

/// `$XDG_CACHE_HOME/outboard`, or `~/.cache/outboard`.
fn root() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(variable("HOME")?.join(".cache")))
        .map(|path| path.join("outboard"))
        .ok_or_else(|| "no place for the cache: please set HOME or XDG_CACHE_HOME".into())
}

/// Removes what killed runs left: nobody else fills a folder while we have the lock. It is only a matter of space, so
/// failures do not count.
fn remove_unfinished(root: &Path) {
    for folder in fs::read_dir(root).into_iter().flatten().flatten() {
        if folder.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::{LOCK, UNFINISHED, entry_in, fs};

    #[test]
    fn an_entry_is_made_once() {
        let root = tempfile::tempdir().unwrap();
        let path = entry_in(root.path(), "a", |folder| {
            Ok(fs::write(folder.join("file"), "contents")?)
        })
        .unwrap();
        let again = entry_in(root.path(), "a", |_| panic!("it is there")).unwrap();
        assert_eq!(path, again);
        assert_eq!(fs::read(again.join("file")).unwrap(), b"contents");
    }

    #[test]
    fn what_could_not_be_filled_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        entry_in(root.path(), "a", |folder| {
            fs::write(folder.join("file"), "half")?;
            Err("no more".into())
        })
        .unwrap_err();
        let left = fs::read_dir(root.path()).unwrap().flatten();
        assert!(left.into_iter().all(|entry| entry.file_name() == LOCK));
    }

    #[test]
    fn what_a_killed_run_left_is_removed_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join(format!("{UNFINISHED}x"));
        fs::create_dir(&left).unwrap();
        entry_in(root.path(), "a", |_| Ok(())).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn the_second_of_two_runs_at_once_waits_and_uses_what_the_first_made() {
        let root = tempfile::tempdir().unwrap();
        let (filling, is_filling) = channel();
        let first = root.path().to_owned();
        let first = thread::spawn(move || {
            entry_in(&first, "a", |folder| {
                filling.send(())?;
                thread::sleep(Duration::from_millis(200));
                Ok(fs::write(folder.join("file"), "the first's")?)
            })
            .map_err(|error| error.to_string())
        });
        is_filling.recv().unwrap();
        let path = entry_in(root.path(), "a", |_| panic!("the first makes it")).unwrap();
        assert_eq!(fs::read(path.join("file")).unwrap(), b"the first's");
        assert_eq!(first.join().unwrap().unwrap(), path);
    }
}
