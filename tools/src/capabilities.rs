//! What the capabilities of a device say, in a line or two each.

use crate::units;
use io_core::pci::{
    Config,
    capability::{Body, Capability, CapabilityId, PciExpress},
};
use serde_json::{Value, json};

/// A capability, as it is shown.
pub struct Shown {
    /// Where it is, its id, its name and its version.
    head: (u16, CapabilityId, Option<&'static str>, Option<u8>),
    /// What it says.
    says: Vec<String>,
}

/// All capabilities, and why there may be more.
pub fn all(config: Config<'_>) -> (Vec<Shown>, Vec<String>) {
    let lists = [config.capabilities(), config.extended_capabilities()];
    let mut shown = Vec::new();
    let mut broken = Vec::new();
    for list in lists {
        broken.extend(list.error.iter().map(ToString::to_string));
        shown.extend(list.into_iter().map(|capability| one(&capability)));
    }
    (shown, broken)
}

fn one(capability: &Capability<'_>) -> Shown {
    let head = (
        capability.offset,
        capability.id,
        capability.name(),
        capability.version,
    );
    let says = match capability.body() {
        Ok(body) => lines(&body),
        Err(error) => vec![error.to_string()],
    };
    Shown { head, says }
}

impl Shown {
    /// For people.
    pub fn text(&self) -> String {
        let (offset, id, name, _) = self.head;
        let name = name.map_or_else(|| format!("{:#06x}", number(id)), str::to_owned);
        let says = self.says.join("; ");
        let colon = if says.is_empty() { "" } else { ": " };
        format!("{offset:#05x} {name}{colon}{says}")
    }

    /// For programs.
    pub fn data(&self) -> Value {
        let (offset, id, name, version) = self.head;
        json!({
            "offset": offset,
            "id": format!("{:#06x}", number(id)),
            "extended": matches!(id, CapabilityId::Extended(_)),
            "name": name,
            "version": version,
            "says": self.says,
        })
    }
}

fn number(id: CapabilityId) -> u16 {
    match id {
        CapabilityId::Standard(id) => id.into(),
        CapabilityId::Extended(id) => id,
    }
}

/// What it says. What a vendor makes of a capability is left out, and so are lengths and logs.
fn lines(body: &Body<'_>) -> Vec<String> {
    match body {
        Body::PowerManagement(pm) => vec![
            format!(
                "version {}, in D{}",
                pm.capabilities.version(),
                pm.control.state()
            ),
            pm.capabilities.to_string(),
        ],
        Body::Msi(msi) => vec![
            match (msi.control.enabled(), msi.control.capable()) {
                (Some(enabled), Some(capable)) => format!("{enabled} of {capable} vectors"),
                _ => "an unknown number of vectors".to_owned(),
            },
            msi.control.to_string(),
        ],
        Body::MsiX(msi_x) => vec![
            format!("{} vectors", msi_x.control.vectors()),
            format!(
                "table in BAR {} at {:#x}",
                msi_x.table.bar, msi_x.table.offset
            ),
            format!(
                "pending bits in BAR {} at {:#x}",
                msi_x.pending.bar, msi_x.pending.offset
            ),
            msi_x.control.to_string(),
        ],
        Body::PciExpress(express) => express_lines(express),
        Body::SerialNumber(serial) => vec![serial.to_string()],
        Body::Acs(acs) => vec![
            format!("can {}", acs.capabilities),
            format!("does {}", acs.control),
        ],
        Body::Aer(aer) => vec![
            format!("uncorrectable {}", aer.uncorrectable_status),
            format!("correctable {}", aer.correctable_status),
        ],
        Body::Ari(ari) => vec![
            format!("next function {}", ari.next_function),
            ari.control.to_string(),
        ],
        Body::SrIov(sr_iov) => vec![
            format!(
                "{} of {} virtual functions",
                sr_iov.num_vfs, sr_iov.total_vfs
            ),
            format!(
                "offset {}, stride {}",
                sr_iov.first_vf_offset, sr_iov.vf_stride
            ),
            format!("device id {:04x}", sr_iov.vf_device_id),
            sr_iov.control.to_string(),
        ],
        other => more_lines(other),
    }
}

fn more_lines(body: &Body<'_>) -> Vec<String> {
    match body {
        Body::Ats(ats) => vec![
            on(ats.enabled).to_owned(),
            format!("{} invalidations", ats.invalidate_queue_depth),
        ],
        Body::Pri(pri) => vec![pri.control.to_string(), pri.status.to_string()],
        Body::Pasid(pasid) => vec![
            format!("{} bits", pasid.max_width),
            pasid.control.to_string(),
        ],
        Body::ResizableBars(bars) => bars
            .bars
            .iter()
            .map(|bar| {
                let sizes: Vec<_> = bar.sizes().map(units::size).collect();
                let now = bar.size().map_or("an unknown size".to_owned(), units::size);
                format!("BAR {} is {now} of {}", bar.bar, sizes.join(" "))
            })
            .collect(),
        Body::Ltr(ltr) => {
            let time = |latency: Option<u64>| {
                latency.map_or("unknown".to_owned(), |ns| format!("{ns} ns"))
            };
            vec![
                format!("snooping up to {}", time(ltr.max_snoop.nanoseconds())),
                format!(
                    "not snooping up to {}",
                    time(ltr.max_no_snoop.nanoseconds())
                ),
            ]
        }
        Body::Dpc(dpc) => vec![
            dpc.capabilities.to_string(),
            dpc.control.to_string(),
            dpc.status.to_string(),
        ],
        Body::Doe(doe) => vec![doe.capabilities.to_string(), doe.status.to_string()],
        Body::AdvancedFeatures(af) => {
            vec![format!(
                "function level reset {}",
                on(af.function_level_reset)
            )]
        }
        Body::Vsec(vsec) => vec![format!("id {:#06x}, revision {}", vsec.id, vsec.revision)],
        Body::Dvsec(dvsec) => vec![format!(
            "of vendor {:04x}, id {:#06x}, revision {}",
            dvsec.vendor_id, dvsec.id, dvsec.revision
        )],
        _ => Vec::new(),
    }
}

fn express_lines(express: &PciExpress) -> Vec<String> {
    let device = &express.device;
    let payload =
        |bytes: Option<u16>| bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
    let mut lines = vec![
        format!("version {}, {}", express.version, express.port_type),
        format!(
            "payload {} of {} bytes, read requests of {}",
            payload(device.control.max_payload()),
            payload(device.capabilities.max_payload()),
            payload(device.control.max_read_request())
        ),
    ];
    if let Some(link) = &express.link {
        lines.push(format!(
            "link {} x{} of {} x{}",
            link.status.speed(),
            link.status.width(),
            link.capabilities.speed(),
            link.capabilities.width()
        ));
    }
    lines.push(device.capabilities.to_string());
    lines.push(device.status.to_string());
    lines
}

fn on(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
