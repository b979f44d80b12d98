//! What the kernel keeps under a function's lock, and that it may keep to itself for as long as it works on the function.

use crate::{
    Host, PciFunction,
    bind::{entry::State, writer::Writer},
};
use io_core::{Error, ErrorKind, Result, pci::PciAddress};
use std::{ffi::OsString, sync::Arc, time::Duration};

/// How many functions are asked for their overrides after the kernel did not answer for one, each of which takes as long.
const MOST_HELD: usize = 3;

impl Host {
    /// A command that reads and writes files of `/sys` for this program: its work is [`serve_sysfs`](crate::serve_sysfs).
    ///
    /// A write may stay in the kernel until somebody lets go of the function, a read until that write is through, and a
    /// program with a thread in there does not end. A helper may be left there instead.
    #[must_use]
    pub fn with_helper(mut self, command: Vec<OsString>) -> Self {
        *self.helpers_mut() = Arc::new(super::writer::Helpers::new(command));
        self
    }

    /// How long to wait for what the kernel keeps under a function's lock, when a function is looked at: 3 s, if nothing is
    /// said.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        *self.patience_mut() = patience;
        self
    }

    /// The only driver that may bind to the function, where its `driver_override` names one.
    ///
    /// The kernel reads it with the function's lock held, and so does not answer while an unbind waits until nobody has the
    /// function open.
    ///
    /// # Errors
    ///
    /// It cannot be read, or the kernel did not answer in time.
    pub fn driver_override(&self, address: PciAddress) -> Result<Option<String>> {
        Writer::new(self).driver_override(self, address, self.patience())
    }

    /// The same of many functions. For those that the kernel holds it is `None`; where it holds many, the rest is not asked.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    pub fn driver_overrides(
        &self,
        functions: &[PciFunction],
    ) -> Result<Vec<Option<Option<String>>>> {
        let mut writer = Writer::new(self);
        let mut held = 0;
        let ask = |function: &PciFunction| {
            if held >= MOST_HELD {
                return Ok(None);
            }
            match writer.driver_override(self, function.address, self.patience()) {
                Ok(driver) => Ok(Some(driver)),
                Err(_) if writer.is_stuck() => {
                    held += 1;
                    writer = Writer::new(self);
                    Ok(None)
                }
                // It went away since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(None)),
                Err(error) => Err(error),
            }
        };
        functions.iter().map(ask).collect()
    }

    /// The state in which the function is.
    ///
    /// # Errors
    ///
    /// As for [`Host::driver_override`].
    pub fn state(&self, function: &PciFunction) -> Result<State> {
        Writer::new(self).state(self, function, self.patience())
    }
}

impl Writer {
    /// The state of a function that was read a moment ago.
    pub(crate) fn state(
        &mut self,
        host: &Host,
        function: &PciFunction,
        timeout: Duration,
    ) -> Result<State> {
        Ok(State {
            driver: function.driver.clone(),
            driver_override: self.driver_override(host, function.address, timeout)?,
        })
    }

    fn driver_override(
        &mut self,
        host: &Host,
        address: PciAddress,
        timeout: Duration,
    ) -> Result<Option<String>> {
        let path = host.function_file(address, "driver_override");
        if !path.exists() {
            return Ok(None); // an older kernel
        }
        match self.read(&path, timeout)? {
            // The kernel shows an override that is not set as `(null)`.
            Some(driver) => Ok(Some(driver).filter(|d| !d.is_empty() && d != "(null)")),
            None => Err(not_answered(address, timeout)),
        }
    }
}

fn not_answered(address: PciAddress, timeout: Duration) -> Error {
    let message = format!(
        "the kernel is not through with another change of {address}, an unbind as a rule: after {timeout:?} it does not say \
         what its driver_override is"
    );
    let hint = format!(
        "an unbind waits until nobody has the device open, and goes on by itself then; `outboard users {address}` may say who \
         that is, `outboard log` what was begun"
    );
    Error::new(ErrorKind::TimedOut, message).with_hint(hint)
}
