//! Interrupts and events of a replayed device.

use super::{Answer, Call, line::Line, script::Script};
use crate::{
    Result,
    event::{DeviceEvent, DeviceWatch},
    irq::{Interrupt, InterruptKind},
};
use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
    time::Duration,
};

/// A vector. It waits for nothing but its turn.
#[derive(Debug)]
pub(super) struct ReplayedInterrupt {
    pub(super) script: Arc<Script>,
    pub(super) line: Arc<Line>,
    pub(super) kind: InterruptKind,
    pub(super) vector: u32,
}

impl Interrupt for ReplayedInterrupt {
    fn kind(&self) -> InterruptKind {
        self.kind
    }

    fn vector(&self) -> u32 {
        self.vector
    }

    fn wait(&self, _: Duration) -> Result<Option<u64>> {
        let call = Call::Wait(self.kind, self.vector);
        match self.script.perform(&call)? {
            Answer::Came(count) => Ok(count),
            Answer::Failed(failure) => Err(failure.into()),
            _ => Err(self.script.wrong(&call)),
        }
    }

    fn mask(&self) -> Result<()> {
        self.script.done(&Call::Mask(self.kind, self.vector))
    }

    fn unmask(&self) -> Result<()> {
        self.script.done(&Call::Unmask(self.kind, self.vector))
    }

    fn trigger(&self) -> Result<()> {
        self.script.done(&Call::Trigger(self.kind, self.vector))
    }
}

impl Drop for ReplayedInterrupt {
    fn drop(&mut self) {
        self.script.glance(&Call::Disable(self.kind, self.vector));
    }
}

impl AsFd for ReplayedInterrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.ends.0.as_fd()
    }
}

impl AsRawFd for ReplayedInterrupt {
    fn as_raw_fd(&self) -> RawFd {
        self.line.ends.0.as_raw_fd()
    }
}

/// A watch. It waits for nothing but its turn.
#[derive(Debug)]
pub(super) struct ReplayedWatch {
    pub(super) script: Arc<Script>,
    pub(super) line: Arc<Line>,
}

impl DeviceWatch for ReplayedWatch {
    fn wait(&self, _: Duration) -> Result<Option<DeviceEvent>> {
        match self.script.perform(&Call::WaitForEvent)? {
            Answer::Event(event) => Ok(event),
            Answer::Failed(failure) => Err(failure.into()),
            _ => Err(self.script.wrong(&Call::WaitForEvent)),
        }
    }

    fn trigger(&self, event: DeviceEvent) -> Result<()> {
        self.script.done(&Call::TriggerEvent(event))
    }
}

impl Drop for ReplayedWatch {
    fn drop(&mut self) {
        self.script.glance(&Call::Unwatch);
    }
}

impl AsFd for ReplayedWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.ends.0.as_fd()
    }
}

impl AsRawFd for ReplayedWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.line.ends.0.as_raw_fd()
    }
}
