//! `cargo xtask install`: the command, what udev needs for the group `outboard`, and the papers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::program;
use crate::static_build::{cargo, workspace};
use crate::stream::say;

/// Install the command `outboard`, its rules for udev, its group and its documentation
///
/// It builds what it installs, and says what it wrote; what is there already stays as it is. The files in /etc that choose
/// devices are yours, and none of them is touched: docs/udev.md.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where it will be used: an absolute path. udev looks in /usr and /usr/local
    #[arg(long, default_value = "/usr/local", value_parser = prefix)]
    prefix: PathBuf,
    /// A folder to put in front of all paths, for making a package
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where in the prefix udev's helper is. Rules have its whole path.
const HELPER: &str = "lib/udev/outboard-functions";

/// What stands for it in our rules.
const PLACEHOLDER: &str = "@helper@";

/// What is installed as it is in the checkout: where from, where to in the prefix, and with which permissions.
const FILES: [(&str, &str, u32); 10] = [
    ("udev/outboard-functions", HELPER, 0o755),
    (
        "udev/70-outboard.rules",
        "lib/udev/rules.d/70-outboard.rules",
        0o644,
    ),
    (
        "udev/72-outboard.rules",
        "lib/udev/rules.d/72-outboard.rules",
        0o644,
    ),
    (
        "udev/outboard.sysusers",
        "lib/sysusers.d/outboard.conf",
        0o644,
    ),
    (
        "udev/outboard.tmpfiles",
        "lib/tmpfiles.d/outboard.conf",
        0o644,
    ),
    (
        "udev/71-outboard-devices.rules.example",
        "share/doc/outboard/71-outboard-devices.rules.example",
        0o644,
    ),
    ("docs/udev.md", "share/doc/outboard/udev.md", 0o644),
    ("README.md", "share/doc/outboard/README.md", 0o644),
    ("LICENSE-APACHE", "share/doc/outboard/LICENSE-APACHE", 0o644),
    ("LICENSE-MIT", "share/doc/outboard/LICENSE-MIT", 0o644),
];

/// A file to be installed.
#[derive(Debug)]
pub struct Installed {
    /// Where, on the machine that it is for.
    path: PathBuf,
    contents: Vec<u8>,
    mode: u32,
}

/// Builds, installs, and returns the status to exit with.
pub fn run(options: &Options) -> Result<u8> {
    let outboard = release()?;
    let mut files = files(&options.prefix, &outboard)?;
    files.extend(made(&options.prefix, &outboard)?);
    for file in &files {
        let path = at(options.destdir.as_deref(), &file.path);
        let word = match file.is_at(&path) {
            true => "is there",
            false if options.dry_run => "would write",
            false => {
                file.write(&path)?;
                "wrote"
            }
        };
        say(&format!("{word:11} {:04o} {}", file.mode, path.display()));
    }
    if options.destdir.is_none() && !options.dry_run {
        say(
            "\nNext, as root, if this machine has systemd; or restart it:\n  systemd-sysusers && systemd-tmpfiles --create \
             outboard.conf\n  udevadm control --reload\nThen choose devices: docs/udev.md",
        );
    }
    Ok(0)
}

/// What is installed in `prefix`, with `outboard` as the command.
pub fn files(prefix: &Path, outboard: &Path) -> Result<Vec<Installed>> {
    let helper = prefix.join(HELPER);
    let helper = helper.to_str().ok_or("the prefix is not UTF-8")?;
    let mut files = vec![Installed {
        path: prefix.join("bin/outboard"),
        contents: fs::read(outboard).context(|| format!("cannot read {}", outboard.display()))?,
        mode: 0o755,
    }];
    for (from, to, mode) in FILES {
        let from = workspace().join(from);
        let mut contents = fs::read(&from).context(|| format!("cannot read {}", from.display()))?;
        if to.ends_with(".rules") {
            contents = String::from_utf8(contents)?
                .replace(PLACEHOLDER, helper)
                .into_bytes();
        }
        let path = prefix.join(to);
        files.push(Installed {
            path,
            contents,
            mode,
        });
    }
    Ok(files)
}

/// Where each shell looks for completions of programs.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/outboard"),
    ("fish", "share/fish/vendor_completions.d/outboard.fish"),
    ("zsh", "share/zsh/site-functions/_outboard"),
];

/// What `outboard` makes of the definitions of its command line: manual pages and completions.
fn made(prefix: &Path, outboard: &Path) -> Result<Vec<Installed>> {
    let folder = tempfile::tempdir().context(|| "cannot make a folder for the manual pages")?;
    program::run(Command::new(outboard).arg("man").arg(folder.path()))?;
    let mut files = Vec::new();
    for page in fs::read_dir(folder.path())? {
        let page = page?;
        files.push(Installed {
            path: prefix.join("share/man/man1").join(page.file_name()),
            contents: fs::read(page.path())?,
            mode: 0o644,
        });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    for (shell, to) in COMPLETIONS {
        files.push(Installed {
            path: prefix.join(to),
            contents: program::run(Command::new(outboard).args(["completions", shell]))?,
            mode: 0o644,
        });
    }
    Ok(files)
}

impl Installed {
    /// Puts it below `destdir`.
    pub fn install(&self, destdir: &Path) -> Result<()> {
        self.write(&at(Some(destdir), &self.path))
    }

    /// Whether just this is at `path`.
    fn is_at(&self, path: &Path) -> bool {
        let is_file = |metadata: &fs::Metadata| {
            metadata.is_file() && metadata.permissions().mode() & 0o7777 == self.mode
        };
        fs::symlink_metadata(path).is_ok_and(|metadata| is_file(&metadata))
            && fs::read(path).is_ok_and(|contents| contents == self.contents)
    }

    /// Writes it under another name and renames it, so that nobody sees half of it, and a program that runs is replaced.
    fn write(&self, path: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).context(cannot)?;
        let file = tempfile::NamedTempFile::new_in(folder).context(cannot)?;
        fs::write(file.path(), &self.contents).context(cannot)?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(self.mode)).context(cannot)?;
        file.persist(path).context(cannot)?;
        Ok(())
    }
}

/// Builds the command as it is shipped.
fn release() -> Result<PathBuf> {
    eprintln!("xtask: building outboard");
    let mut build = cargo();
    build
        .args([
            "build",
            "--release",
            "--package",
            "outboard-tools",
            "--bin",
            "outboard",
        ])
        .arg("--message-format=json");
    let messages = program::run(&mut build)?;
    crate::static_build::program_in(&String::from_utf8_lossy(&messages))
        .ok_or_else(|| "cargo built outboard and did not say where it is".into())
}

/// `path` below `destdir`.
fn at(destdir: Option<&Path>, path: &Path) -> PathBuf {
    match destdir {
        Some(destdir) => destdir.join(path.strip_prefix("/").unwrap_or(path)),
        None => path.to_owned(),
    }
}

/// A prefix that rules of udev can have in them.
fn prefix(text: &str) -> std::result::Result<PathBuf, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    let path = Path::new(text);
    let straight = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if path.is_absolute() && straight && text.chars().all(plain) {
        Ok(path.to_owned())
    } else {
        Err("it is no absolute path of letters, digits and . _ + -".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{PermissionsExt, files, fs, prefix};
    use std::path::Path;

    /// The files below `folder`, with their permissions, in order.
    fn found(folder: &Path, below: &Path, list: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found(&path, below, list);
            } else {
                let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
                let path = path.strip_prefix(below).unwrap();
                list.push(format!("{mode:04o} {}", path.display()));
            }
        }
        list.sort();
    }

    /// Where udev(7), sysusers.d(5), tmpfiles.d(5) and the file system standard have such files.
    #[test]
    fn every_file_goes_where_its_reader_looks_and_a_second_time_nothing_is_to_be_done() {
        let folder = tempfile::tempdir().unwrap();
        let outboard = folder.path().join("built");
        fs::write(&outboard, "the command").unwrap();
        let destdir = folder.path().join("destdir");
        let files = files(Path::new("/usr"), &outboard).unwrap();
        for file in &files {
            file.install(&destdir).unwrap();
        }
        let mut list = Vec::new();
        found(&destdir, &destdir, &mut list);
        assert_eq!(
            list,
            [
                "0644 usr/lib/sysusers.d/outboard.conf",
                "0644 usr/lib/tmpfiles.d/outboard.conf",
                "0644 usr/lib/udev/rules.d/70-outboard.rules",
                "0644 usr/lib/udev/rules.d/72-outboard.rules",
                "0644 usr/share/doc/outboard/71-outboard-devices.rules.example",
                "0644 usr/share/doc/outboard/LICENSE-APACHE",
                "0644 usr/share/doc/outboard/LICENSE-MIT",
                "0644 usr/share/doc/outboard/README.md",
                "0644 usr/share/doc/outboard/udev.md",
                "0755 usr/bin/outboard",
                "0755 usr/lib/udev/outboard-functions",
            ]
        );
        let rules = destdir.join("usr/lib/udev/rules.d/70-outboard.rules");
        let rules = fs::read_to_string(rules).unwrap();
        assert!(rules.contains("IMPORT{program}=\"/usr/lib/udev/outboard-functions $"));
        assert!(!rules.contains('@'), "{rules}");
        let at = |file: &super::Installed| super::at(Some(&destdir), &file.path);
        assert!(files.iter().all(|file| file.is_at(&at(file))));
        let command = destdir.join("usr/bin/outboard");
        fs::set_permissions(&command, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!files[0].is_at(&command), "other permissions are put right");
    }

    #[test]
    fn a_prefix_that_udev_would_take_apart_is_refused() {
        for wrong in ["usr", "", "/opt/out board", "/opt/$kernel", "/opt/../usr"] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            prefix("/opt/outboard-1.0").unwrap(),
            Path::new("/opt/outboard-1.0")
        );
    }
}
