//! What must hold of any bytes taken as a configuration space. The fuzz target `config_space` and the
//! test of its corpus share it.

use io_core::pci::{
    BarError, BodyError, CapabilityList, Config, HeaderError, HeaderKind, ListErrorKind, Rom, bars,
    size_bars,
};

/// Decodes all of `bytes`, and panics if the answers contradict the bytes or each other.
pub fn config_space(bytes: &[u8]) {
    let config = Config::new(bytes);
    header(config);
    list(config, &config.capabilities(), 0x40..0x100);
    list(config, &config.extended_capabilities(), 0x100..0x1000);
    registers(bytes);
}

fn header(config: Config<'_>) {
    match config.header() {
        Err(HeaderError::Absent) => assert!(config.is_absent()),
        Err(HeaderError::Truncated { have }) => assert!(have < 64 && have == config.bytes().len()),
        Ok(header) => {
            assert!(config.bytes().len() >= 64 && !config.is_absent());
            assert_eq!(Some(header.command), config.command());
            let found = match &header.kind {
                HeaderKind::Endpoint(endpoint) => endpoint.bars(),
                HeaderKind::Bridge(bridge) => bridge.bars(),
                HeaderKind::CardBus(bridge) => bridge.bars(),
                HeaderKind::Unknown(kind) => {
                    assert!((3..0x80).contains(kind));
                    Vec::new()
                }
            };
            assert!(found.len() <= 6);
            show(&header);
            show(&header.class.name());
        }
    }
}

fn list(config: Config<'_>, list: &CapabilityList<'_>, area: std::ops::Range<u16>) {
    let mut seen = std::collections::HashSet::new();
    for capability in &list.capabilities {
        let at = usize::from(capability.offset);
        assert!(area.contains(&capability.offset) && capability.offset % 4 == 0);
        assert!(seen.insert(capability.offset), "visited twice");
        assert!(config.bytes()[at..].starts_with(capability.bytes));
        match capability.body() {
            Ok(body) => show(&body),
            Err(BodyError::Truncated { offset, need, have }) => {
                assert_eq!((offset, have), (capability.offset, capability.bytes.len()));
                assert!(need > have);
            }
            Err(BodyError::Invalid { offset, .. }) => assert_eq!(offset, capability.offset),
        }
        show(&capability.name());
    }
    if let Some(error) = list.error {
        match error.kind {
            ListErrorKind::Loop => assert!(seen.contains(&error.offset)),
            ListErrorKind::Outside => assert!(!area.contains(&error.offset)),
            ListErrorKind::AllOnes => assert_eq!(config.read8(error.offset), Some(0xff)),
            ListErrorKind::Truncated => assert!(config.read32(error.offset).is_none()),
        }
        assert!(!error.to_string().is_empty());
    }
}

/// The same bytes as base address registers, and as what they read when they are sized.
fn registers(bytes: &[u8]) {
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .take(12)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect();
    let (values, ones) = words.split_at(words.len() / 2);
    for bar in bars(values).into_iter().chain(size_bars(values, ones)) {
        match bar {
            Ok(bar) => assert!(bar.size.is_none_or(u64::is_power_of_two)),
            Err(BarError::NoUpperHalf { index }) => {
                assert_eq!(usize::from(index) + 1, values.len())
            }
            Err(error) => show(&error.to_string()),
        }
    }
    let sizes = words.iter().filter_map(|&word| Rom::size(word));
    assert!(sizes.into_iter().all(u64::is_power_of_two));
}

/// Formatting is code too.
fn show(value: &impl std::fmt::Debug) {
    assert!(!format!("{value:?}").is_empty());
}
