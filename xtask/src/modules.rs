//! Kernel modules: where they are in an unpacked package, and in which order they load.
//!
//! A package has no `modules.dep` (installing it would make one), so the dependencies are read where `depmod`
//! finds them: in the `depends=` string of each module's `.modinfo` section.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::program;

/// Copies the modules called `wanted`, and all that they need, from the unpacked package `tree` to `folder`,
/// under names that sort in the order of loading.
///
/// A name that is not found is one of a driver that is built into the kernel.
pub fn collect(tree: &Path, wanted: &[&str], folder: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    find(tree, &mut files)?;
    let mut contents = BTreeMap::new();
    let order = load_order(wanted, |name| {
        let Some(path) = files.get(name) else {
            return Ok(None);
        };
        let module = read(path)?;
        let needed = depends(&module);
        contents.insert(name.to_owned(), module);
        Ok(Some(needed))
    })?;
    fs::create_dir_all(folder)?;
    for (position, name) in order.iter().enumerate() {
        let path = folder.join(format!("{position:02}-{name}.ko"));
        let module = contents.get(name).map(Vec::as_slice).unwrap_or_default();
        fs::write(&path, module).context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// All modules below `folder`, by name.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(canonical(name), entry.path());
        }
    }
    Ok(())
}

/// A file may say `-` where the kernel, and the module itself, say `_`.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        program::run(
            Command::new("xz")
                .arg("--decompress")
                .arg("--stdout")
                .arg(path),
        )
    } else {
        fs::read(path).context(|| format!("cannot read {}", path.display()))
    }
}

/// The names in a module's `depends=` string.
fn depends(module: &[u8]) -> Vec<String> {
    let strings = module.split(|byte| *byte == 0);
    let list = strings
        .filter_map(|string| string.strip_prefix(b"depends="))
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(list)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(canonical)
        .collect()
}

/// `wanted` and all that they need, each after what it needs. `depends` answers `None` for what is no module.
fn load_order(
    wanted: &[&str],
    mut depends: impl FnMut(&str) -> Result<Option<Vec<String>>>,
) -> Result<Vec<String>> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in wanted {
        visit(&canonical(name), &mut depends, &mut seen, &mut order)?;
    }
    Ok(order)
}

fn visit(
    name: &str,
    depends: &mut impl FnMut(&str) -> Result<Option<Vec<String>>>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<String>,
) -> Result<()> {
    if !seen.insert(name.to_owned()) {
        return Ok(());
    }
    if let Some(needed) = depends(name)? {
        for name in needed {
            visit(&name, depends, seen, order)?;
        }
        order.push(name.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{depends, load_order};

    #[test]
    fn the_names_come_from_modinfo_with_underscores() {
        let module = b"\x7fELF\0license=GPL\0depends=vfio-pci-core,vfio\0name=vfio_pci\0";
        assert_eq!(depends(module), ["vfio_pci_core", "vfio"]);
        assert!(depends(b"license=GPL\0depends=\0name=virtio\0").is_empty());
    }

    #[test]
    fn each_module_loads_once_and_after_what_it_needs() {
        let order = load_order(&["a", "built-in", "b"], |name| {
            Ok(match name {
                "a" => Some(vec!["c".to_owned(), "d".to_owned()]),
                "b" => Some(vec!["a".to_owned()]),
                "c" => Some(vec!["d".to_owned()]),
                "d" => Some(Vec::new()),
                _ => None,
            })
        });
        assert_eq!(order.unwrap(), ["d", "c", "a", "b"]);
    }
}
