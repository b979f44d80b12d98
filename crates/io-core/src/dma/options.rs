//! What memory for devices is to be like.

use super::Iova;

/// Who may write to memory that is mapped for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum DmaDirection {
    /// The device reads it.
    ToDevice,
    /// The device writes it. Linux's driver of Intel's IOMMU lets it read too.
    FromDevice,
    /// The device reads and writes it.
    #[default]
    Both,
}

/// The size of the pages that a buffer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum PageSize {
    /// The processor's smallest: 4 KiB on x86-64.
    #[default]
    Base,
    /// 2 MiB, from the kernel's pool of huge pages.
    Huge2M,
    /// 1 GiB, from the kernel's pool of huge pages.
    Huge1G,
}

impl PageSize {
    /// The number of bytes that a length is rounded up to, for huge pages.
    #[must_use]
    pub const fn huge_bytes(self) -> Option<usize> {
        match self {
            Self::Base => None,
            Self::Huge2M => Some(1 << 21),
            Self::Huge1G => Some(1 << 30),
        }
    }
}

/// What a buffer or a mapping is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DmaOptions {
    pub(super) direction: DmaDirection,
    pub(super) bits: u32,
    pub(super) iova: Option<Iova>,
    pub(super) pages: PageSize,
    pub(super) fallback: bool,
}

impl Default for DmaOptions {
    /// Both directions, 64 address bits, any address, small pages.
    fn default() -> Self {
        Self {
            direction: DmaDirection::Both,
            bits: 64,
            iova: None,
            pages: PageSize::Base,
            fallback: false,
        }
    }
}

impl DmaOptions {
    /// In this direction.
    #[must_use]
    pub const fn direction(self, direction: DmaDirection) -> Self {
        Self { direction, ..self }
    }

    /// For a device with so many address bits.
    #[must_use]
    pub const fn address_bits(self, bits: u32) -> Self {
        Self { bits, ..self }
    }

    /// At this address, which has to be within the [address bits](Self::address_bits).
    #[must_use]
    pub const fn at(self, iova: Iova) -> Self {
        Self {
            iova: Some(iova),
            ..self
        }
    }

    /// Of pages of this size; if the kernel has none left, that is an error.
    #[must_use]
    pub const fn pages(self, pages: PageSize) -> Self {
        Self {
            pages,
            fallback: false,
            ..self
        }
    }

    /// Of pages of this size or, if the kernel has none left, of small ones, which the log tells.
    #[must_use]
    pub const fn pages_if_possible(self, pages: PageSize) -> Self {
        Self {
            pages,
            fallback: true,
            ..self
        }
    }
}
