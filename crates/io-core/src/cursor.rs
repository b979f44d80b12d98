//! A place in a region that moves on with every copy.

use crate::{AccessError, AccessWidth, Io, Region, SysOrIoMap};

/// A place in a region that moves on with every copy, and never past the end.
///
/// It takes the place of `iosys_map_incr`, which moves a pointer and forgets where it ends.
///
/// ```
/// use io_core::{AccessWidth, Cursor, Region, SysMem};
///
/// let mut memory = [0u64; 2];
/// let region = Region::try_from_raw_parts(memory.as_mut_ptr().cast(), 16)?;
/// // SAFETY: `memory` is live, and nothing else uses it, for as long as `cursor` is used.
/// let mut cursor = Cursor::new(unsafe { SysMem::from_raw(region) }.into(), AccessWidth::Auto);
/// cursor.write(b"header")?;
/// cursor.fill(2, 0)?;
/// cursor.write(b"payload")?;
/// assert_eq!((cursor.position(), cursor.remaining()), (15, 1));
/// assert!(cursor.write(b"more").is_err());
/// assert_eq!(cursor.position(), 15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    map: SysOrIoMap<'a, Region>,
    width: AccessWidth,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `map`, which copies by accesses of `width`.
    #[must_use]
    pub const fn new(map: SysOrIoMap<'a, Region>, width: AccessWidth) -> Self {
        Self {
            map,
            width,
            position: 0,
        }
    }

    /// Where it is, in bytes from the start.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes there are from here to the end.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.map.size().saturating_sub(self.position)
    }

    /// Copies `src` to this place, and moves behind it.
    ///
    /// # Errors
    ///
    /// As for [`Io::copy_from_slice`]. Nothing is written then, and the cursor stays.
    pub fn write(&mut self, src: &[u8]) -> Result<(), AccessError> {
        self.map.copy_from_slice(self.position, src, self.width)?;
        self.position += src.len();
        Ok(())
    }

    /// Copies from this place into the whole of `dst`, and moves behind what was read.
    ///
    /// # Errors
    ///
    /// As for [`Io::copy_to_slice`]. Nothing is read then, and the cursor stays.
    pub fn read(&mut self, dst: &mut [u8]) -> Result<(), AccessError> {
        self.map.copy_to_slice(self.position, dst, self.width)?;
        self.position += dst.len();
        Ok(())
    }

    /// Sets `len` bytes from this place on to `byte`, and moves behind them.
    ///
    /// # Errors
    ///
    /// As for [`Io::fill`]. Nothing is written then, and the cursor stays.
    pub fn fill(&mut self, len: usize, byte: u8) -> Result<(), AccessError> {
        self.map.fill(self.position, len, byte, self.width)?;
        self.position += len;
        Ok(())
    }
}
