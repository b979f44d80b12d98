//! What a controller says of itself and of its namespaces.

use io_core::{AccessError, AccessWidth, Error, ErrorKind, Io, Region, Result, SysMem};

/// The size of the structures, in bytes.
pub const SIZE: usize = 4096;

/// One of the structures in memory.
pub type Page<'a> = SysMem<'a, Region<SIZE>>;

/// The controller (NVM Express Base 2.0 section 5.17.2.1, figure 275).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Controller {
    /// The serial number.
    pub serial: String,
    /// The model.
    pub model: String,
    /// The revision of the firmware.
    pub firmware: String,
    /// The most pages of one transfer, as a power of 2, in units of the least page size; 0 for no limit.
    pub transfer_max: u8,
    /// How many namespaces there can be.
    pub namespaces: u32,
}

impl Controller {
    pub(crate) fn parse(page: Page<'_>) -> Result<Self, AccessError> {
        Ok(Self {
            serial: text::<20>(page, 4)?,
            model: text::<40>(page, 24)?,
            firmware: text::<8>(page, 64)?,
            transfer_max: page.read8::<77>(),
            namespaces: page.read32::<516>(),
        })
    }
}

/// A namespace (NVM Command Set 1.0 section 4.1.5.1, figure 97).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// Its number.
    pub id: u32,
    /// Its size, in blocks.
    pub blocks: u64,
    /// The size of a block, in bytes.
    pub block_size: usize,
}

impl Namespace {
    /// # Errors
    ///
    /// There is no such namespace, or its blocks are not plain data.
    pub(crate) fn parse(id: u32, page: Page<'_>) -> Result<Self> {
        let unsupported = |why| {
            Error::new(
                ErrorKind::Unsupported,
                format!("cannot use namespace {id}: {why}"),
            )
        };
        let blocks = page.read64::<0>();
        if blocks == 0 {
            return Err(unsupported("there is none of this number".to_owned()));
        }
        // FLBAS: which format, with its upper bits in 6:5.
        let flbas = usize::from(page.read8::<26>());
        let format = flbas & 0xf | (flbas >> 5 & 3) << 4;
        let format = page.try_read32(128 + 4 * format)?;
        let [metadata_low, metadata_high, size, _] = format.to_le_bytes();
        let metadata = u16::from_le_bytes([metadata_low, metadata_high]);
        if metadata != 0 {
            return Err(unsupported(format!(
                "each block has {metadata} bytes of metadata"
            )));
        }
        // DPS: the type of protection information, in 2:0.
        let protection = page.read8::<29>() & 7;
        if protection != 0 {
            return Err(unsupported(format!(
                "it has protection information of type {protection}"
            )));
        }
        if !(9..=16).contains(&size) {
            return Err(unsupported(format!("its blocks have 2^{size} bytes")));
        }
        Ok(Self {
            id,
            blocks,
            block_size: 1 << size,
        })
    }
}

/// The text of `LEN` bytes at `offset`: ASCII, filled up with spaces.
fn text<const LEN: usize>(page: Page<'_>, offset: usize) -> Result<String, AccessError> {
    let mut bytes = [0; LEN];
    page.copy_to_slice(offset, &mut bytes, AccessWidth::Auto)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_core::{dma::DmaOptions, sim::SimulatedDma};

    /// What is made of a page in which these bytes are written.
    fn parse(writes: &[(usize, &[u8])]) -> Result<Namespace> {
        let space = SimulatedDma::new().space();
        let buffer = space
            .allocate(SIZE, DmaOptions::default())
            .unwrap()
            .share()
            .unwrap();
        let page = buffer.view().subview::<SIZE>(0, SIZE).unwrap();
        for (offset, bytes) in writes {
            page.copy_from_slice(*offset, bytes, AccessWidth::Auto)
                .unwrap();
        }
        Namespace::parse(1, page)
    }

    // Offsets from NVM Command Set 1.0 figure 97; a format is MS in 15:0, LBADS in 23:16 (figure 98).
    const NSZE: (usize, &[u8]) = (0, &[0, 0, 2, 0, 0, 0, 0, 0]);
    const FORMAT_0: (usize, &[u8]) = (128, &[0, 0, 9, 0]);

    #[test]
    fn the_format_in_use_is_found() {
        let plain = parse(&[NSZE, FORMAT_0]).unwrap();
        assert_eq!((plain.blocks, plain.block_size), (0x2_0000, 512));
        // Format 18 is 2 in FLBAS 3:0 and 1 in 6:5.
        let other = parse(&[
            NSZE,
            FORMAT_0,
            (26, &[0x22]),
            (128 + 4 * 18, &[0, 0, 12, 0]),
        ]);
        assert_eq!(other.unwrap().block_size, 4096);
    }

    #[test]
    fn what_is_more_than_plain_data_is_refused() {
        let error = |writes: &[_]| parse(writes).unwrap_err().to_string();
        assert_eq!(
            error(&[FORMAT_0]),
            "cannot use namespace 1: there is none of this number"
        );
        assert_eq!(
            error(&[NSZE, (128, &[8, 0, 9, 0])]),
            "cannot use namespace 1: each block has 8 bytes of metadata"
        );
        assert_eq!(
            error(&[NSZE, FORMAT_0, (29, &[0x01])]),
            "cannot use namespace 1: it has protection information of type 1"
        );
        assert_eq!(
            error(&[NSZE, (128, &[0, 0, 64, 0])]),
            "cannot use namespace 1: its blocks have 2^64 bytes"
        );
    }
}
