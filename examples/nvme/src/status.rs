//! What a controller says of a command that it has carried out, or has not.

use io_core::bitfield;
use std::fmt;

bitfield! {
    /// The status field of a completion (NVM Express Base 2.0 section 3.3.3.2), with the phase tag below it.
    pub struct Status(u16) {
        /// It would fail again.
        15:15 do_not_retry => bool;
        /// Which table [`code`](Self::code) is from.
        11:9 code_type;
        /// 0, of type 0: it succeeded.
        8:1 code => u8;
        /// Changes each time the controller goes through the queue.
        0:0 phase => bool;
    }
}

impl Status {
    /// Whether the command was carried out.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.code_type() == 0 && self.code() == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, code) = (self.code_type().into(), self.code());
        match meaning(kind, code) {
            Some(meaning) => f.write_str(meaning)?,
            None => f.write_str("a status that this driver has no words for")?,
        }
        write!(f, " (type {kind}, code {code:#04x}")?;
        if self.do_not_retry() {
            f.write_str("; it would fail again")?;
        }
        f.write_str(")")
    }
}

/// What a status means (NVM Express Base 2.0 section 3.3.3.2.1, NVM Command Set 1.0 section 3.1.1).
fn meaning(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (0, 0x00) => "success",
        (0, 0x01) => "it does not know the command",
        (0, 0x02) => "a field of the command is invalid",
        (0, 0x03) => "another command has the same identifier",
        (0, 0x04) => "it could not transfer the data",
        (0, 0x05) => "it was told that the power goes",
        (0, 0x06) => "it has an internal error",
        (0, 0x07 | 0x08 | 0x1b) => "the command was aborted",
        (0, 0x0b) => "there is no such namespace, or its format does not do",
        (0, 0x0c) => "the command came out of order",
        (0, 0x13) => "an address of a data page is not aligned",
        (0, 0x1d) => "the drive is being sanitized",
        (0, 0x20) => "the namespace is write-protected",
        (0, 0x80) => "the blocks are not all within the namespace",
        (0, 0x81) => "the namespace has no capacity left",
        (0, 0x82) => "the namespace is not ready",
        (0, 0x83) => "another host has reserved the namespace",
        (0, 0x84) => "the namespace is being formatted",
        (1, 0x00) => "there is no such completion queue",
        (1, 0x01) => "the number of the queue is invalid",
        (1, 0x02) => "the size of the queue is invalid",
        (1, 0x08) => "there is no such interrupt vector",
        (1, 0x0c) => "the queue cannot be deleted now",
        (1, 0x82) => "the blocks are read-only",
        (2, 0x80) => "the medium could not be written",
        (2, 0x81) => "the medium could not be read",
        (2, 0x82..=0x84) => "the protection information does not match the data",
        (2, 0x85) => "the data differ",
        (2, 0x86) => "access to the blocks is denied",
        (2, 0x87) => "the blocks have never been written",
        (3, _) => "the path to the drive has a problem",
        (7, _) => "the vendor knows what",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_a_sentence() {
        // As in a completion: DNR is bit 15, SCT 11:9, SC 8:1, and the phase tag bit 0 (Base 2.0, figure 90).
        let status = |raw| Status::from(raw).to_string();
        assert_eq!(
            status(0x8000 | 0x80 << 1 | 1),
            "the blocks are not all within the namespace (type 0, code 0x80; it would fail again)"
        );
        assert_eq!(
            status(2 << 9 | 0x81 << 1),
            "the medium could not be read (type 2, code 0x81)"
        );
        assert_eq!(
            status(5 << 9 | 0x12 << 1),
            "a status that this driver has no words for (type 5, code 0x12)"
        );
    }

    #[test]
    fn the_phase_tag_is_no_part_of_success() {
        assert!(Status::from(1).is_success() && Status::from(0).is_success());
        assert!(!Status::from(1 << 1).is_success() && !Status::from(1 << 9).is_success());
    }
}
