//! What lspci says of the same bytes, field by field.

use io_core::pci::{Bar, BarError, Config, Header, HeaderKind, Rom, Status, Window};

mod bodies;

/// Panics unless `config` says what lspci wrote: the same capabilities in the same order, and in the
/// header and in each of them every piece of text that can be made of ours.
pub fn compare(name: &str, config: Config<'_>, lspci: &str) {
    let sections: Vec<String> = lspci.split("\tCapabilities: ").map(one_line).collect();
    let (first, rest) = sections.split_first().unwrap();
    holds(name, first, &header(&config.header().unwrap(), first));
    let lists = [config.capabilities(), config.extended_capabilities()];
    assert!(lists.iter().all(|list| list.error.is_none()), "{name}");
    let capabilities: Vec<_> = lists.into_iter().flatten().collect();
    assert_eq!(capabilities.len(), rest.len(), "{name}");
    for (capability, section) in capabilities.iter().zip(rest) {
        holds(name, section, &bodies::fragments(capability));
    }
}

fn holds(name: &str, section: &str, fragments: &[String]) {
    for fragment in fragments {
        let fragment = one_line(fragment);
        assert!(
            section.contains(&fragment),
            "{name}: lspci does not say '{fragment}': {section}"
        );
    }
}

fn one_line(text: impl AsRef<str>) -> String {
    let words: Vec<_> = text.as_ref().split_whitespace().collect();
    words.join(" ")
}

fn header(header: &Header, lspci: &str) -> Vec<String> {
    let class = header.class;
    let class_name = class.name().or(class.base_name()).unwrap();
    let mut says = vec![
        format!("{class_name} [{:02x}{:02x}]: ", class.base, class.sub),
        format!("[{:04x}:{:04x}]", header.vendor_id, header.device_id),
        format!("Control: {}", header.command),
        format!("Status: {}", status(header.status, &["ImmReady"])),
    ];
    if header.revision != 0 {
        says.push(format!("(rev {:02x})", header.revision));
    }
    if let Some(interface) = class.interface_name() {
        says.push(format!("(prog-if {:02x} [{interface}])", class.interface));
    }
    if lspci.contains("Latency: ") {
        says.push(format!("Latency: {}", header.latency_timer));
    }
    if lspci.contains("Cache Line") {
        says.push(format!(
            "Cache Line Size: {} bytes",
            4 * u16::from(header.cache_line_size)
        ));
    }
    if header.interrupt_pin != 0 {
        let pin = char::from(b'@' + header.interrupt_pin);
        says.push(format!(
            "Interrupt: pin {pin} routed to IRQ {}",
            header.interrupt_line
        ));
    }
    says.extend(kind(&header.kind, lspci));
    says
}

fn kind(kind: &HeaderKind, lspci: &str) -> Vec<String> {
    match kind {
        HeaderKind::Endpoint(endpoint) => {
            let ids = (endpoint.subsystem_vendor_id, endpoint.subsystem_id);
            let mut says = regions(&endpoint.bars(), lspci);
            says.extend(subsystem(ids));
            says.extend(endpoint.rom.map(rom));
            if lspci.contains("ns min") {
                let [min, max] = [endpoint.min_gnt, endpoint.max_lat].map(|n| u32::from(n) * 250);
                says.push(format!("({min}ns min, {max}ns max)"));
            }
            says
        }
        HeaderKind::Bridge(bridge) => {
            let mut says = regions(&bridge.bars(), lspci);
            says.extend([
                format!(
                    "Bus: primary={:02x}, secondary={:02x}, subordinate={:02x}, sec-latency={}",
                    bridge.primary_bus,
                    bridge.secondary_bus,
                    bridge.subordinate_bus,
                    bridge.secondary_latency_timer
                ),
                format!("I/O behind bridge: {}", window(bridge.io)),
                format!(" Memory behind bridge: {}", window(bridge.memory)),
                format!(
                    "Prefetchable memory behind bridge: {}",
                    window(bridge.prefetchable)
                ),
                secondary(bridge.secondary_status),
                format!("BridgeCtl: {}", bridge.control),
            ]);
            says.extend(bridge.rom.map(rom));
            says
        }
        HeaderKind::CardBus(bridge) => card_bus(bridge, lspci),
        HeaderKind::Unknown(_) => unreachable!("no dump has such a header"),
    }
}

fn card_bus(bridge: &io_core::pci::CardBus, lspci: &str) -> Vec<String> {
    let mut says = regions(&bridge.bars(), lspci);
    says.push(format!(
        "Bus: primary={:02x}, secondary={:02x}, subordinate={:02x}, sec-latency={}",
        bridge.primary_bus, bridge.card_bus, bridge.subordinate_bus, bridge.card_latency_timer
    ));
    let prefetch: Vec<bool> = names(bridge.control.names(), "PrefMem");
    for (n, window) in bridge.memory.iter().enumerate() {
        let prefetch = if prefetch[n] { " (prefetchable)" } else { "" };
        says.push(format!(
            "Memory window {n}: {:08x}-{:08x}{prefetch}",
            window.base, window.limit
        ));
    }
    for (n, window) in bridge.io.iter().enumerate() {
        says.push(format!(
            "I/O window {n}: {:08x}-{:08x}",
            window.base, window.limit
        ));
    }
    let flags = bridge
        .control
        .names()
        .filter(|(name, _)| !name.starts_with("Pref"));
    says.push(format!("BridgeCtl: {}", signs(flags)));
    says.extend(bridge.subsystem.and_then(subsystem));
    says
}

fn subsystem((vendor, device): (u16, u16)) -> Option<String> {
    (vendor != 0).then(|| format!("[{vendor:04x}:{device:04x}]"))
}

fn rom(rom: Rom) -> String {
    let disabled = if rom.enabled { "" } else { " [disabled]" };
    format!("Expansion ROM at {:08x}{disabled}", rom.address)
}

fn regions(bars: &[Result<Bar, BarError>], lspci: &str) -> Vec<String> {
    // lspci 3.9 takes the upper half of a 64-bit address, if it is not 0, for one more BAR without an
    // address.
    let high = |bar: &&Result<Bar, BarError>| bar.is_ok_and(|bar| bar.address >> 32 != 0);
    let phantoms = bars.iter().filter(high).count();
    assert_eq!(
        lspci.matches("Region ").count(),
        bars.len() + phantoms,
        "{lspci}"
    );
    let region = |bar: &Result<Bar, BarError>| {
        let bar = bar.unwrap();
        let text = bar.to_string();
        let (what, rest) = text.split_once(" at ").unwrap();
        let (_, rest) = rest.split_once(' ').unwrap_or(("", ""));
        match bar.address {
            0 => format!("Region {}: {what} at <unassigned> {rest}", bar.index),
            _ => format!("Region {}: {text}", bar.index),
        }
    };
    bars.iter().map(region).collect()
}

fn window(window: Window) -> String {
    let Some(range) = window.range() else {
        return "[disabled]".to_owned();
    };
    let width = usize::from(window.bits / 4);
    let (base, limit) = range.into_inner();
    format!("{base:0width$x}-{limit:0width$x} [size=")
}

/// lspci leaves out some flags, and writes the timing of DEVSEL# between them.
fn status(status: Status, without: &[&str]) -> String {
    let devsel = ["fast", "medium", "slow"][usize::from(status.devsel())];
    let flags = status.names().filter(|(name, _)| !without.contains(name));
    signs(flags).replace(" >TAbort", &format!(" DEVSEL={devsel} >TAbort"))
}

fn secondary(secondary: Status) -> String {
    let text = status(secondary, &["Cap", "UDF", "INTx", "ImmReady"]);
    format!("Secondary status: {}", text.replace(">SERR", "<SERR"))
}

/// Flags as lspci writes them.
fn signs(flags: impl Iterator<Item = (&'static str, bool)>) -> String {
    let flags: Vec<_> = flags
        .map(|(name, set)| format!("{name}{}", if set { '+' } else { '-' }))
        .collect();
    flags.join(" ")
}

fn names(flags: impl Iterator<Item = (&'static str, bool)>, start: &str) -> Vec<bool> {
    let flags = flags.filter(|(name, _)| name.starts_with(start));
    flags.map(|(_, set)| set).collect()
}
