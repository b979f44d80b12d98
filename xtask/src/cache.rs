//! The user's cache folder: what is slow to fetch or to make is kept there, outside the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Context, Result};

/// How the folders that are being filled are called.
const UNFINISHED: &str = "unfinished-";

/// After this time an unfinished folder was left by a run that was killed.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// The folder called `name` in the cache; `fill` makes its contents on first use.
///
/// It is filled under another name and then renamed, so that neither two runs at once nor one that is killed
/// half-way leave a half-made entry.
pub fn entry(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&root()?, name, fill)
}

fn entry_in(root: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let path = root.join(name);
    remove_abandoned(root);
    if path.is_dir() {
        return Ok(path);
    }
    let cannot = || format!("cannot use {} as a cache", root.display());
    fs::create_dir_all(root).context(cannot)?;
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(root)
        .context(cannot)?;
    fill(unfinished.path())?;
    match fs::rename(unfinished.path(), &path) {
        Err(error) if !path.is_dir() => Err(error).context(cannot),
        // Or another run was first: ours is removed, theirs is as good.
        _ => Ok(path),
    }
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

/// Removes what killed runs left. It is only a matter of space, so failures do not count.
fn remove_abandoned(root: &Path) {
    for folder in fs::read_dir(root).into_iter().flatten().flatten() {
        let age = folder.metadata().and_then(|data| data.modified());
        let age = age.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        let ours = folder.file_name().to_string_lossy().starts_with(UNFINISHED);
        if ours && age.is_ok_and(|age| age > ABANDONED) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{UNFINISHED, entry_in, fs};

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
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_second_of_two_runs_at_once_uses_what_the_first_made() {
        let root = tempfile::tempdir().unwrap();
        let path = entry_in(root.path(), "a", |_| {
            let first = root.path().join("a");
            fs::create_dir(&first)?;
            Ok(fs::write(first.join("file"), "the first's")?)
        })
        .unwrap();
        assert_eq!(fs::read(path.join("file")).unwrap(), b"the first's");
        let left = fs::read_dir(root.path()).unwrap().flatten();
        assert!(
            left.into_iter()
                .all(|entry| !entry.file_name().to_string_lossy().starts_with(UNFINISHED))
        );
    }
}
