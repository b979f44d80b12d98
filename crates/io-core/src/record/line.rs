//! The descriptors of a replayed device, which are readable when it is their turn.

use super::Call;
use crate::{Error, Result};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Weak},
};

/// A descriptor that is readable when what it is for comes next.
#[derive(Debug)]
pub(super) struct Line {
    call: Call,
    /// The end that is readable then, and the one that makes it so.
    pub(super) ends: (UnixStream, UnixStream),
}

/// Those that are in use.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Each, and whether it is readable.
    all: Vec<(Weak<Line>, bool)>,
}

impl Lines {
    pub(super) fn add(&mut self, call: Call) -> Result<Arc<Line>> {
        let cannot = |e| Error::from_os("cannot make the descriptor of an event", e);
        let ends = UnixStream::pair().map_err(cannot)?;
        ends.0.set_nonblocking(true).map_err(cannot)?;
        let line = Arc::new(Line { call, ends });
        self.all.push((Arc::downgrade(&line), false));
        Ok(line)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Makes the one readable whose call comes next, and no other.
    pub(super) fn light(&mut self, next: Option<&Call>) {
        self.all.retain_mut(|(line, is_lit)| {
            let Some(line) = line.upgrade() else {
                return false;
            };
            let light = next == Some(&line.call);
            if light != *is_lit {
                // There is room for one byte, and one to take.
                _ = if light {
                    (&line.ends.1).write(&[1])
                } else {
                    (&line.ends.0).read(&mut [0])
                };
                *is_lit = light;
            }
            true
        });
    }
}
