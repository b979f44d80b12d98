//! Until a driver has a function: one that was plugged in a moment ago is in sysfs before the kernel is through with it.

use crate::{
    Execution, PciFunction, Plan, SysfsWrite,
    bind::{entry::State, plan::Goal, writer::Writer},
};
use io_core::{Error, ErrorKind, Result};
use std::{
    thread,
    time::{Duration, Instant},
};

/// "No such device": what the kernel says of one that it is not through with.
pub(crate) const ENODEV: i32 = 19;

/// How long a function may have no driver after it was probed. One that was plugged in a moment ago cannot have any yet,
/// and the kernel does not say so.
const TAKING: Duration = Duration::from_secs(1);

/// How often a function is probed again.
const INTERVAL: Duration = Duration::from_millis(5);

/// Whether a function that had no driver has been given one meanwhile, as the kernel does after a hot-plug.
pub(crate) fn is_settling(plan: &Plan, now: &State) -> bool {
    let before = &plan.state;
    matches!(plan.goal, Goal::Bind(_))
        && before.driver.is_none()
        && before.driver_override == now.driver_override
}

impl Execution<'_> {
    /// Writes to a file by which the kernel has to find the function, until it does.
    pub(crate) fn write_until_found(
        &self,
        plan: &Plan,
        step: &SysfsWrite,
        writer: &mut Writer,
        started: Instant,
    ) -> Result<()> {
        loop {
            let late = started.elapsed() >= self.timeout;
            plan.identity.check(self.host, &plan.before)?;
            match writer.write(step, self.timeout) {
                Err(error) if error.errno() == Some(ENODEV) && !late => thread::sleep(INTERVAL),
                written => return written,
            }
        }
    }

    /// Waits until the driver has the function.
    pub(crate) fn taken(
        &self,
        plan: &Plan,
        driver: &str,
        writer: &mut Writer,
    ) -> Result<PciFunction> {
        let started = Instant::now();
        loop {
            let late = started.elapsed() >= self.timeout.min(TAKING);
            let now = plan.identity.check(self.host, &plan.before)?;
            if now.driver.as_deref() == Some(driver) {
                return Ok(now);
            }
            if !late && self.was_overtaken(plan, &now)? {
                let unbind = self.host.unbind(&now);
                unbind
                    .iter()
                    .try_for_each(|step| writer.write(step, self.timeout))?;
            } else if late || now.driver.is_some() {
                // The kernel reports a probe as done whether or not a driver took the function.
                let message = format!("the driver {driver} did not take {}", now.address);
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with_hint(self.host.why_not_taken(&now, driver)));
            }
            thread::sleep(INTERVAL);
            self.write_until_found(plan, &self.host.probe(&plan.before), writer, started)?;
        }
    }

    /// Whether the kernel gave a driver to a function that had none, before it saw the override, and nobody uses it yet.
    fn was_overtaken(&self, plan: &Plan, now: &PciFunction) -> Result<bool> {
        let given = now.driver.is_some() && plan.before.driver.is_none();
        Ok(given && self.host.users(now)?.is_empty())
    }
}
