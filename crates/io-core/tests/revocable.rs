//! What is revoked while threads use it. With `--cfg loom`, all ways in which two threads can meet are gone through
//! (`cargo xtask test`, step loom); without, some.

use io_core::Revocable;

#[cfg(not(loom))]
mod threads {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    /// A mapping: whoever finds it unmapped has found a bug.
    struct Mapping<'a>(&'a AtomicUsize);

    impl Mapping<'_> {
        fn assert_mapped(&self) {
            assert_eq!(self.0.load(Ordering::SeqCst), 1, "unmapped under an access");
        }
    }

    impl Drop for Mapping<'_> {
        fn drop(&mut self) {
            self.0.store(0, Ordering::SeqCst);
        }
    }

    #[test]
    fn nothing_is_unmapped_under_an_access() {
        for _ in 0..if cfg!(miri) { 3 } else { 200 } {
            let mapped = AtomicUsize::new(1);
            let bar = Revocable::new(Mapping(&mapped));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while let Some(bar) = bar.try_access() {
                            bar.assert_mapped();
                            thread::yield_now();
                            bar.assert_mapped();
                        }
                    });
                }
                thread::yield_now();
                drop(bar.revoke());
                assert_eq!(mapped.load(Ordering::SeqCst), 0);
            });
        }
    }

    #[test]
    fn it_is_revoked_once() {
        let bar = Revocable::new(7);
        assert_eq!(bar.try_access().as_deref(), Some(&7));
        assert!(!bar.is_revoked());
        assert_eq!((bar.revoke(), bar.revoke()), (Some(7), None));
        assert!(bar.is_revoked() && bar.try_access().is_none());
    }

    #[test]
    fn a_thread_that_panics_during_an_access_does_not_keep_it() {
        let bar = Revocable::new(7);
        thread::scope(|scope| {
            let access = || {
                let _bar = bar.try_access();
                panic!("as a driver may");
            };
            assert!(scope.spawn(access).join().is_err());
        });
        assert_eq!(bar.revoke(), Some(7));
    }
}

#[cfg(loom)]
mod all_ways {
    use super::*;
    use loom::{sync::Arc, thread};

    /// A mapping of the model: loom sees who touches it when.
    struct Pages(Arc<loom::cell::UnsafeCell<bool>>);

    impl Drop for Pages {
        fn drop(&mut self) {
            // loom panics if any access to the cell runs at the same time, or is not ordered before.
            self.0.with_mut(|_| ());
        }
    }

    #[test]
    fn no_access_runs_while_or_after_it_is_unmapped() {
        loom::model(|| {
            let pages = Arc::new(loom::cell::UnsafeCell::new(true));
            let bar = Arc::new(Revocable::new(Pages(Arc::clone(&pages))));
            let users: Vec<_> = (0..2)
                .map(|_| {
                    let bar = Arc::clone(&bar);
                    thread::spawn(move || {
                        if let Some(bar) = bar.try_access() {
                            bar.0.with(|_| ());
                        }
                    })
                })
                .collect();
            drop(bar.revoke());
            assert!(bar.try_access().is_none());
            for user in users {
                user.join().unwrap();
            }
        });
    }

    #[test]
    fn of_two_that_revoke_one_gets_it() {
        loom::model(|| {
            let bar = Arc::new(Revocable::new(7));
            let other = Arc::clone(&bar);
            let thread = thread::spawn(move || other.revoke().is_some());
            let here = bar.revoke().is_some();
            assert_ne!(here, thread.join().unwrap());
        });
    }
}
