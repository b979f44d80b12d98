//! Many functions at once.

use crate::{Done, Execution, Plan};
use io_core::Result;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// So many functions are changed at once. Each waits for the kernel most of the time.
const AT_ONCE: usize = 8;

impl Execution<'_> {
    /// Carries plans out, each as [`Execution::run`] does, eight at once in threads that end before this returns. The results
    /// are in the order of the plans; `one_more` is called after each.
    ///
    /// Plans for one function twice have to wait for one another, and the second finds it changed.
    pub fn run_all(&self, plans: &[&Plan], one_more: &(dyn Fn() + Sync)) -> Vec<Result<Done>> {
        let next = AtomicUsize::new(0);
        let results: Vec<_> = plans.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            while let Some((plan, result)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                plans.get(index).zip(results.get(index))
            } {
                let done = self.run(plan);
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                one_more();
            }
        };
        thread::scope(|scope| {
            for _ in 1..plans.len().min(AT_ONCE) {
                scope.spawn(work);
            }
            work();
        });
        let result = |result: Mutex<Option<_>>| {
            let done = result.into_inner().unwrap_or_else(PoisonError::into_inner);
            done.expect("each was done")
        };
        results.into_iter().map(result).collect()
    }
}
