//! Reading the fields of a capability.

use std::{error, fmt};

/// Why a capability cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It has fewer bytes than its layout needs: what was read ends, or another capability starts.
    Truncated {
        /// Where it starts.
        offset: u16,
        /// How many bytes it needs at least.
        need: usize,
        /// How many bytes it has.
        have: usize,
    },
    /// It contradicts itself.
    Invalid {
        /// Where it starts.
        offset: u16,
        /// In what way: a part of a sentence.
        reason: &'static str,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset, need, have } => write!(
                f,
                "the capability at {offset:#04x} needs {need} bytes, and has {have} before the end or the next one"
            ),
            Self::Invalid { offset, reason } => {
                write!(
                    f,
                    "the capability at {offset:#04x} makes no sense: {reason}"
                )
            }
        }
    }
}

impl error::Error for BodyError {}

/// The bytes of a capability, whose fields are counted from its start.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) offset: u16,
    pub(super) bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn read8(self, at: usize) -> Result<u8, BodyError> {
        self.array(at).map(|[byte]| byte)
    }

    pub(super) fn read16(self, at: usize) -> Result<u16, BodyError> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn read32(self, at: usize) -> Result<u32, BodyError> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// The bytes from `start` up to `end`, which the capability itself says that it has.
    pub(super) fn range(self, start: usize, end: usize) -> Result<&'a [u8], BodyError> {
        if end < start {
            return Err(self.invalid("its length is less than that of its header"));
        }
        self.bytes.get(start..end).ok_or(self.truncated(end))
    }

    /// Whether there are `len` bytes.
    pub(super) fn has(self, len: usize) -> bool {
        len <= self.bytes.len()
    }

    pub(super) fn invalid(self, reason: &'static str) -> BodyError {
        BodyError::Invalid {
            offset: self.offset,
            reason,
        }
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], BodyError> {
        let found = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        found.copied().ok_or(self.truncated(at + N))
    }

    fn truncated(self, need: usize) -> BodyError {
        BodyError::Truncated {
            offset: self.offset,
            need,
            have: self.bytes.len(),
        }
    }
}
