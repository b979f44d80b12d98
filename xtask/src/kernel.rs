//! The guest's kernel: the distribution's package, fetched, unpacked and cached without installing it; the one that is
//! built for the lab; or a file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result};
use crate::{cache, full_kernel, modules, packages, program};

/// The package that stands for the distribution's present kernel.
const META_PACKAGE: &str = "linux-image-amd64";

/// What the guest needs (the first two lines), the drivers of the devices in the topology, and what can be made of these.
const MODULES: [&str; 25] = [
    "virtio_pci",
    "virtio_console",
    "9p",
    "9pnet_virtio",
    "overlay",
    "vfio_pci",
    "vfio_iommu_type1",
    "uio_pci_generic",
    "e1000e",
    "nvme",
    "virtio_net",
    "virtio_rng",
    // ext4 asks for it by another name, and mounts nothing without.
    "crc32c_generic",
    "ext4",
    "bonding",
    "8021q",
    "bridge",
    "team",
    "macsec",
    "dm_mod",
    "md_mod",
    "raid1",
    "loop",
    "target_core_iblock",
    "bochs",
];

/// Which kernel to boot.
#[derive(Clone, Debug)]
pub enum Choice {
    /// The distribution's.
    Stock,
    /// The lab's own.
    Full,
    /// A bzImage with all that it needs built in.
    Image(PathBuf),
}

impl From<OsString> for Choice {
    fn from(word: OsString) -> Self {
        match word.to_str() {
            Some("stock") => Self::Stock,
            Some("full") => Self::Full,
            _ => Self::Image(word.into()),
        }
    }
}

impl Choice {
    /// The word for it, which tests in the guest see.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Full => "full",
            Self::Image(_) => "image",
        }
    }
}

/// A kernel that is ready to boot.
pub struct Kernel {
    /// The file for QEMU.
    pub image: PathBuf,
    /// The folder of its modules, named so that they sort in the order of loading.
    pub modules: Option<PathBuf>,
}

/// Finds, or fetches and unpacks, the kernel.
pub fn ready(choice: &Choice) -> Result<Kernel> {
    match choice {
        Choice::Image(path) if path.is_file() => Ok(Kernel {
            image: path.clone(),
            modules: None,
        }),
        Choice::Image(path) => Err(format!(
            "there is no kernel image {}: --kernel takes the path of a bzImage, or the word stock or full",
            path.display()
        )
        .into()),
        Choice::Full => Ok(Kernel {
            image: full_kernel::ready()?,
            modules: None,
        }),
        Choice::Stock => {
            let folder = cache::entry(&cache_name(), unpack_stock)?;
            Ok(Kernel {
                image: folder.join("vmlinux"),
                modules: Some(folder.join("modules")),
            })
        }
    }
}

/// The cache entry is named after what is in it: another list of modules is another entry.
fn cache_name() -> String {
    format!("kernel-{}", MODULES.join("-"))
}

fn unpack_stock(folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(folder)?;
    packages::download(&packages::resolve(META_PACKAGE)?, scratch.path())?;
    let package = only_file(scratch.path(), |name| name.ends_with(".deb"))?;
    let tree = scratch.path().join("tree");
    program::run(
        Command::new("dpkg-deb")
            .arg("--extract")
            .args([&package, &tree]),
    )
    .context(|| "the kernel package came damaged and is removed again; please try once more")?;
    let compressed = only_file(&tree.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    decompress(&compressed, &folder.join("vmlinux"))?;
    modules::collect(&tree, &MODULES, &folder.join("modules"))
}

fn only_file(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder)
        .context(|| format!("cannot read {}", folder.display()))?
        .flatten();
    let found = entries.find(|entry| wanted(&entry.file_name().to_string_lossy()));
    let missing = || {
        format!(
            "the kernel package has not the expected file in {}",
            folder.display()
        )
    };
    Ok(found.ok_or_else(missing)?.path())
}

/// Writes the kernel proper, which QEMU starts by the PVH protocol, out of the bzImage that packs it. This saves the
/// guest from unpacking it: four of seven seconds under emulation. A bzImage packed otherwise stays as it is.
fn decompress(image: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(image).context(|| format!("cannot read {}", image.display()))?;
    let Some(payload) = payload(&bytes).filter(|payload| payload.starts_with(b"\xfd7zXZ\0")) else {
        return fs::write(to, bytes).context(|| format!("cannot write {}", to.display()));
    };
    let packed = to.with_extension("xz");
    fs::write(&packed, payload)?;
    // The length of the kernel follows the compressed stream.
    let kernel = program::run(
        Command::new("xz")
            .args(["--decompress", "--stdout", "--single-stream"])
            .arg(&packed),
    )?;
    fs::write(to, kernel)?;
    Ok(fs::remove_file(packed)?)
}

/// The compressed kernel inside a bzImage: `setup_sects`, `payload_offset` and `payload_length` of the header in
/// Documentation/arch/x86/boot.rst.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let field = |offset: usize| {
        let bytes = image.get(offset..offset.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let setup_sectors = usize::from(*image.get(0x1f1)?);
    let start = (setup_sectors + 1) * 512 + field(0x248)?;
    image.get(start..start.checked_add(field(0x24c)?)?)
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn the_payload_is_found_by_the_boot_header() {
        let mut image = vec![0; 2000];
        image[0x1f1] = 1;
        image[0x248] = 16;
        image[0x24c] = 4;
        image[1024 + 16..1024 + 20].copy_from_slice(b"\xfd7zX");
        assert_eq!(payload(&image), Some(&b"\xfd7zX"[..]));
    }

    #[test]
    fn a_header_that_points_outside_has_no_payload() {
        let mut image = vec![0xff; 2000];
        assert_eq!(payload(&image), None);
        image.truncate(100);
        assert_eq!(payload(&image), None);
    }
}
