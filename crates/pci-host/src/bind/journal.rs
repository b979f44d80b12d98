//! What was bound and not released yet, on a file system that forgets it when the machine restarts.
//!
//! Each entry is a file of `/run/outboard/journal`, called after its number and the address of the function. It is on the
//! disk (or in memory, as `/run` mostly is) before the first write to `/sys`, and is removed once all of it has been taken
//! back.

use crate::{
    Host, PciFunction, Selector, SysfsWrite,
    bind::{
        entry::{Entry, State},
        identity::Identity,
        lock::Lock,
        owner::NodeChange,
    },
    host::{names, read},
};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use nix::unistd::geteuid;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    slice,
    time::{SystemTime, UNIX_EPOCH},
};

/// An entry with more bytes than this is none of ours.
const MOST_BYTES: u64 = 64 << 10;

/// A file of the journal that cannot be read as an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// The function that it is about, by its name.
    pub address: Option<PciAddress>,
    /// What is wrong with it.
    pub reason: String,
}

/// What the journal has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// The entries, in the order in which they were made.
    pub entries: Vec<Entry>,
    /// What cannot be read. It is left as it is.
    pub damaged: Vec<Damaged>,
}

impl Journal {
    /// The entry of this number.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn entry(&self, id: u64) -> Result<&Entry> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.id == id) {
            return Ok(entry);
        }
        let named = |damaged: &&Damaged| {
            let name = damaged.path.file_name().and_then(|name| name.to_str());
            name.and_then(split).is_some_and(|(number, _)| number == id)
        };
        if let Some(damaged) = self.damaged.iter().find(named) {
            return Err(damaged.error());
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("the journal has no entry {id}"),
        )
        .with_hint("`outboard log` shows those that it has"))
    }
}

impl Damaged {
    fn error(&self) -> Error {
        let (path, reason) = (self.path.display(), &self.reason);
        let message = format!("the journal's entry {path} cannot be read: {reason}");
        let hint = "it is left as it is. Look at it; then give the device to the driver that it had with `outboard release \
                    DEV --to DRIVER`, and remove the file";
        Error::new(ErrorKind::Other, message).with_hint(hint)
    }
}

impl Host {
    /// What was bound and not released yet.
    ///
    /// # Errors
    ///
    /// The journal's folder cannot be read, or others than root could write to it.
    pub fn journal(&self) -> Result<Journal> {
        let mut journal = Journal::default();
        let dir = self.journal_dir();
        if !dir.exists() {
            return Ok(journal);
        }
        check_owner(&self.run())?;
        check_owner(&dir)?;
        for name in names(&dir)? {
            if name.ends_with(".new") {
                continue; // of a process that was stopped before it wrote anything to /sys
            }
            let path = dir.join(&name);
            let named = split(&name);
            let entry = read_entry(&path).and_then(|entry| match named {
                Some(named) if named == (entry.id, entry.address) => Ok(entry),
                _ => Err("its name does not fit what is in it".to_owned()),
            });
            match entry {
                Ok(entry) => journal.entries.push(entry),
                // It was closed since the folder was listed.
                Err(_) if !path.exists() => {}
                Err(reason) => journal.damaged.push(Damaged {
                    address: named.map(|(_, address)| address),
                    path,
                    reason,
                }),
            }
        }
        journal.entries.sort_by_key(|entry| entry.id);
        Ok(journal)
    }

    /// The entries of this function, oldest first.
    ///
    /// # Errors
    ///
    /// One that is about this function, by its name, cannot be read.
    pub fn entries_of(&self, function: &PciFunction) -> Result<Vec<Entry>> {
        let journal = self.journal()?;
        let address = Some(function.address);
        if let Some(damaged) = journal.damaged.iter().find(|d| d.address == address) {
            return Err(damaged.error());
        }
        let (identity, boot) = (Identity::of(self, function), self.boot_id()?);
        let mut entries = journal.entries;
        // What was written before a restart of the machine is gone with it.
        entries.retain(|entry| entry.identity == identity && entry.boot == boot);
        Ok(entries)
    }

    /// Which boot of the machine this is.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn boot_id(&self) -> Result<String> {
        read(&self.boot_id_file())
    }

    /// Whether the machine was restarted since this entry was made.
    ///
    /// # Errors
    ///
    /// The kernel does not say which boot this is.
    pub fn is_of_another_boot(&self, entry: &Entry) -> Result<bool> {
        Ok(entry.boot != self.boot_id()?)
    }

    /// The function that an entry is about, wherever it is now.
    ///
    /// # Errors
    ///
    /// It is not there any more.
    pub fn function_of(&self, entry: &Entry) -> Result<PciFunction> {
        let path = Selector::Path(entry.identity.path.clone());
        let found = self.select(&path)?;
        if Identity::of(self, &found) == entry.identity {
            return Ok(found);
        }
        let message = format!("there is another device at {path}");
        Err(Error::new(ErrorKind::NotFound, message))
    }

    /// Removes an entry without taking it back: what it is about is gone.
    ///
    /// # Errors
    ///
    /// The file cannot be removed.
    pub fn forget(&self, entry: &Entry) -> Result<()> {
        self.close(slice::from_ref(entry))
    }

    /// Adds an entry, and makes sure that it is there before it returns.
    pub(crate) fn begin(
        &self,
        function: &PciFunction,
        before: State,
        driver: &str,
    ) -> Result<Open> {
        let dir = self.folder(&self.journal_dir())?;
        let _lock = Lock::journal(&self.run().join("journal.lock"))?;
        let last = names(&dir)?.iter().filter_map(|name| split(name)).max();
        let id = last.map_or(Some(1), |(id, _)| id.checked_add(1));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let entry = Entry {
            id: id.ok_or_else(|| {
                Error::new(
                    ErrorKind::Other,
                    format!("{} has no number left", dir.display()),
                )
            })?,
            address: function.address,
            identity: Identity::of(self, function),
            before,
            driver: driver.to_owned(),
            boot: self.boot_id()?,
            time: now.map_or(0, |since| since.as_secs()),
            written: Vec::new(),
            nodes: Vec::new(),
            complete: false,
        };
        let path = dir.join(format!("{}-{}", entry.id, entry.address));
        let written = create(&dir, &path, &entry.head());
        let file = written.map_err(|e| cannot_write(&path, e))?;
        Ok(Open { entry, path, file })
    }

    /// Removes the entries of these numbers: all that they say was taken back, or is gone.
    pub(crate) fn close(&self, entries: &[Entry]) -> Result<()> {
        let dir = self.journal_dir();
        for entry in entries {
            let path = dir.join(format!("{}-{}", entry.id, entry.address));
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::from_os(
                        format!("cannot remove {}", path.display()),
                        e,
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The folder of the locks of functions.
    pub(crate) fn locks(&self) -> Result<PathBuf> {
        self.folder(&self.run().join("locks"))
    }

    /// A folder of ours, which is made if need be.
    fn folder(&self, dir: &Path) -> Result<PathBuf> {
        for dir in [&*self.run(), dir] {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(dir);
            made.map_err(|e| cannot_write(dir, e))?;
            check_owner(dir)?;
        }
        Ok(dir.to_owned())
    }
}

/// An entry that is being written.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) entry: Entry,
    path: PathBuf,
    file: File,
}

impl Open {
    /// This was written to `/sys`.
    pub(crate) fn wrote(&mut self, step: &SysfsWrite) -> Result<()> {
        self.append(&Entry::wrote(&step.to_string()))
    }

    /// This node is given to somebody.
    pub(crate) fn gives(&mut self, change: &NodeChange) -> Result<()> {
        self.append(&Entry::gives(change))?;
        self.entry.nodes.push(change.clone());
        Ok(())
    }

    /// The bind came to its end.
    pub(crate) fn complete(&mut self) -> Result<()> {
        self.append(&Entry::completed())
    }

    fn append(&mut self, line: &str) -> Result<()> {
        let file = &mut self.file;
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.sync_data());
        written.map_err(|e| cannot_write(&self.path, e))
    }
}

/// A file that is there with all of its text, or not at all.
fn create(dir: &Path, path: &Path, text: &str) -> io::Result<File> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o644);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

fn read_entry(path: &Path) -> Result<Entry, String> {
    let open = || -> io::Result<Vec<u8>> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().map_err(|e| e.to_string())?;
    if bytes
        .len()
        .try_into()
        .is_ok_and(|len: u64| len > MOST_BYTES)
    {
        return Err(format!("it has more than {MOST_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    Entry::parse(&text)
}

/// The number and the address of which the name of an entry is made.
fn split(name: &str) -> Option<(u64, PciAddress)> {
    let (id, address) = name.split_once('-')?;
    Some((id.parse().ok()?, address.parse().ok()?))
}

/// What others could write to is not to be believed, by a program that runs as root.
fn check_owner(dir: &Path) -> Result<()> {
    let about = fs::symlink_metadata(dir)
        .map_err(|e| Error::from_os(format!("cannot look at {}", dir.display()), e))?;
    let ours = about.uid() == 0 || about.uid() == geteuid().as_raw();
    if about.is_dir() && ours && about.mode() & 0o022 == 0 {
        return Ok(());
    }
    let message = format!(
        "{} is not a folder that only root can write to",
        dir.display()
    );
    let hint = format!(
        "see who made it: ls -ld {}; outboard makes it anew once it is gone",
        dir.display()
    );
    Err(Error::new(ErrorKind::InvalidInput, message).with_hint(hint))
}

fn cannot_write(path: &Path, e: io::Error) -> Error {
    let error = Error::from_os(format!("cannot write {}", path.display()), e);
    match error.kind() {
        ErrorKind::PermissionDenied => error.with_hint("this needs root: run it with sudo"),
        _ => error,
    }
}
