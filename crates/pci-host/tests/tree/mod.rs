//! A machine in a temporary folder.

use pci_host::Host;
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// A machine, of which nothing is there yet. Paths are relative to its root.
pub struct Tree {
    root: TempDir,
    pub host: Host,
}

impl Tree {
    pub fn new() -> Self {
        let root = TempDir::new().unwrap();
        let host = Host::at(root.path());
        Self { root, host }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Writes a file, in folders that are made if need be.
    pub fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}
