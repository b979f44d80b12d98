//! BARs: by the maps of the UIO device where it has them, and by `/sys` otherwise.

use crate::{
    UioNode,
    open::{self, Open},
};
use device_file::{FileRegion, map, page_size};
use io_core::{Bar, Error, ErrorKind, Result, Width};
use nix::errno::Errno;
use pci_host::{BarKind, BarResource};
use std::{fs::File, path::Path, sync::Arc};

/// A file of `/sys` with a BAR in it, which keeps its device open.
#[derive(Debug)]
struct Resource {
    file: File,
    _open: Arc<Open>,
}

impl AsRef<File> for Resource {
    fn as_ref(&self) -> &File {
        &self.file
    }
}

/// The BAR of this index.
pub(crate) fn bar(open: &Arc<Open>, node: Option<&UioNode>, index: u8) -> Result<Bar> {
    let resource = open.function.bar(index)?;
    let name = name(open, index);
    if resource.kind == BarKind::IoPorts {
        let (file, _) = file(open, &format!("resource{index}"))?;
        let place = (0, size(resource, &name)?);
        // No processor of PC kind has wider accesses to ports.
        return Ok(Bar::called(FileRegion::new(&file, place, name, Width::U32)));
    }
    let (start, size) = (resource.start, size(resource, &name)?);
    let mapped = node.and_then(|node| node.map_at(start, size, &name));
    mapped.unwrap_or_else(|| by_sysfs(open, &format!("resource{index}"), resource, &name))
}

/// The prefetchable BAR of this index, write-combined.
pub(crate) fn write_combined(open: &Arc<Open>, index: u8) -> Result<Bar> {
    let resource = open.function.memory_bar(index)?;
    let name = name(open, index);
    if !matches!(
        resource.kind,
        BarKind::Memory {
            prefetchable: true,
            ..
        }
    ) {
        let message = format!("{name} is not prefetchable: it cannot be write-combined");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    by_sysfs(open, &format!("resource{index}_wc"), resource, &name)
}

/// What a BAR is called in errors.
fn name(open: &Open, index: u8) -> String {
    format!("BAR {index} of {}", open.function.address)
}

/// The size, as this process can address it.
fn size(resource: &BarResource, name: &str) -> Result<usize> {
    usize::try_from(resource.size).map_err(|_| {
        let message = format!("{name} is larger than this process can address");
        Error::new(ErrorKind::Unsupported, message)
    })
}

fn file(open: &Arc<Open>, name: &str) -> Result<(Arc<Resource>, std::path::PathBuf)> {
    let path = open.host.function_file(open.function.address, name);
    let file = open::open(&path).map_err(|e| open::cannot_open(&path, e))?;
    let resource = Resource {
        file,
        _open: Arc::clone(open),
    };
    Ok((Arc::new(resource), path))
}

/// A BAR, mapped by a file of `/sys`.
fn by_sysfs(open: &Arc<Open>, file_name: &str, resource: &BarResource, name: &str) -> Result<Bar> {
    let (file, path) = file(open, file_name)?;
    let place = (in_page(resource.start, page_size()), size(resource, name)?);
    map(&file, place, name).map_err(|error| refused(open, &path, error))
}

/// How far a BAR starts behind the start of its first page: the kernel maps whole pages, from that one on.
fn in_page(start: u64, page: usize) -> u64 {
    start % u64::try_from(page).unwrap_or(u64::MAX)
}

/// Why a BAR cannot be mapped by `/sys`.
fn refused(open: &Open, path: &Path, error: Error) -> Error {
    if error.errno().map(Errno::from_raw) == Some(Errno::EINVAL) {
        let now = open.host.function(open.function.address);
        let who = match now.ok().and_then(|function| function.driver) {
            Some(driver) => format!("{driver} has it by now, and"),
            None => "something has claimed it (/proc/iomem says what), and".to_owned(),
        };
        return error.with_hint(format!(
            "{who} the kernel keeps {} for whoever has (CONFIG_IO_STRICT_DEVMEM, iomem=strict)",
            path.display()
        ));
    }
    open.host.or_lockdown(error)
}

#[cfg(test)]
mod tests {
    use super::in_page;

    #[test]
    fn a_bar_starts_inside_a_page_as_large_as_the_machine_has_them() {
        assert_eq!(in_page(0xfe88_1200, 0x1000), 0x200);
        assert_eq!(in_page(0xfe88_1200, 0x1_0000), 0x1200);
    }
}
