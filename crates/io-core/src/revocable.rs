//! What can be taken away while other threads use it.

use std::{
    fmt,
    ops::Deref,
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

#[cfg(not(loom))]
use std::sync::{RwLock, RwLockReadGuard};

#[cfg(loom)]
use loom::sync::{RwLock, RwLockReadGuard};

/// Something of a device, such as its [`Bar`](crate::Bar)s, that can be taken away while other threads use it: the kernel's
/// `Revocable`.
///
/// Threads have it for as long as they hold an [`Access`], and one that is held is waited for: nothing is unmapped under
/// a running access. So it has to be short, the accesses that belong together and no sleep; the kernel, which wants the
/// device back, waits too.
///
/// What is revoked is returned, to be dropped in the order in which a device is left: stop bus mastering, unmap what
/// it can reach, unmap its BARs, close it.
///
/// ```
/// use io_core::{Bar, Io, Revocable, sim::Ram};
///
/// let bar = Revocable::new(Bar::called(Ram::new("BAR 0 of a simulated device", 0x100)));
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         while let Some(bar) = bar.try_access() {
///             let status = bar.io::<4>()?.try_read32(0)?;
///             assert_eq!(status, 0);
///         }
///         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
///     });
///     // The device is to be removed.
///     drop(bar.revoke());
/// });
/// assert!(bar.try_access().is_none());
/// ```
pub struct Revocable<T> {
    /// Set before the lock is asked for: no access begins after that, so that those that are held come to an end.
    revoked: AtomicBool,
    inner: RwLock<Option<T>>,
}

impl<T> Revocable<T> {
    /// Holds `inner` until it is revoked.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self {
            revoked: AtomicBool::new(false),
            inner: RwLock::new(Some(inner)),
        }
    }

    /// Holds on to it; nothing once it is revoked.
    #[must_use = "it can be used as long as this is held"]
    pub fn try_access(&self) -> Option<Access<'_, T>> {
        if self.is_revoked() {
            return None;
        }
        let guard = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        guard.is_some().then_some(Access(guard))
    }

    /// Takes it away, when every [`Access`] to it has ended. Nothing if it is revoked already.
    ///
    /// A thread that holds an [`Access`] itself waits for ever.
    #[must_use = "what is revoked is dropped here, in the order that its device asks for"]
    pub fn revoke(&self) -> Option<T> {
        self.revoked.store(true, Ordering::Release);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.take()
    }

    /// Whether it was taken away, or is about to be.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }
}

impl<T> fmt::Debug for Revocable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("Revocable");
        output.field("revoked", &self.is_revoked());
        output.finish_non_exhaustive()
    }
}

/// What a [`Revocable`] holds, which is not taken away as long as this lives.
pub struct Access<'a, T>(RwLockReadGuard<'a, Option<T>>);

impl<T> Deref for Access<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
            .as_ref()
            .expect("an access begins with what is there, and holds on to it")
    }
}

impl<T: fmt::Debug> fmt::Debug for Access<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Access").field(&**self).finish()
    }
}
