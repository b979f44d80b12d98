//! Two processes that would bind the same function take turns.

use crate::Host;
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{File, OpenOptions},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How often a lock that another process has is tried again.
const INTERVAL: Duration = Duration::from_millis(5);

/// A lock that lasts until this is dropped, or the process ends, however that is.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Waits until no other process works on the function at `address`.
    pub(crate) fn device(host: &Host, address: PciAddress, timeout: Duration) -> Result<Self> {
        let path = host.locks()?.join(address.to_string());
        let started = Instant::now();
        loop {
            let late = started.elapsed() >= timeout;
            match Flock::lock(open(&path)?, FlockArg::LockExclusiveNonblock) {
                Ok(file) => return Ok(Self { _file: file }),
                Err(_) if late => {
                    let message =
                        format!("another process binds or releases {address} at this moment");
                    let hint = format!("let it end; `sudo fuser -v {}` names it", path.display());
                    return Err(Error::new(ErrorKind::Busy, message).with_hint(hint));
                }
                Err(_) => thread::sleep(INTERVAL),
            }
        }
    }

    /// Waits until no other process adds an entry to the journal; none takes long.
    pub(crate) fn journal(path: &Path) -> Result<Self> {
        let file = Flock::lock(open(path)?, FlockArg::LockExclusive);
        let file = file.map_err(|(_, errno)| {
            Error::from_os(format!("cannot lock {}", path.display()), errno.into())
        })?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    file.map_err(|e| {
        let error = Error::from_os(format!("cannot open {}", path.display()), e);
        match error.kind() {
            ErrorKind::PermissionDenied => error.with_hint("this needs root: run it with sudo"),
            _ => error,
        }
    })
}
