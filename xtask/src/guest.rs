//! What the guest's init script is told: its root, the folders to mount, and the command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::board::Iommu;
use crate::error::{Context, Result};
use crate::lab::{Options, Rootfs};
use crate::topology::Share;

/// The environment of the command, besides `OUTBOARD_LAB` and `TERM`.
const ENVIRONMENT: &str = "export HOME=/root LC_ALL=C.UTF-8
export PATH=/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The folders that the guest sees.
pub fn shares(options: &Options) -> Result<Vec<Share>> {
    let mut paths = Vec::new();
    for path in &options.share {
        paths.push((at_guest_path(path, options.rootfs)?, false));
    }
    if let Some(path) = &options.out {
        paths.push((at_guest_path(path, options.rootfs)?, true));
    }
    // A folder is mounted before what is inside it.
    paths.sort();
    let numbered = paths.into_iter().enumerate();
    let mut shares: Vec<Share> = numbered
        .map(|(number, (path, writable))| Share {
            tag: format!("lab{number}"),
            path,
            writable,
        })
        .collect();
    if options.rootfs == Rootfs::Host {
        shares.push(Share {
            tag: ROOT_TAG.to_owned(),
            path: "/".into(),
            writable: false,
        });
    }
    Ok(shares)
}

/// The tag by which the init script mounts the host's root.
const ROOT_TAG: &str = "lab-root";

/// Where the guest mounts the folder `path`. In the host's root there are symbolic links, which only the host resolves
/// rightly.
fn at_guest_path(path: &Path, rootfs: Rootfs) -> Result<PathBuf> {
    let cannot = || format!("cannot share {}", path.display());
    let real = path.canonicalize().context(cannot)?;
    if !real.is_dir() {
        return Err(format!(
            "{}: it is not a folder; share the folder that it is in",
            cannot()
        )
        .into());
    }
    if real == Path::new("/") {
        return Err(format!(
            "{}: --rootfs host gives the guest all of the host's files",
            cannot()
        )
        .into());
    }
    let text = path.to_string_lossy();
    if text.trim() != text || text.contains('\n') {
        return Err(format!(
            "{}: its name begins or ends with a space, or has a line break",
            cannot()
        )
        .into());
    }
    match rootfs {
        Rootfs::Host => Ok(real),
        Rootfs::Minimal => std::path::absolute(path).context(cannot),
    }
}

/// The assignments that the init script reads.
pub fn config(options: &Options) -> String {
    let rootfs = match options.rootfs {
        Rootfs::Minimal => "minimal",
        Rootfs::Host => "host",
    };
    let interactive = if options.command.is_empty() {
        "yes"
    } else {
        "no"
    };
    // Without interrupt remapping VFIO refuses its service, unless it is told to allow that.
    let unsafe_interrupts = if options.iommu == Iommu::Virtio {
        "yes"
    } else {
        "no"
    };
    let yes = |is| if is { "yes" } else { "no" };
    let (udev, restarted) = (yes(options.udev), yes(options.restarted.is_some()));
    format!(
        "rootfs={rootfs}\ninteractive={interactive}\nunsafe_interrupts={unsafe_interrupts}\nudev={udev}\n\
         restarted={restarted}\n"
    )
}

/// Tag, mount mode and path of each share, one a line. What the guest writes must not stay in its memory.
pub fn mounts(shares: &[Share]) -> String {
    shares
        .iter()
        .filter(|share| share.tag != ROOT_TAG)
        .map(
            |Share {
                 tag,
                 path,
                 writable,
             }| {
                let mode = if *writable {
                    "rw,cache=mmap"
                } else {
                    "ro,cache=loose"
                };
                format!("{tag} {mode} {}\n", path.display())
            },
        )
        .collect()
}

/// What kind of guest it is, for the tests: the value of `OUTBOARD_LAB`.
pub fn facts(options: &Options) -> String {
    let (kernel, iommu) = (options.kernel.name(), options.iommu.name());
    format!("kernel={kernel},iommu={iommu}")
}

/// The script that the guest runs: the command made of `words`, which sees `facts` as `OUTBOARD_LAB`.
pub fn command(words: &[OsString], facts: &str) -> Result<String> {
    let word = |word: &str| {
        let quoted = shlex::try_quote(word).map(std::borrow::Cow::into_owned);
        quoted.context(|| format!("{word:?} cannot be quoted for the guest's shell"))
    };
    let mut script = format!("{ENVIRONMENT} OUTBOARD_LAB={facts}");
    if let Ok(terminal) = std::env::var("TERM") {
        script += &format!("\nexport TERM={}", word(&terminal)?);
    }
    let folder = std::env::current_dir().unwrap_or_default();
    script += &format!(
        "\ncd {} 2>/dev/null || cd /root\nexec",
        word(&folder.to_string_lossy())?
    );
    if words.is_empty() {
        script += " sh -l";
    }
    for argument in words {
        let text = argument.to_str();
        let text = text.ok_or_else(|| format!("the argument {argument:?} is not UTF-8"))?;
        script += &format!(" {}", word(text)?);
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::{Share, command, mounts};

    #[test]
    fn the_words_of_the_command_reach_the_guest_unchanged() {
        let words = ["echo", "a b", "$HOME", "it's"].map(Into::into);
        let script = command(&words, "kernel=stock").unwrap();
        let last = script.lines().last().unwrap();
        assert_eq!(
            shlex::split(last).unwrap(),
            ["exec", "echo", "a b", "$HOME", "it's"]
        );
    }

    #[test]
    fn no_command_is_a_shell() {
        assert!(
            command(&[], "kernel=stock")
                .unwrap()
                .ends_with("exec sh -l")
        );
    }

    #[test]
    fn the_host_s_root_is_mounted_apart() {
        let share = |tag: &str, path: &str, writable| Share {
            tag: tag.to_owned(),
            path: path.into(),
            writable,
        };
        let shares = [share("lab0", "/a b", true), share("lab-root", "/", false)];
        assert_eq!(mounts(&shares), "lab0 rw,cache=mmap /a b\n");
    }
}
