//! Where the machine's files are, and how they are read and written.

mod process;

use crate::{PciFunction, bind::Helpers};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

/// How long to wait for what the kernel keeps under a function's lock.
const PATIENCE: Duration = Duration::from_secs(3);

/// To read so many functions takes longer than to start a thread.
const LEAST_SHARE: usize = 256;

/// A machine: where its `/sys`, `/dev`, `/proc`, `/etc`, `/run`, `/lib` and `/boot` are.
#[derive(Debug, Clone)]
pub struct Host {
    sys: PathBuf,
    dev: PathBuf,
    proc: PathBuf,
    etc: PathBuf,
    /// The user's own configuration, which comes before `/etc`.
    config: Option<PathBuf>,
    run: PathBuf,
    lib: PathBuf,
    boot: PathBuf,
    helpers: Arc<Helpers>,
    patience: Duration,
}

impl Host {
    /// The machine that this program runs on.
    #[must_use]
    pub fn system() -> Self {
        let folder = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|f| f.is_absolute())
        };
        Self {
            config: folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config"))),
            ..Self::at("/")
        }
    }

    /// A machine whose `sys`, `dev`, `proc`, `etc`, `run`, `lib` and `boot` are folders of `root`.
    #[must_use]
    pub fn at(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
            etc: root.join("etc"),
            config: None,
            run: root.join("run"),
            lib: root.join("lib"),
            boot: root.join("boot"),
            helpers: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// Every PCI function, ordered by address. Of thousands, several threads read a part each, which end with the call.
    ///
    /// # Errors
    ///
    /// The machine shows no PCI bus, or shows something of a function that makes no sense.
    pub fn functions(&self) -> Result<Vec<PciFunction>> {
        let dir = self.sys.join("bus/pci/devices");
        let names = names(&dir)?;
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let share = names.len().div_ceil(processors).max(LEAST_SHARE);
        let (own, others) = names.split_at(share.min(names.len()));
        let mut functions = thread::scope(|scope| {
            let readers: Vec<_> = others
                .chunks(share)
                .map(|names| scope.spawn(|| self.read_functions(&dir, names)))
                .collect();
            let mut functions = self.read_functions(&dir, own)?;
            for reader in readers {
                functions.extend(reader.join().expect("to read does not panic")?);
            }
            Ok::<_, Error>(functions)
        })?;
        functions.sort_by_key(|function: &PciFunction| function.address);
        Ok(functions)
    }

    /// The functions of these names in `dir`, but for those that have gone since it was listed.
    fn read_functions(&self, dir: &Path, names: &[String]) -> Result<Vec<PciFunction>> {
        let mut functions = Vec::with_capacity(names.len());
        for name in names {
            let address = name.parse().map_err(|e| {
                Error::new(ErrorKind::Other, format!("cannot read {}", dir.display()))
                    .with_source(e)
            })?;
            match PciFunction::read(self, address) {
                Ok(function) => functions.push(function),
                Err(error) if error.kind() == ErrorKind::NotFound => log::debug!("{error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(functions)
    }

    /// The PCI function at `address`.
    ///
    /// # Errors
    ///
    /// There is none, or the machine shows something of it that makes no sense.
    pub fn function(&self, address: PciAddress) -> Result<PciFunction> {
        if !self.function_dir(address).exists() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no PCI device {address} on this machine"),
            )
            .with_hint("`outboard list` shows those that there are"));
        }
        PciFunction::read(self, address)
    }

    /// The device nodes through which a program reaches VFIO: `/dev/vfio`.
    #[must_use]
    pub fn vfio_dir(&self) -> PathBuf {
        self.dev.join("vfio")
    }

    /// The node through which a program reaches iommufd: `/dev/iommu`.
    #[must_use]
    pub fn iommufd(&self) -> PathBuf {
        self.dev.join("iommu")
    }

    /// The node that VFIO has for the function alone, such as `/dev/vfio/devices/vfio0`: once it is bound to vfio-pci, on
    /// a kernel that has such nodes.
    #[must_use]
    pub fn vfio_cdev(&self, address: PciAddress) -> Option<PathBuf> {
        let device = names(&self.function_dir(address).join("vfio-dev")).ok()?;
        let name = device.first()?;
        Some(self.vfio_dir().join("devices").join(name))
    }

    /// The physical function of a virtual one (SR-IOV); `None` for any other.
    #[must_use]
    pub fn physical_function(&self, address: PciAddress) -> Option<PciAddress> {
        let link = fs::read_link(self.function_dir(address).join("physfn")).ok()?;
        link.file_name()?.to_str()?.parse().ok()
    }

    /// How many virtual functions it has (SR-IOV). Not by `sriov_numvfs`, which the kernel does not show while it works on the
    /// function.
    #[must_use]
    pub fn virtual_functions(&self, address: PciAddress) -> usize {
        let names = names(&self.function_dir(address)).unwrap_or_default();
        let is_one = |name: &&String| name.starts_with("virtfn");
        names.iter().filter(is_one).count()
    }

    /// The members of an IOMMU group, ordered by address.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn iommu_group(&self, group: u32) -> Result<Vec<PciFunction>> {
        let dir = self.iommu_group_dir(group).join("devices");
        let mut members = Vec::new();
        // A group may have members that are on no PCI bus; they have other names.
        for address in names(&dir)?.iter().filter_map(|name| name.parse().ok()) {
            members.push(self.function(address)?);
        }
        members.sort_by_key(|member: &PciFunction| member.address);
        Ok(members)
    }

    pub(crate) fn iommu_group_dir(&self, group: u32) -> PathBuf {
        self.sys.join(format!("kernel/iommu_groups/{group}"))
    }

    /// Whether the kernel has taken an IOMMU into use.
    pub(crate) fn has_iommu(&self) -> bool {
        names(&self.sys.join("class/iommu")).is_ok_and(|iommus| !iommus.is_empty())
    }

    /// Whether VFIO is told to go without an IOMMU.
    pub(crate) fn vfio_goes_without_iommu(&self) -> bool {
        let parameters = self.sys.join("module/vfio/parameters");
        let mode = read(&parameters.join("enable_unsafe_noiommu_mode"));
        // Written as 1, it is read as Y.
        mode.is_ok_and(|mode| ["Y", "y", "1"].contains(&mode.as_str()))
    }

    /// A file that `/sys` has for the function, such as `config` or `resource0`
    /// (Documentation/PCI/sysfs-pci.rst in the kernel's source).
    #[must_use]
    pub fn function_file(&self, address: PciAddress, name: &str) -> PathBuf {
        self.function_dir(address).join(name)
    }

    pub(crate) fn function_dir(&self, address: PciAddress) -> PathBuf {
        self.sys.join("bus/pci/devices").join(address.to_string())
    }

    /// The drivers of the PCI bus that are loaded.
    pub(crate) fn drivers(&self) -> Result<Vec<String>> {
        names(&self.sys.join("bus/pci/drivers"))
    }

    pub(crate) fn driver_dir(&self, driver: &str) -> PathBuf {
        self.sys.join("bus/pci/drivers").join(driver)
    }

    pub(crate) fn drivers_probe(&self) -> PathBuf {
        self.sys.join("bus/pci/drivers_probe")
    }

    pub(crate) fn uio_dir(&self, name: &str) -> PathBuf {
        self.sys.join("class/uio").join(name)
    }

    pub(crate) fn helpers(&self) -> &Arc<Helpers> {
        &self.helpers
    }

    pub(crate) fn helpers_mut(&mut self) -> &mut Arc<Helpers> {
        &mut self.helpers
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn patience_mut(&mut self) -> &mut Duration {
        &mut self.patience
    }

    pub(crate) fn sys(&self) -> &Path {
        &self.sys
    }

    pub(crate) fn proc(&self) -> &Path {
        &self.proc
    }

    pub(crate) fn dev(&self) -> &Path {
        &self.dev
    }

    pub(crate) fn etc(&self) -> &Path {
        &self.etc
    }

    /// What udev keeps until the machine restarts.
    pub(crate) fn udev_run(&self) -> PathBuf {
        self.run.join("udev")
    }

    /// Whether this is below `/dev`.
    pub(crate) fn is_node(&self, path: &Path) -> bool {
        path.starts_with(&self.dev) && path.components().all(|part| part != Component::ParentDir)
    }

    /// Whether systemd started this machine (sd_booted(3)).
    #[must_use]
    pub fn runs_systemd(&self) -> bool {
        self.run.join("systemd/system").is_dir()
    }

    /// What we keep until the machine restarts: `/run/outboard`.
    pub(crate) fn run(&self) -> PathBuf {
        self.run.join("outboard")
    }

    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.run().join("journal")
    }

    /// Where the kernel and the initramfs are.
    pub(crate) fn boot(&self) -> &Path {
        &self.boot
    }

    pub(crate) fn boot_id_file(&self) -> PathBuf {
        self.proc.join("sys/kernel/random/boot_id")
    }

    /// The text of the file of the running kernel's modules that says which of them is for which device.
    pub(crate) fn module_aliases(&self) -> Result<String> {
        let release = read(&self.proc.join("sys/kernel/osrelease"))?;
        read(&self.lib.join("modules").join(release).join("modules.alias"))
    }

    /// How the running kernel was built, if a file says so: Debian has it in `/boot`, Fedora beside the modules too.
    pub(crate) fn kernel_config(&self) -> Option<String> {
        let release = read(&self.proc.join("sys/kernel/osrelease")).ok()?;
        let modules = self.lib.join("modules").join(&release);
        let files = [
            self.boot.join(format!("config-{release}")),
            modules.join("config"),
        ];
        files.iter().find_map(|file| fs::read_to_string(file).ok())
    }

    /// A parameter of a module that is loaded.
    pub(crate) fn module_parameter(&self, module: &str, name: &str) -> Option<String> {
        let parameters = self.sys.join("module").join(module).join("parameters");
        read(&parameters.join(name)).ok()
    }

    /// Where the configuration may be, what counts more first.
    pub(crate) fn config_files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let folders = self.config.iter().chain([&self.etc]);
        folders.map(|folder| folder.join("outboard/config.toml"))
    }
}

/// The names of what is in `dir`.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    read().map_err(|e| Error::from_os(format!("cannot read the folder {}", dir.display()), e))
}

/// The same, of a folder that need not be there.
pub(crate) fn names_if_any(dir: &Path) -> Result<Vec<String>> {
    match names(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}

/// The text of a file of `/sys`, without the newline at its end.
pub(crate) fn read(path: &Path) -> Result<String> {
    read_text(path).map_err(|e| Error::from_os(format!("cannot read {}", path.display()), e))
}

/// The same, with the system's own error.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    // The kernel gives what fits into a page at once.
    let mut page = [0; 4096];
    let count = file.read(&mut page)?;
    let mut text = page.get(..count).unwrap_or_default().to_vec();
    if count == page.len() {
        file.read_to_end(&mut text)?;
    }
    let mut text = String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// The name of what a link of `/sys` points to, if there is such a link.
pub(crate) fn link_name(path: &Path) -> Result<Option<String>> {
    match fs::read_link(path) {
        Ok(target) => Ok(target
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::from_os(
            format!("cannot read the link {}", path.display()),
            e,
        )),
    }
}

/// Writes to a file of `/sys`, all at once, as the kernel wants it.
pub(crate) fn write(path: &Path, value: &str) -> io::Result<()> {
    // Never created: /sys answers an attempt to create a file with a misleading EACCES.
    let mut file = OpenOptions::new().write(true).open(path)?;
    let count = file.write(value.as_bytes())?;
    if count == value.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// The error of a write to a file of `/sys`.
pub(crate) fn cannot_write(path: &Path, value: &str, e: io::Error) -> Error {
    let error = Error::from_os(format!("cannot write {value:?} to {}", path.display()), e);
    match error.kind() {
        ErrorKind::PermissionDenied => error.with_hint("this needs root: run it with sudo"),
        _ => error,
    }
}
