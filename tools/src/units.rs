//! Numbers, as people write and read them.

use std::time::Duration;

/// A number of bytes: decimal, `0x` and hexadecimal, or decimal with K, M or G (of 1024).
pub fn number(text: &str) -> Result<usize, String> {
    let explain = || {
        format!("'{text}' is no number of bytes; write it as 4096, 0x1000 or 4K (K, M, G of 1024)")
    };
    let (digits, radix, shift) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16, 0),
        None => match text.char_indices().next_back() {
            Some((at, 'K')) => (&text[..at], 10, 10),
            Some((at, 'M')) => (&text[..at], 10, 20),
            Some((at, 'G')) => (&text[..at], 10, 30),
            _ => (text, 10, 0),
        },
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(explain()); // a sign, which from_str_radix would take
    }
    let number = usize::from_str_radix(digits, radix).map_err(|_| explain())?;
    number.checked_mul(1 << shift).ok_or_else(explain)
}

/// A number of seconds, with or without decimals.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.ok_or_else(|| format!("'{text}' is no number of seconds"))
}

/// A size in the largest binary unit that shows it exactly: 64M, 4K, 200.
pub fn size(bytes: u64) -> String {
    for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] {
        if bytes >> shift != 0 && bytes % (1 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Bytes a second, in decimal units.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "three digits are shown"
)]
pub fn rate(bytes: usize, time: Duration) -> String {
    let per_second = bytes as f64 / time.as_secs_f64().max(1e-9);
    match per_second {
        r if r >= 1e9 => format!("{:.2} GB/s", r / 1e9),
        r if r >= 1e6 => format!("{:.1} MB/s", r / 1e6),
        r => format!("{:.1} kB/s", r / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_the_three_ways_that_the_help_names() {
        assert_eq!(number("4096"), Ok(4096));
        assert_eq!(number("0x1000"), Ok(4096));
        assert_eq!(number("4K"), Ok(4096));
        assert_eq!(number("1G"), Ok(1 << 30));
        for text in [
            "",
            "K",
            "0x",
            "1000h",
            "ff",
            "-1",
            "+1",
            "0x+1",
            "1.5K",
            "4k",
            "é",
            "99999999999G",
        ] {
            assert!(number(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_exact() {
        assert_eq!(size(64 << 20), "64M");
        assert_eq!(size((64 << 20) + 1024), "65537K");
        assert_eq!(size(256), "256");
        assert_eq!(size(0), "0");
        assert_eq!(size(1 << 40), "1T");
    }
}
