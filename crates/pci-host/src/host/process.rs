//! What the kernel lets this process do, and says of it.

use super::{Host, read};
use io_core::Error;
use std::{
    fs,
    path::{Path, PathBuf},
};

impl Host {
    /// Whether the kernel is locked down (kernel_lockdown(7)), as it is with Secure Boot: the mode, `integrity` or
    /// `confidentiality`.
    ///
    /// A kernel that is locked down refuses root too, with `EPERM`, what could change it: to write to configuration space,
    /// to map BARs and to write to I/O ports by `/sys`, and to load modules without a signature. VFIO it leaves alone.
    #[must_use]
    pub fn lockdown(&self) -> Option<String> {
        let modes = read(&self.sys.join("kernel/security/lockdown")).ok()?;
        let (_, mode) = modes.split_once('[')?;
        let (mode, _) = mode.split_once(']')?;
        (mode != "none").then(|| mode.to_owned())
    }

    /// The same error; if it is `EPERM`, and the kernel is [locked down](Self::lockdown), its hint says that too.
    #[must_use]
    pub fn or_lockdown(&self, error: Error) -> Error {
        const EPERM: i32 = 1;

        let Some(mode) = self.lockdown().filter(|_| error.errno() == Some(EPERM)) else {
            return error;
        };
        let hint = error
            .hint()
            .map(|hint| format!("{hint}; "))
            .unwrap_or_default();
        error.with_hint(format!(
            "{hint}the kernel is locked down ({mode}), as it is with Secure Boot, and refuses root too what could change \
             it: if that is the reason, dmesg says so (kernel_lockdown(7))"
        ))
    }

    /// The file that says where the memory of this process is: `/proc/self/pagemap`.
    #[must_use]
    pub fn pagemap(&self) -> PathBuf {
        self.proc.join("self/pagemap")
    }

    /// How many bytes of this process's memory are locked, by the kernel's word for it: `VmLck` or `VmPin` of
    /// `/proc/self/status`.
    #[must_use]
    pub fn locked_memory(&self, field: &str) -> Option<u64> {
        let status = fs::read_to_string(self.proc.join("self/status")).ok()?;
        let mut fields = status.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(name, _)| *name == field)?;
        let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kib.checked_mul(1024)
    }

    /// Whether this process has that node open.
    #[must_use]
    pub fn has_open(&self, node: &Path) -> bool {
        let descriptors = fs::read_dir(self.proc.join("self/fd"));
        let mut links = descriptors
            .into_iter()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.any(|link| link == node)
    }

    /// Whether this process has a capability, by its number in capabilities(7)'s header: 14 is `CAP_IPC_LOCK`.
    #[must_use]
    pub fn has_capability(&self, number: u32) -> bool {
        let status = fs::read_to_string(self.proc.join("self/status")).unwrap_or_default();
        let mut lines = status.lines();
        let set = lines.find_map(|line| line.strip_prefix("CapEff:"));
        let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        set.and_then(|set| set.checked_shr(number))
            .is_some_and(|set| set & 1 != 0)
    }
}
