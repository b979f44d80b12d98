//! What lspci says of a capability.

use super::signs;
use io_core::pci::{
    Body, Capability,
    capability::{
        Acs, AdvancedFeatures, Aer, Ari, Ats, BarOffset, Doe, Dpc, Dvsec, EnhancedAllocation, Ltr,
        Msi, MsiX, Pasid, PowerManagement, Pri, ResizableBars, SrIov, VendorSpecific, Vsec,
    },
};

mod express;

pub fn fragments(capability: &Capability<'_>) -> Vec<String> {
    let at = match capability.version {
        Some(version) => format!("[{:03x} v{version}] ", capability.offset),
        None => format!("[{:02x}] ", capability.offset),
    };
    let mut says = vec![format!(
        "{at}{}",
        capability.name().unwrap_or("Extended Capability ID 0x")
    )];
    says.extend(body(&capability.body().unwrap()));
    says
}

fn body(body: &Body<'_>) -> Vec<String> {
    match body {
        Body::PowerManagement(body) => power(body),
        Body::Vpd(_) => vec!["Not readable".to_owned()], // The data is not in configuration space.
        Body::Msi(body) => msi(body),
        Body::VendorSpecific(body) => vendor(body),
        Body::PciExpress(body) => express::fragments(body),
        Body::MsiX(body) => msi_x(body),
        Body::AdvancedFeatures(body) => advanced_features(body),
        Body::EnhancedAllocation(body) => enhanced_allocation(body),
        Body::Aer(body) => aer(body),
        Body::SerialNumber(number) => vec![format!("Device Serial Number {number}")],
        Body::Vsec(body) => vsec(body),
        Body::Acs(body) => acs(body),
        Body::Ari(body) => ari(body),
        Body::Ats(body) => ats(body),
        Body::SrIov(body) => sr_iov(body),
        Body::Pri(body) => pri(body),
        Body::ResizableBars(body) => resizable(body),
        Body::Ltr(body) => ltr(body),
        Body::Pasid(body) => pasid(body),
        Body::Dpc(body) => dpc(body),
        Body::Dvsec(body) => dvsec(body),
        Body::Doe(body) => doe(body),
        _ => Vec::new(),
    }
}

fn power(body: &PowerManagement) -> Vec<String> {
    let flags = signs(body.capabilities.names());
    let (general, pme) = flags.split_once(" PME-D0").unwrap();
    let pme = format!("D0{pme}").replace(" PME-", ",");
    let control = signs(body.control.names());
    let (general_control, pme_status) = control.rsplit_once(' ').unwrap();
    vec![
        format!("version {}", body.capabilities.version()),
        format!(
            "Flags: {general} AuxCurrent={}mA PME({pme})",
            body.capabilities.aux_current()
        ),
        format!(
            "Status: D{} {general_control} DSel={} DScale={} {pme_status}",
            body.control.state(),
            body.control.data_select(),
            body.control.data_scale(),
        ),
    ]
}

fn msi(body: &Msi) -> Vec<String> {
    let flags = signs(body.control.names());
    let flags: Vec<_> = flags.split(' ').collect();
    let [enable, wide, maskable, ..] = flags[..] else {
        unreachable!()
    };
    let count = (
        body.control.enabled().unwrap(),
        body.control.capable().unwrap(),
    );
    let digits = if wide.ends_with('+') { 16 } else { 8 };
    let mut says = vec![
        format!(
            "MSI: {enable} Count={}/{} {maskable} {wide}",
            count.0, count.1
        ),
        format!(
            "Address: {:0digits$x} Data: {:04x}",
            body.address, body.data
        ),
    ];
    if let (Some(mask), Some(pending)) = (body.mask, body.pending) {
        says.push(format!("Masking: {mask:08x} Pending: {pending:08x}"));
    }
    says
}

fn msi_x(body: &MsiX) -> Vec<String> {
    let place = |place: BarOffset| format!("BAR={} offset={:08x}", place.bar, place.offset);
    let flags = body.control.to_string();
    let flags = flags.replace(' ', &format!(" Count={} ", body.control.vectors()));
    vec![
        format!("MSI-X: {flags}"),
        format!("Vector table: {}", place(body.table)),
        format!("PBA: {}", place(body.pending)),
    ]
}

/// lspci decodes those of virtio; their layout is in its specification, section 4.1.4.
fn vendor(body: &VendorSpecific<'_>) -> Vec<String> {
    assert_eq!(body.data.len() + 3, usize::from(body.length));
    match body.data {
        [_, bar, _, _, _, o0, o1, o2, o3, s0, s1, s2, s3, ..] => vec![format!(
            "BAR={bar} offset={:08x} size={:08x}",
            u32::from_le_bytes([*o0, *o1, *o2, *o3]),
            u32::from_le_bytes([*s0, *s1, *s2, *s3])
        )],
        _ => vec![format!("Len={:02x}", body.length)],
    }
}

fn vsec(body: &Vsec<'_>) -> Vec<String> {
    assert_eq!(body.data.len() + 8, usize::from(body.length));
    vec![format!(
        "ID={:04x} Rev={} Len={:03x}",
        body.id, body.revision, body.length
    )]
}

fn dvsec(body: &Dvsec<'_>) -> Vec<String> {
    assert_eq!(body.data.len() + 10, usize::from(body.length));
    let (vendor, id) = (body.vendor_id, body.id);
    vec![format!(
        "Vendor={vendor:04x} ID={id:04x} Rev={} Len={}",
        body.revision, body.length
    )]
}

fn advanced_features(body: &AdvancedFeatures) -> Vec<String> {
    let flags = [
        ("TP", body.reports_transactions_pending),
        ("FLR", body.function_level_reset),
    ];
    vec![
        format!("AFCap: {}", signs(flags.into_iter())),
        format!(
            "AFStatus: {}",
            signs([("TP", body.transactions_pending)].into_iter())
        ),
    ]
}

fn enhanced_allocation(body: &EnhancedAllocation) -> Vec<String> {
    let mut says = vec![format!("NumEntries={}", body.entries.len())];
    for (n, entry) in body.entries.iter().enumerate() {
        let flags = [("Enable", entry.enabled), ("Writable", entry.writable)];
        let bar = match entry.bar_equivalent {
            bar @ 0..=5 => format!("BAR {bar}"),
            bar @ 9..=14 => format!("VF-BAR {}", bar - 9),
            other => unreachable!("no dump has {other}"),
        };
        says.push(format!("Entry {n}: {}", signs(flags.into_iter())));
        says.push(format!(
            "BAR Equivalent Indicator: {bar} PrimaryProperties: {}",
            entry.primary.name().unwrap()
        ));
        says.push(format!(
            "SecondaryProperties: {}",
            entry.secondary.name().unwrap()
        ));
        says.push(format!("Base: {:x} MaxOffset: ", entry.base));
        says.push(format!("{:08x}", entry.max_offset));
    }
    says
}

fn aer(body: &Aer) -> Vec<String> {
    // lspci 3.9 ends at ACSViol.
    let errors = |title: &str, flags: String| {
        let end = flags.find(" UncorrIntErr").unwrap();
        format!("{title}: {}", &flags[..end])
    };
    let correctable = |title: &str, flags: String| {
        let end = flags.find(" CorrIntErr").unwrap();
        format!("{title}: {}", &flags[..end])
    };
    let [a, b, c, d] = body.header_log;
    let mut says = vec![
        errors("UESta", body.uncorrectable_status.to_string()),
        errors("UEMsk", body.uncorrectable_mask.to_string()),
        errors("UESvrt", body.uncorrectable_severity.to_string()),
        correctable("CESta", body.correctable_status.to_string()),
        correctable("CEMsk", body.correctable_mask.to_string()),
        format!(
            "AERCap: First Error Pointer: {:02x}, {}",
            body.control.first_error(),
            body.control
        ),
        format!("HeaderLog: {a:08x} {b:08x} {c:08x} {d:08x}"),
    ];
    if let Some(root) = &body.root {
        let names = ["CERptEn", "NFERptEn", "FERptEn"];
        let bits = names
            .into_iter()
            .zip([1, 2, 4].map(|bit| root.command & bit != 0));
        says.push(format!("RootCmd: {}", signs(bits)));
        says.push(format!(
            "RootSta: {} IntMsg {}",
            root.status,
            root.status.interrupt_message()
        ));
        says.push(format!(
            "ErrorSrc: ERR_COR: {:04x} ERR_FATAL/NONFATAL: {:04x}",
            root.correctable_source, root.uncorrectable_source
        ));
    }
    says
}

fn acs(body: &Acs<'_>) -> Vec<String> {
    let flags = |flags: String| flags[..flags.find(" IOReqBlk").unwrap()].to_owned();
    vec![
        format!("ACSCap: {}", flags(body.capabilities.to_string())),
        format!("ACSCtl: {}", flags(body.control.to_string())),
    ]
}

fn ari(body: &Ari) -> Vec<String> {
    vec![
        format!(
            "ARICap: {}, Next Function: {}",
            body.capabilities, body.next_function
        ),
        format!(
            "ARICtl: {}, Function Group: {}",
            body.control, body.function_group
        ),
    ]
}

fn ats(body: &Ats) -> Vec<String> {
    let enable = signs([("Enable", body.enabled)].into_iter());
    let stu = body.smallest_translation_unit;
    let depth = body.invalidate_queue_depth % 32; // lspci shows the register, where 0 is 32.
    vec![
        format!("Invalidate Queue Depth: {depth:02x}"),
        format!("ATSCtl: {enable}, Smallest Translation Unit: {stu:02x}"),
    ]
}

fn sr_iov(body: &SrIov) -> Vec<String> {
    let migration = signs([("Migration", body.status & 1 != 0)].into_iter());
    let capabilities = body
        .capabilities
        .names()
        .filter(|(name, _)| *name != "ARIPreserved");
    let mut says = vec![
        format!(
            "IOVCap: {} Interrupt Message Number: {:03x}",
            signs(capabilities),
            body.capabilities.interrupt_message()
        ),
        format!("IOVCtl: {}", body.control),
        format!("IOVSta: {migration}"),
        format!(
            "Initial VFs: {}, Total VFs: {}, Number of VFs: {}, Function Dependency Link: {:02x}",
            body.initial_vfs, body.total_vfs, body.num_vfs, body.dependency_link
        ),
        format!(
            "VF offset: {}, stride: {}, Device ID: {:04x}",
            body.first_vf_offset, body.vf_stride, body.vf_device_id
        ),
        format!(
            "Supported Page Size: {:08x}, System Page Size: {:08x}",
            body.supported_page_sizes, body.system_page_size
        ),
        format!(
            "VF Migration: offset: {:08x}, BIR: {}",
            body.migration_state.offset, body.migration_state.bar
        ),
    ];
    for bar in body.vf_bars() {
        let bar = bar.unwrap();
        says.push(format!(
            "Region {}: Memory at {:016x} (64-bit, ",
            bar.index, bar.address
        ));
    }
    says
}

fn pri(body: &Pri) -> Vec<String> {
    vec![
        format!("PRICtl: {}", body.control),
        format!("PRISta: {}", signs(body.status.names().take(3))), // lspci 3.9 ends there.
        format!(
            "Page Request Capacity: {:08x}, Page Request Allocation: {:08x}",
            body.capacity, body.allocation
        ),
    ]
}

fn pasid(body: &Pasid) -> Vec<String> {
    let flags = body
        .capabilities
        .names()
        .filter(|(name, _)| *name != "Enable");
    vec![
        format!(
            "PASIDCap: {}, Max PASID Width: {:02x}",
            signs(flags),
            body.max_width
        ),
        format!("PASIDCtl: {}", body.control),
    ]
}

fn ltr(body: &Ltr) -> Vec<String> {
    vec![
        format!(
            "Max snoop latency: {}ns",
            body.max_snoop.nanoseconds().unwrap()
        ),
        format!(
            "Max no snoop latency: {}ns",
            body.max_no_snoop.nanoseconds().unwrap()
        ),
    ]
}

fn resizable(body: &ResizableBars) -> Vec<String> {
    let size = |bytes: u64| {
        let unit = (bytes.trailing_zeros() - 20) / 10;
        let name = ["MB", "GB", "TB", "PB", "EB"]
            .into_iter()
            .nth(usize::try_from(unit).unwrap());
        format!("{}{}", bytes >> (20 + 10 * unit), name.unwrap())
    };
    let bar = |bar: &io_core::pci::capability::ResizableBar| {
        let sizes: Vec<_> = bar.sizes().map(size).collect();
        let now = size(bar.size().unwrap());
        format!(
            "BAR {}: current size: {now}, supported: {}",
            bar.bar,
            sizes.join(" ")
        )
    };
    body.bars.iter().map(bar).collect()
}

fn dpc(body: &Dpc) -> Vec<String> {
    let flags = body.capabilities.to_string();
    let (flags, active) = flags.rsplit_once(' ').unwrap();
    let status = body.status.to_string();
    let (trigger, rest) = status.split_once(' ').unwrap();
    vec![
        format!(
            "DpcCap: INT Msg #{}, {flags} RP PIO Log {}, {active}",
            body.capabilities.interrupt_message(),
            body.capabilities.log_size()
        ),
        format!(
            "DpcCtl: Trigger:{} {}",
            body.control.trigger(),
            body.control
        ),
        format!(
            "DpcSta: {trigger} Reason:{:02x} {rest}",
            body.status.reason()
        ),
        format!(
            "TriggerExt:{:02x} RP PIO ErrPtr:{:02x}",
            body.status.reason_extension(),
            body.status.first_error()
        ),
        format!("Source: {:04x}", body.source),
    ]
}

fn doe(body: &Doe) -> Vec<String> {
    let interrupt = signs(body.control.names().filter(|(name, _)| *name == "IntEn"));
    let mut says = vec![
        format!("DOECap: {}", body.capabilities),
        format!("DOECtl: {interrupt}"),
        format!("DOESta: {}", body.status),
    ];
    if body.capabilities.bits() & 1 != 0 {
        let number = body.capabilities.interrupt_message();
        says.push(format!("Interrupt Message Number {number:03x}"));
    }
    says
}
