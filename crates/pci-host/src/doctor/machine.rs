//! What it takes of the machine.

use super::{Account, Check, Needs};
use crate::{Host, host::names, host::read};
use std::{fs, path::Path};

pub(super) fn checks(host: &Host, needs: &Needs<'_>) -> Vec<Check> {
    let mut checks = vec![iommu(host)];
    checks.extend(remapping(host));
    checks.push(module(host));
    checks.extend(container(host, needs.user));
    checks.push(iommufd(host));
    checks.push(lockdown(host));
    checks.push(strict_devmem(host));
    checks.push(memlock(host, needs));
    checks
}

fn is_intel(host: &Host) -> bool {
    processor(host).contains("GenuineIntel")
}

fn processor(host: &Host) -> String {
    fs::read_to_string(host.proc().join("cpuinfo")).unwrap_or_default()
}

fn iommu(host: &Host) -> Check {
    let groups = names(&host.sys().join("kernel/iommu_groups")).unwrap_or_default();
    let iommus = host.class("iommu");
    if !iommus.is_empty() && (!groups.is_empty() || host.gives_groups_late()) {
        let sentence = format!(
            "the IOMMU is on ({}), with {} groups",
            iommus.join(", "),
            groups.len()
        );
        return Check::pass("iommu", sentence);
    }
    if host.vfio_goes_without_iommu() {
        return Check::warn(
            "iommu",
            "there is no IOMMU, and VFIO is told to go without: devices reach all memory of the machine",
            "switch the IOMMU on, if the machine has one: VT-d or AMD-Vi in the firmware's setup",
        );
    }
    let parameter = match is_intel(host) {
        true => ", and intel_iommu=on on the kernel's command line",
        false => "",
    };
    let mend = format!("switch it on: VT-d, AMD-Vi or SMMU in the firmware's setup{parameter}");
    Check::fail(
        "iommu",
        "the kernel has no IOMMU in use, and vfio-pci takes no device without",
        mend,
    )
}

/// On x86 the names of interrupts say whether they are remapped: `IR-PCI-MSI`. Elsewhere it is an affair of the interrupt
/// controller.
fn remapping(host: &Host) -> Option<Check> {
    let processor = processor(host);
    let is_x86 = ["GenuineIntel", "AuthenticAMD", "HygonGenuine"]
        .iter()
        .any(|name| processor.contains(name));
    if !is_x86 || host.class("iommu").is_empty() {
        return None;
    }
    let interrupts = fs::read_to_string(host.proc().join("interrupts")).unwrap_or_default();
    if interrupts.contains(" IR-") {
        return Some(Check::pass("remapping", "interrupts are remapped"));
    }
    let allowed = host
        .sys()
        .join("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    Some(match read(&allowed).as_deref() {
        Ok("Y" | "1") => Check::warn(
            "remapping",
            "interrupts are not remapped, and VFIO is told to allow that: a device can raise any interrupt",
            "switch interrupt remapping on in the firmware's setup, if it has that",
        ),
        _ => Check::fail(
            "remapping",
            "interrupts are not remapped, without which VFIO refuses its service",
            "switch interrupt remapping on in the firmware's setup (x2APIC), or, if you trust the devices: \
             echo 1 | sudo tee /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
        ),
    })
}

fn module(host: &Host) -> Check {
    if host.driver_dir("vfio-pci").exists() {
        return Check::pass("module", "vfio-pci is loaded");
    }
    Check::fail("module", "vfio-pci is not loaded", "sudo modprobe vfio-pci")
}

/// The node of VFIO's containers, which is meant for everybody.
fn container(host: &Host, user: Option<&Account>) -> Option<Check> {
    let node = host.vfio_dir().join("vfio");
    let shown = node.display();
    if !node.exists() {
        // Where vfio-pci is missing, that is said already.
        let loaded = host.driver_dir("vfio-pci").exists();
        return (loaded && !host.iommufd().exists()).then(|| {
            Check::fail(
                "container",
                format!("there is no {shown}"),
                "sudo modprobe vfio_iommu_type1",
            )
        });
    }
    let everybody = Account {
        name: String::new(),
        id: u32::MAX,
        groups: Vec::new(),
    };
    if user.unwrap_or(&everybody).may_use(&node) {
        return Some(Check::pass(
            "container",
            format!("{shown} is there for everybody who needs it"),
        ));
    }
    let sentence =
        format!("{shown} is for few: it gives nothing away by itself, and is meant to be for all");
    Some(Check::warn(
        "container",
        sentence,
        format!("sudo chmod 666 {shown}, and a rule of udev: docs/udev.md"),
    ))
}

fn iommufd(host: &Host) -> Check {
    let node = host.iommufd();
    Check::pass(
        "iommufd",
        match node.exists() {
            true => format!("the kernel has iommufd ({})", node.display()),
            false => "the kernel has no iommufd; devices are opened by their groups".to_owned(),
        },
    )
}

fn lockdown(host: &Host) -> Check {
    match host.lockdown() {
        None => Check::pass("lockdown", "the kernel is not locked down"),
        Some(mode) => Check::warn(
            "lockdown",
            format!(
                "the kernel is locked down ({mode}): /sys gives no BARs and takes no configuration, to root either; \
                 VFIO works"
            ),
            "bind devices to vfio-pci; or switch Secure Boot off",
        ),
    }
}

/// Whether the kernel keeps BARs that a driver has from `/sys`. The kernel itself does not say; a file may, which says how it
/// was built.
fn strict_devmem(host: &Host) -> Check {
    const OPTION: &str = "CONFIG_IO_STRICT_DEVMEM=y";

    let line = fs::read_to_string(host.proc().join("cmdline")).unwrap_or_default();
    if line.split_whitespace().any(|word| word == "iomem=relaxed") {
        return Check::pass(
            "devmem",
            "BARs can be had by /sys even while a driver of the kernel's has them (iomem=relaxed)",
        );
    }
    let sentence = match host.kernel_config() {
        Some(config) if config.lines().any(|line| line == OPTION) => {
            "BARs that a driver of the kernel's has are not to be had by /sys (CONFIG_IO_STRICT_DEVMEM)"
        }
        Some(_) => "BARs can be had by /sys even while a driver of the kernel's has them",
        None if host.proc().join("config.gz").exists() => {
            "whether BARs can be had by /sys while a driver of the kernel's has them says: zgrep IO_STRICT_DEVMEM \
             /proc/config.gz"
        }
        None => {
            "whether BARs can be had by /sys while a driver of the kernel's has them is not known: no file says how the \
             kernel was built"
        }
    };
    Check::pass("devmem", sentence)
}

fn memlock(host: &Host, needs: &Needs<'_>) -> Check {
    const CAP_IPC_LOCK: u32 = 14;

    let is_root = needs
        .user
        .map_or_else(|| host.has_capability(CAP_IPC_LOCK), |user| user.id == 0);
    if is_root {
        return Check::pass("memlock", "root may lock as much memory as there is");
    }
    let who = needs.user.map_or("this user", |user| &user.name);
    let need = needs.memory;
    let kib = need.div_ceil(1024);
    let mend = format!(
        "for this shell: sudo prlimit --pid $$ --memlock={need}; for good: '{who} - memlock {kib}' in \
         /etc/security/limits.d/70-outboard.conf, or LimitMEMLOCK={need} of the service"
    );
    match host.lock_limit(needs.user) {
        None => Check::warn(
            "memlock",
            format!("no process of {who} runs, so that nobody knows how much memory they may lock"),
            mend,
        ),
        Some(u64::MAX) => Check::pass(
            "memlock",
            format!("{who} may lock as much memory as there is"),
        ),
        Some(limit) if limit >= need => Check::pass(
            "memlock",
            format!("{who} may lock {limit} bytes of memory, of which {need} are needed"),
        ),
        Some(limit) => Check::fail(
            "memlock",
            format!("{who} may lock {limit} bytes of memory, and {need} are needed"),
            mend,
        ),
    }
}

/// Whether the user may open a node.
pub(super) fn node(about: &'static str, node: &Path, user: &Account) -> Check {
    let (shown, name) = (node.display(), &user.name);
    if user.may_use(node) {
        return Check::pass(about, format!("{name} may open {shown}"));
    }
    Check::fail(
        about,
        format!("{name} may not open {shown}"),
        format!(
            "until the next bind: sudo chown {name} {shown}; for good, a rule of udev: docs/udev.md"
        ),
    )
}
