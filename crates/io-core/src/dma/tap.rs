//! Who stands between a driver and what its device sees of memory: a recording, or its replay.

use super::{DmaDirection, DmaPages, Iova};
use crate::{Region, Result, SysMem};
use std::fmt;

/// Who stands between a driver and a [`DmaSpace`](super::DmaSpace). Each method does what is asked for by calling its last
/// argument, or gives something in its place.
pub(crate) trait DmaTap: fmt::Debug + Send + Sync {
    /// Memory of so many bytes is asked for.
    fn pages(
        &self,
        len: usize,
        make: &mut dyn FnMut() -> Result<Box<dyn DmaPages>>,
    ) -> Result<Box<dyn DmaPages>>;

    /// Memory is mapped. It has a `content` if it is that of a [`DmaBox`](super::DmaBox), which no device has reached yet.
    fn map(
        &self,
        len: usize,
        direction: DmaDirection,
        content: Option<&dyn Fn() -> Vec<u8>>,
        map: &mut dyn FnMut() -> Result<Iova>,
    ) -> Result<Iova>;

    /// What was mapped there is unmapped.
    fn unmap(&self, iova: Iova, unmap: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// The driver is about to look at the memory of a buffer, on this thread.
    fn look(&self, iova: Iova, view: SysMem<'_, Region>);
}
