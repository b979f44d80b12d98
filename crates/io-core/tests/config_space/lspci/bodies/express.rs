//! What lspci says of PCI Express.

use super::signs;
use io_core::pci::capability::{
    PciExpress, PortType,
    pcie::{Aspm, Device, Device2, Link, Link2, Root, Slot},
};

pub fn fragments(body: &PciExpress) -> Vec<String> {
    let slot = match (body.port_type, body.slot_implemented) {
        (PortType::ROOT_PORT | PortType::DOWNSTREAM_PORT, true) => " (Slot+)",
        (PortType::ROOT_PORT | PortType::DOWNSTREAM_PORT, false) => " (Slot-)",
        _ => "",
    };
    let (version, port) = (body.version, body.port_type);
    let mut says = vec![format!(
        "Express (v{version}) {port}{slot}, MSI {:02x}",
        body.interrupt_message
    )];
    says.extend(device(&body.device, port));
    says.extend(body.link.iter().flat_map(|link| self::link(link, port)));
    says.extend(body.slot.iter().flat_map(self::slot));
    says.extend(body.root.iter().flat_map(root));
    says.extend(body.device2.iter().flat_map(|device| device2(device, port)));
    says.extend(body.link2.iter().flat_map(link2));
    says
}

fn device(device: &Device, port: PortType) -> Vec<String> {
    let (can, does) = (device.capabilities, device.control);
    let mut says = vec![
        format!(
            "DevCap: MaxPayload {} bytes, PhantFunc {}",
            can.max_payload().unwrap(),
            can.phantom_functions()
        ),
        // lspci writes of FLReset only where it can be.
        format!("DevCtl: {}", some(does.names(), 0..4)),
        some(does.names(), 4..9),
        format!(
            "MaxPayload {} bytes, MaxReadReq {} bytes",
            does.max_payload().unwrap(),
            does.max_read_request().unwrap()
        ),
        format!("DevSta: {}", device.status),
    ];
    if port == PortType::ENDPOINT {
        const L0S: [&str; 8] = [
            "<64ns",
            "<128ns",
            "<256ns",
            "<512ns",
            "<1us",
            "<2us",
            "<4us",
            "unlimited",
        ];
        const L1: [&str; 8] = [
            "<1us",
            "<2us",
            "<4us",
            "<8us",
            "<16us",
            "<32us",
            "<64us",
            "unlimited",
        ];
        let (l0s, l1) = (can.l0s_latency(), can.l1_latency());
        says.push(format!(
            "Latency L0s {}, L1 {}",
            L0S[usize::from(l0s)],
            L1[usize::from(l1)]
        ));
        says.push(format!(
            "{} SlotPowerLimit {}",
            can,
            watts(can.slot_power_limit())
        ));
    }
    says
}

fn link(link: &Link, port: PortType) -> Vec<String> {
    let can = link.capabilities;
    let aspm = aspm(can.aspm()).unwrap_or("not supported");
    let control = link.control.aspm();
    let control = match self::aspm(control) {
        Some(states) => format!("{states} Enabled"),
        None => "Disabled".to_owned(),
    };
    let boundary = match port {
        PortType::UPSTREAM_PORT | PortType::DOWNSTREAM_PORT => String::new(),
        _ => format!(" RCB {} bytes,", link.control.read_completion_boundary()),
    };
    vec![
        format!(
            "LnkCap: Port #{}, Speed {}, Width x{}, ASPM {aspm}",
            can.port(),
            can.speed(),
            can.width()
        ),
        exit_latency(link),
        can.to_string(),
        format!("LnkCtl: ASPM {control};{boundary} {}", link.control),
        format!("LnkSta: Speed {}", link.status.speed()),
        format!(", Width x{}", link.status.width()),
        link.status.to_string(),
    ]
}

fn exit_latency(link: &Link) -> String {
    const L0S: [&str; 8] = [
        "<64ns", "<128ns", "<256ns", "<512ns", "<1us", "<2us", "<4us", ">4us",
    ];
    const L1: [&str; 8] = [
        "<1us", "<2us", "<4us", "<8us", "<16us", "<32us", "<64us", ">64us",
    ];
    let can = link.capabilities;
    let l0s = format!("L0s {}", L0S[usize::from(can.l0s_exit_latency())]);
    let l1 = format!("L1 {}", L1[usize::from(can.l1_exit_latency())]);
    match (can.aspm().l0s, can.aspm().l1) {
        (true, true) => format!("Exit Latency {l0s}, {l1}"),
        (true, false) => format!("Exit Latency {l0s}"),
        (false, true) => format!("Exit Latency {l1}"),
        (false, false) => String::new(),
    }
}

fn aspm(aspm: Aspm) -> Option<&'static str> {
    match (aspm.l0s, aspm.l1) {
        (true, true) => Some("L0s L1"),
        (true, false) => Some("L0s"),
        (false, true) => Some("L1"),
        (false, false) => None,
    }
}

fn slot(slot: &Slot) -> Vec<String> {
    const INDICATOR: [&str; 4] = ["Unknown", "On", "Blink", "Off"];
    let can = slot.capabilities;
    let [attention, power] = [
        slot.control.attention_indicator(),
        slot.control.power_indicator(),
    ]
    .map(|n| INDICATOR[usize::from(n)]);
    let changed = some(slot.status.names(), 6..9).replace("Changed", "");
    vec![
        format!("SltCap: {}", some(can.names(), 0..7)),
        format!(
            "Slot #{}, PowerLimit {}; {}",
            can.physical_number(),
            watts(can.power_limit()),
            some(can.names(), 7..9)
        ),
        format!("Enable: {}", some(slot.control.names(), 0..7)),
        format!(
            "Control: AttnInd {attention}, PwrInd {power}, {}",
            some(slot.control.names(), 7..9)
        ),
        format!(
            "Status: {} Changed: {changed}",
            some(slot.status.names(), 0..6)
        ),
    ]
}

fn root(root: &Root) -> Vec<String> {
    vec![
        format!("RootCap: {}", root.capabilities),
        format!("RootCtl: {}", root.control),
        format!(
            "RootSta: PME ReqID {:04x}, {}",
            root.status.pme_requester(),
            root.status
        ),
    ]
}

fn device2(device: &Device2, port: PortType) -> Vec<String> {
    let can = device.capabilities;
    let letters = ["A", "B", "C", "D"].into_iter().enumerate();
    let ranges: String = letters
        .filter(|(n, _)| can.completion_timeout_ranges() & 1 << n != 0)
        .map(|(_, letter)| letter)
        .collect();
    let ranges = match ranges.as_str() {
        "" => "Not Supported".to_owned(),
        ranges => format!("Range {ranges}"),
    };
    let obff = [
        "Not Supported",
        "Via message",
        "Via WAKE#",
        "Via message/WAKE#",
    ];
    let all: Vec<_> = can.names().collect();
    let named =
        |names: &[&str]| signs(all.iter().copied().filter(|(name, _)| names.contains(name)));
    let mut says = vec![
        format!(
            "DevCap2: Completion Timeout: {ranges}, {}",
            named(&["TimeoutDis"])
        ),
        named(&["NROPrPrP", "LTR"]),
        format!(
            "{} OBFF {}, {}",
            named(&["10BitTagComp", "10BitTagReq"]),
            obff[usize::from(can.obff())],
            named(&["ExtFmt", "EETLPPrefix"])
        ),
        format!(
            "EmergencyPowerReduction Not Supported, {}",
            named(&["EmergencyPowerReductionInit"])
        ),
        named(&["FRS"]),
    ];
    assert_eq!(can.emergency_power_reduction(), 0);
    if all.contains(&("EETLPPrefix", true)) {
        says.push(format!(
            "MaxEETLPPrefixes {}",
            can.max_end_to_end_prefixes()
        ));
    }
    if matches!(port, PortType::ENDPOINT | PortType::ROOT_PORT) {
        let tph = [
            ("TPHComp", can.tph_completer() & 1 != 0),
            ("ExtTPHComp", can.tph_completer() & 2 != 0),
        ];
        says.push(signs(tph.into_iter()));
        let control: Vec<_> = device
            .control
            .names()
            .filter(|(name, _)| *name == "ReqEn")
            .collect();
        says.push(format!("AtomicOpsCtl: {}", signs(control.into_iter())));
    }
    if port == PortType::ROOT_PORT {
        says.push(format!(
            "AtomicOpsCap: {}",
            named(&["Routing", "32bit", "64bit", "128bitCAS"])
        ));
    }
    says.extend(control2(device));
    says
}

fn control2(device: &Device2) -> Vec<String> {
    let timeout = match device.control.completion_timeout() {
        0x0 => "50us to 50ms",
        0x5 => "16ms to 55ms",
        0x9 => "260ms to 900ms",
        0x6 => "65ms to 210ms",
        other => unreachable!("no dump has {other:#x}"),
    };
    let obff = ["Disabled", "Via message A", "Via message B", "Via WAKE#"];
    let all: Vec<_> = device.control.names().collect();
    let named =
        |names: &[&str]| signs(all.iter().copied().filter(|(name, _)| names.contains(name)));
    vec![format!(
        "DevCtl2: Completion Timeout: {timeout}, {} OBFF {},",
        named(&["TimeoutDis", "LTR", "10BitTagReq"]),
        obff[usize::from(device.control.obff())]
    )]
}

fn link2(link: &Link2) -> Vec<String> {
    let speeds: Vec<_> = link.capabilities.speeds().collect();
    let deemphasis = match link.status.bits() & 1 {
        0 => "6",
        _ => "3.5",
    };
    let mut says = vec![
        format!(
            "LnkCtl2: Target Link Speed: {}, {}",
            link.control.target_speed(),
            some(link.control.names(), 0..2)
        ),
        some(link.control.names(), 3..5),
        format!(
            "Current De-emphasis Level: -{deemphasis}dB, {}",
            some(link.status.names(), 1..6)
        ),
        some(link.status.names(), 6..8),
    ];
    assert_eq!(
        (
            link.control.transmit_margin(),
            link.control.compliance_preset()
        ),
        (0, 0)
    );
    assert_eq!(link.status.crosslink_resolution(), 0);
    if let [first, .., last] = speeds[..] {
        let first = first.to_string().replace("GT/s", "");
        says.push(format!(
            "Supported Link Speeds: {first}-{last}, {}",
            link.capabilities
        ));
    }
    says
}

fn watts(milliwatts: u32) -> String {
    assert_eq!(milliwatts % 1000, 0, "no dump has a fraction");
    format!("{}W", milliwatts / 1000)
}

fn some(
    flags: impl Iterator<Item = (&'static str, bool)>,
    range: std::ops::Range<usize>,
) -> String {
    signs(flags.skip(range.start).take(range.len()))
}
