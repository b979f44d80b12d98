//! Memory of a replayed device: what the recorded one wrote there comes back when the driver looks.

use super::{Answer, Call, script::Script, wire::number};
use crate::{
    AccessWidth, Error, ErrorKind, Io, Region, Result, SysMem,
    dma::{DmaDirection, DmaLimits, DmaOps, DmaPages, DmaSpace, DmaTap, Iova, PageSize},
    sim::Pages,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What the recorded device saw of memory.
pub(super) fn space(limits: DmaLimits, script: &Arc<Script>) -> Result<DmaSpace> {
    let space = DmaSpace::new(Box::new(Memory(limits)))?;
    Ok(space.tapped(Arc::new(Mapped {
        script: Arc::clone(script),
        writable: Mutex::default(),
    })))
}

/// Memory of this program, which no device reaches.
#[derive(Debug)]
struct Memory(DmaLimits);

#[expect(unsafe_code, reason = "implements an unsafe method that does nothing")]
impl DmaOps for Memory {
    fn limits(&self) -> Result<DmaLimits> {
        Ok(self.0.clone())
    }

    fn pages(&self, len: usize, pages: PageSize) -> Result<Box<dyn DmaPages>> {
        let unit = pages.huge_bytes().unwrap_or(1);
        let whole = len.checked_next_multiple_of(unit);
        let granule = usize::try_from(self.0.granule()).ok();
        let whole = whole.and_then(|len| len.checked_next_multiple_of(granule?));
        let whole = whole.ok_or_else(|| {
            let message = format!("cannot allocate {len:#x} bytes");
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        Ok(Box::new(Pages::new(whole, None)?))
    }

    unsafe fn map(&self, _: *mut u8, _: usize, _: Iova, _: DmaDirection) -> Result<()> {
        Ok(())
    }

    fn unmap(&self, _: Iova, _: usize) -> Result<()> {
        Ok(())
    }
}

/// Stands between a driver and that memory.
#[derive(Debug)]
struct Mapped {
    script: Arc<Script>,
    /// What was in the buffers that the device may write to when the driver looked last.
    writable: Mutex<HashMap<Iova, Vec<u8>>>,
}

impl Mapped {
    fn writable(&self) -> MutexGuard<'_, HashMap<Iova, Vec<u8>>> {
        self.writable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes memory what it was when the recorded driver looked: all of it, as the device may have made what it was before
    /// of what the driver wrote meanwhile.
    fn restore(&self, iova: Iova, view: SysMem<'_, Region>) -> Result<()> {
        let call = Call::Look(iova);
        let wrong = || self.script.wrong(&call);
        let Answer::Memory(runs) = self.script.perform(&call)? else {
            return Err(wrong());
        };
        let mut writable = self.writable();
        let content = writable.entry(iova).or_default();
        for (at, bytes) in runs {
            let start = usize::try_from(at).map_err(|_| wrong())?;
            let range = start..start.saturating_add(bytes.len());
            let part = content.get_mut(range).ok_or_else(wrong)?;
            part.copy_from_slice(&bytes);
        }
        let restored = view.copy_from_slice(0, content, AccessWidth::Auto);
        restored.map_err(|_| wrong())
    }
}

impl DmaTap for Mapped {
    fn pages(
        &self,
        len: usize,
        make: &mut dyn FnMut() -> Result<Box<dyn DmaPages>>,
    ) -> Result<Box<dyn DmaPages>> {
        match self.script.glance(&Call::Allocate(number(len))) {
            Some(Answer::Failed(failure)) => Err(failure.into()),
            _ => make(),
        }
    }

    fn map(
        &self,
        len: usize,
        direction: DmaDirection,
        content: Option<&dyn Fn() -> Vec<u8>>,
        _: &mut dyn FnMut() -> Result<Iova>,
    ) -> Result<Iova> {
        let call = Call::Map(number(len), direction);
        let iova = match self.script.perform(&call)? {
            Answer::Iova(iova) => iova,
            Answer::Failed(failure) => return Err(failure.into()),
            _ => return Err(self.script.wrong(&call)),
        };
        if let Some(content) = content.filter(|_| direction != DmaDirection::ToDevice) {
            self.writable().insert(iova, content());
        }
        Ok(iova)
    }

    fn unmap(&self, iova: Iova, _: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.writable().remove(&iova);
        match self.script.glance(&Call::Unmap(iova)) {
            Some(Answer::Failed(failure)) => Err(failure.into()),
            _ => Ok(()),
        }
    }

    fn look(&self, iova: Iova, view: SysMem<'_, Region>) {
        // What is wrong, the deviation says, and so does the next access.
        let is_writable = self.writable().contains_key(&iova);
        if is_writable {
            _ = self.restore(iova, view);
        }
    }
}
