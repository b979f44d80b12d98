//! What the machine shows of one PCI function.

use crate::{BarKind, BarResource, Host, host, resource};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use std::path::{Path, PathBuf};

/// What the machine shows of one PCI function, at the moment it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PciFunction {
    /// Where it is.
    pub address: PciAddress,
    /// The vendor id.
    pub vendor: u16,
    /// The device id.
    pub device: u16,
    /// The vendor id of the board.
    pub subsystem_vendor: u16,
    /// The device id of the board.
    pub subsystem_device: u16,
    /// The class code: base class, subclass and programming interface, a byte each.
    pub class: u32,
    /// The revision id.
    pub revision: u8,
    /// The driver that it is bound to.
    pub driver: Option<String>,
    /// The IOMMU group that it is in. Without an IOMMU there are none.
    pub iommu_group: Option<u32>,
    /// The ways in which the kernel can reset it, best first, as `reset_method` names them.
    pub reset_methods: Vec<String>,
    /// Its BARs, by index.
    pub bars: Vec<BarResource>,
    /// Whether it is a bridge, to PCI or CardBus: its configuration header is of type 1 or 2.
    pub is_bridge: bool,
}

impl PciFunction {
    pub(crate) fn read(host: &Host, address: PciAddress) -> Result<Self> {
        let dir = host.function_dir(address);
        let resources = dir.join("resource");
        let identity = match Identity::of_alias(&dir) {
            Some(identity) => identity,
            None => Identity::of_files(&dir)?,
        };
        Ok(Self {
            address,
            vendor: identity.device.0,
            device: identity.device.1,
            subsystem_vendor: identity.subsystem.0,
            subsystem_device: identity.subsystem.1,
            class: identity.class,
            revision: number(&dir.join("revision"))?,
            driver: host::link_name(&dir.join("driver"))?,
            iommu_group: iommu_group(&dir)?,
            reset_methods: optional(&dir.join("reset_method"))?
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            bars: resource::parse(&host::read(&resources)?)
                .map_err(|line| nonsense(&resources, &line))?,
            // Its configuration space says so too, but to read that wakes a function that sleeps.
            is_bridge: dir.join("secondary_bus_number").exists(),
        })
    }

    /// Whether it is bound to vfio-pci, or to a variant of it (mlx5_vfio_pci and the like).
    #[must_use]
    pub fn has_vfio_driver(&self) -> bool {
        self.driver.as_deref().is_some_and(is_vfio_driver)
    }

    /// The BAR of this index.
    ///
    /// # Errors
    ///
    /// The function has no such BAR; the error names those that it has.
    pub fn bar(&self, index: u8) -> Result<&BarResource> {
        self.bars
            .iter()
            .find(|bar| bar.index == index)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!("{} has no BAR {index}", self.address),
                )
                .with_hint(match self.indices(|_| true).as_str() {
                    "" => "it has no BARs at all".to_owned(),
                    have => format!("its BARs: {have}"),
                })
            })
    }

    /// The BAR of this index, which must be memory.
    ///
    /// # Errors
    ///
    /// The function has no such BAR, or it is I/O ports; the error names those that would do.
    pub fn memory_bar(&self, index: u8) -> Result<&BarResource> {
        let bar = self.bar(index)?;
        if bar.kind != BarKind::IoPorts {
            return Ok(bar);
        }
        let message = format!(
            "BAR {index} of {} is I/O ports, which cannot be mapped",
            self.address
        );
        let hint = match self.indices(|bar| bar.kind != BarKind::IoPorts).as_str() {
            "" => "it has no BAR that is memory".to_owned(),
            have => format!("its BARs that are memory: {have}"),
        };
        Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint))
    }

    /// The indices of those of its BARs that `which` chooses, as a list.
    fn indices(&self, which: impl Fn(&BarResource) -> bool) -> String {
        let bars = self.bars.iter().filter(|bar| which(bar));
        bars.map(|bar| bar.index.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// What a function is by its numbers.
struct Identity {
    device: (u16, u16),
    subsystem: (u16, u16),
    class: u32,
}

impl Identity {
    /// All at once, by `modalias`: `pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00`. Not by `uevent`, for which some
    /// kernels (6.10 and 6.11 among them) take the function's lock.
    fn of_alias(dir: &Path) -> Option<Self> {
        let alias = host::read(&dir.join("modalias")).ok()?;
        let mut rest = alias.strip_prefix("pci:")?;
        let mut number = |name: &str, digits| {
            let (number, others) = rest.strip_prefix(name)?.split_at_checked(digits)?;
            rest = others;
            u32::from_str_radix(number, 16).ok()
        };
        let mut id = |name| number(name, 8)?.try_into().ok();
        let device = (id("v")?, id("d")?);
        let subsystem = (id("sv")?, id("sd")?);
        let class = number("bc", 2)? << 16 | number("sc", 2)? << 8 | number("i", 2)?;
        Some(Self {
            device,
            subsystem,
            class,
        })
    }

    /// One by one.
    fn of_files(dir: &Path) -> Result<Self> {
        let pair = |vendor, device| -> Result<(u16, u16)> {
            Ok((number(&dir.join(vendor))?, number(&dir.join(device))?))
        };
        Ok(Self {
            device: pair("vendor", "device")?,
            subsystem: pair("subsystem_vendor", "subsystem_device")?,
            class: number(&dir.join("class"))?,
        })
    }
}

/// Whether a driver is vfio-pci or one of its variants.
pub(crate) fn is_vfio_driver(driver: &str) -> bool {
    driver.contains("vfio")
}

/// The text of a file that older kernels or some functions do not have.
fn optional(path: &Path) -> Result<Option<String>> {
    match host::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number in a file, written as `0x1af4`.
fn number<T: TryFrom<u32>>(path: &Path) -> Result<T> {
    let text = host::read(path)?;
    text.strip_prefix("0x")
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| nonsense(path, &text))
}

fn iommu_group(dir: &Path) -> Result<Option<u32>> {
    let link: PathBuf = dir.join("iommu_group");
    let Some(name) = host::link_name(&link)? else {
        return Ok(None);
    };
    name.parse().map(Some).map_err(|_| nonsense(&link, &name))
}

fn nonsense(path: &Path, text: &str) -> Error {
    Error::new(
        ErrorKind::Other,
        format!("cannot make sense of {text:?} in {}", path.display()),
    )
}
