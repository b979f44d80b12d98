//! Opening the files of a function, and what is true as long as they are open.

use device_file::FileRegion;
use io_core::{ConfigSpace, Error, ErrorKind, Region, Result, Width, pci::Command};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use pci_host::{Host, PciFunction};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

/// The file of configuration space, locked against other users of this crate.
#[derive(Debug)]
pub(crate) struct ConfigFile(Flock<File>);

impl AsRef<File> for ConfigFile {
    fn as_ref(&self) -> &File {
        &self.0
    }
}

/// A function that is open. Dropped when nothing of it is used any more.
#[derive(Debug)]
pub(crate) struct Open {
    pub host: Host,
    pub function: PciFunction,
    config: FileRegion<ConfigFile>,
    /// Whether we have enabled it, and so disable it.
    enabled: bool,
}

impl Open {
    pub(crate) fn new(host: &Host, function: PciFunction) -> Result<Self> {
        let address = function.address;
        if function.is_bridge {
            let message =
                format!("{address} is a bridge: the devices behind it need its bus mastering");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let path = host.function_file(address, "config");
        let (file, writable) = match open(&path) {
            Ok(file) => (file, true),
            // Who has the node may map BARs and take interrupts all the same.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                log::info!("{} may not be written: {e}", path.display());
                (File::open(&path).map_err(|e| cannot_open(&path, e))?, false)
            }
            Err(e) => return Err(cannot_open(&path, e)),
        };
        let size = file.metadata().map_err(|e| cannot_open(&path, e))?.len();
        let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let file = locked.map_err(|(_, errno)| busy(&path, &function, errno))?;
        let name = format!("the configuration space of {address}");
        let place = (0, usize::try_from(size).unwrap_or(0));
        let config = FileRegion::new(&Arc::new(ConfigFile(file)), place, name, Width::U32);
        let config = if writable { config } else { config.read_only() };
        ConfigSpace::<Region<256>>::new(&config).map_err(|e| {
            let message = format!("the kernel shows too little configuration space of {address}");
            Error::new(ErrorKind::Unsupported, message).with_source(e)
        })?;
        let mut open = Self {
            host: host.clone(),
            function,
            config,
            enabled: false,
        };
        open.enable()?;
        Ok(open)
    }

    pub(crate) fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace::new(&self.config).expect("its size was checked when it was opened")
    }

    /// Sets or clears bits of Command.
    pub(crate) fn set_command(&self, bits: Command, on: bool) -> Result<()> {
        self.config().set_command(bits, on).map_err(|error| {
            let error = self.host.or_lockdown(error);
            match error.kind() {
                // Opened for reads alone.
                ErrorKind::Unsupported => {
                    error.with_hint("configuration space is root's to write: run this with sudo")
                }
                _ => error,
            }
        })
    }

    /// Has the kernel enable a function that no driver has enabled: its BARs do not answer otherwise.
    fn enable(&mut self) -> Result<()> {
        if self.function.driver.is_some() {
            return Ok(());
        }
        let path = self.host.function_file(self.function.address, "enable");
        fs::write(&path, "1").map_err(|e| self.refused(&path, e))?;
        self.enabled = true;
        Ok(())
    }

    /// The driver that has the function now, if it is none that had it when it was opened.
    fn new_driver(&self) -> Option<String> {
        let now = self.host.function(self.function.address).ok()?.driver;
        now.filter(|now| Some(now) != self.function.driver.as_ref())
    }

    /// The error of a file of `/sys` that may not be written.
    pub(crate) fn refused(&self, path: &Path, e: io::Error) -> Error {
        let error = Error::from_os(format!("cannot write to {}", path.display()), e);
        let error = match error.errno().map(Errno::from_raw) {
            Some(Errno::EACCES) => error.with_hint("it is root's: run this with sudo"),
            _ => error,
        };
        self.host.or_lockdown(error)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(driver) = self.new_driver() {
            log::info!("{} is left as {driver} has it", self.function.address);
            return;
        }
        match self.set_command(Command::BUS_MASTER, false) {
            // Another may be there by now.
            Err(error) if error.kind() == ErrorKind::Lost => return,
            // Nor could it be switched on.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => log::warn!("bus mastering stays as it is: {error}"),
            Ok(()) => {}
        }
        let path = self.host.function_file(self.function.address, "enable");
        if self.enabled && fs::write(&path, "0").is_err() {
            log::info!("{} stays as it is", path.display());
        }
    }
}

/// Opens a file for reads and writes. The standard library opens with `O_CLOEXEC`.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// As [`cannot_open`], for the node of a UIO device.
pub(crate) fn cannot_open_node(host: &Host, node: &Path, e: io::Error) -> Error {
    let error = cannot_open(node, e);
    match host.group_of_node(node) {
        Some(group) if error.kind() == ErrorKind::PermissionDenied => error.with_hint(format!(
            "it is for the group {group}: sudo usermod --append --groups {group} $USER, and log in again"
        )),
        _ => error,
    }
}

pub(crate) fn cannot_open(path: &Path, e: io::Error) -> Error {
    let error = Error::from_os(format!("cannot open {}", path.display()), e);
    match error.kind() {
        ErrorKind::PermissionDenied => error.with_hint(format!(
            "run this with sudo, or give your user that file: sudo chown $USER {}",
            path.display()
        )),
        _ => error,
    }
}

/// Why configuration space cannot be locked.
fn busy(path: &Path, function: &PciFunction, errno: Errno) -> Error {
    let path = path.display();
    if errno != Errno::EWOULDBLOCK {
        return Error::from_os(format!("cannot lock {path}"), errno.into());
    }
    let message = format!("{} is open already", function.address);
    Error::new(ErrorKind::Busy, message)
        .with_source(io::Error::from(errno))
        .with_hint(format!(
            "a program that uses it by UIO or /sys has {path} locked: sudo fuser -v {path} names it"
        ))
}
