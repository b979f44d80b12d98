//! What it takes to bind a function, and to give it back: values, which change nothing.

use crate::{
    Host, PciFunction,
    bind::{
        driver::{driver_name, hands_to_userspace},
        entry::{Entry, State},
        identity::Identity,
        owner::{Owned, Owner},
    },
    function::is_vfio_driver,
};
use io_core::{Error, ErrorKind, Result};
use std::{fmt, path::PathBuf};

/// One write to a file of `/sys`. Shown as the shell command that does the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysfsWrite {
    /// The file.
    pub path: PathBuf,
    /// What is written to it.
    pub value: String,
}

impl fmt::Display for SysfsWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.trim_end() {
            "" => write!(f, "echo > {}", self.path.display()),
            value => write!(f, "echo {value} > {}", self.path.display()),
        }
    }
}

/// What it takes to bind one function, or to give it back. Making a plan changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) before: PciFunction,
    pub(crate) state: State,
    pub(crate) identity: Identity,
    pub(crate) goal: Goal,
    pub(crate) module: Option<String>,
    pub(crate) steps: Vec<SysfsWrite>,
    /// To whom the nodes are given.
    pub(crate) owner: Option<(Owner, Owned)>,
    /// The entries of the journal that are taken back by this.
    pub(crate) closes: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal {
    /// This driver has it.
    Bind(String),
    /// No driver for user space has it.
    Release,
    /// It is in this state.
    Restore(State),
}

impl Plan {
    fn new(host: &Host, before: &PciFunction, state: State, goal: Goal) -> Self {
        Self {
            before: before.clone(),
            state,
            identity: Identity::of(host, before),
            goal,
            module: None,
            steps: Vec::new(),
            owner: None,
            closes: Vec::new(),
        }
    }

    /// The module that has to be loaded first: a driver that is not there yet.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// The writes, in order. There are none if nothing has to change.
    #[must_use]
    pub fn steps(&self) -> &[SysfsWrite] {
        &self.steps
    }

    /// The function as it was when the plan was made.
    #[must_use]
    pub fn before(&self) -> &PciFunction {
        &self.before
    }

    /// The state in which the function was when the plan was made.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether somebody may suffer who uses the function: its driver goes, or a program may have it soon.
    #[must_use]
    pub fn takes_it_away(&self) -> bool {
        let unbinds = |step: &SysfsWrite| step.path.ends_with("unbind");
        let binds = matches!(self.goal, Goal::Bind(_)) && !self.steps.is_empty();
        binds || self.steps.iter().any(unbinds)
    }

    /// The entries of the journal that this takes back.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.closes
    }
}

impl Host {
    /// What it takes to bind `function` to `driver`, and to no other.
    ///
    /// The override is written before the unbind: the other way round, a driver could take the
    /// function in between, and a failure would leave it with none.
    ///
    /// # Errors
    ///
    /// There is no such driver, or it is not one that hands functions to user space; the function is a
    /// bridge, or in no IOMMU group; its override names a driver of the kernel's own, or the kernel does not say what it is.
    pub fn plan_bind(&self, function: &PciFunction, driver: &str) -> Result<Plan> {
        let state = self.state(function)?;
        let set = state.driver_override.clone();
        let mut plan = Plan::new(self, function, state, Goal::Bind(driver.to_owned()));
        if function.driver.as_deref() == Some(driver) {
            return Ok(plan);
        }
        plan.module = self.module_for(driver)?;
        check_function(self, function, set.as_deref(), driver)?;
        if set.as_deref() != Some(driver) {
            plan.steps.push(self.set_override(function, Some(driver)));
        }
        plan.steps.extend(self.unbind(function));
        plan.steps.push(self.probe(function));
        Ok(plan)
    }

    /// What it takes to give `function` back: to the driver and the override that it had, by the [journal](Self::journal),
    /// and without an entry there to the kernel's own choice.
    ///
    /// A function that a driver of the kernel's own has stays with it, and an override that names such a driver stays set,
    /// if the journal does not say otherwise. A function without a driver, and without an entry, is probed, because a
    /// release that was killed may have left it so.
    ///
    /// # Errors
    ///
    /// The journal has an entry for this function that cannot be read, or the kernel does not say what its override is.
    pub fn plan_release(&self, function: &PciFunction) -> Result<Plan> {
        let entries = self.entries_of(function)?;
        let now = self.state(function)?;
        let mut plan = match entries.first() {
            Some(first) if !is_elsewhere(function, &first.before) => {
                self.plan_restore(function, now, &first.before)
            }
            _ => self.plan_unbind(function, now),
        };
        plan.closes = entries;
        Ok(plan)
    }

    /// What it takes to give `function` to this driver of the kernel's own, which must be made for it.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or the driver is one that hands functions to user space.
    pub fn plan_release_to(&self, function: &PciFunction, driver: &str) -> Result<Plan> {
        if hands_to_userspace(driver) {
            let message = format!("{driver} hands devices to user space, which is no release");
            let hint = format!("outboard bind {} --driver {driver}", function.address);
            return Err(Error::new(ErrorKind::InvalidInput, message).with_hint(hint));
        }
        self.check_loaded(driver)?;
        let state = State {
            driver: Some(driver.to_owned()),
            driver_override: None,
        };
        let mut plan = self.plan_restore(function, self.state(function)?, &state);
        let identity = Identity::of(self, function);
        plan.closes = self.journal()?.entries;
        plan.closes.retain(|entry| entry.identity == identity);
        Ok(plan)
    }

    /// What it takes to put `function` back to how it was before this entry of the journal, and before later ones.
    ///
    /// # Errors
    ///
    /// It is another function than that of the entry; or a driver of the kernel's own has it that it did not have before.
    pub fn plan_undo(&self, function: &PciFunction, entry: &Entry) -> Result<Plan> {
        let mut entries = self.entries_of(function)?;
        entries.retain(|other| other.id >= entry.id);
        let address = function.address;
        if !entries.contains(entry) {
            let message = format!("entry {} is not about what is at {address} now", entry.id);
            return Err(Error::new(ErrorKind::NotFound, message)
                .with_hint(format!("it is about {}", entry.identity)));
        }
        if is_elsewhere(function, &entry.before) {
            let message = format!(
                "{address} has {}, which it had neither before nor by a bind of ours",
                driver_name(function.driver.as_deref())
            );
            let hint = format!(
                "somebody gave it that; to leave it there and forget the entry: outboard release {address}"
            );
            return Err(Error::new(ErrorKind::Busy, message).with_hint(hint));
        }
        let mut plan = self.plan_restore(function, self.state(function)?, &entry.before);
        plan.closes = entries;
        Ok(plan)
    }

    /// Back to a state that a function was in. The driver is named, and binds only what it is made for: a probe might find
    /// another one.
    pub(crate) fn plan_restore(&self, function: &PciFunction, now: State, state: &State) -> Plan {
        let is_set = now.driver_override.clone();
        let mut plan = Plan::new(self, function, now, Goal::Restore(state.clone()));
        let wanted = state.driver_override.as_deref();
        let mut set = is_set.as_deref();
        if function.driver != state.driver {
            let driver = state.driver.as_deref();
            // With an override that names another one, the driver would not bind it.
            let meanwhile = wanted.filter(|wanted| driver.is_none_or(|driver| driver == *wanted));
            if set != meanwhile {
                plan.steps.push(self.set_override(function, meanwhile));
                set = meanwhile;
            }
            plan.steps.extend(self.unbind(function));
            if let Some(driver) = driver {
                plan.module = self.check_loaded(driver).err().map(|_| driver.to_owned());
                plan.steps.push(self.bind_to(function, driver));
            }
        }
        if set != wanted {
            plan.steps.push(self.set_override(function, wanted));
        }
        plan
    }

    /// Away from a driver for user space, to the kernel's own choice.
    fn plan_unbind(&self, function: &PciFunction, now: State) -> Plan {
        let set = now.driver_override.as_deref();
        let is_ours = set.is_some_and(hands_to_userspace);
        let mut plan = Plan::new(self, function, now, Goal::Release);
        if is_ours {
            plan.steps.push(self.set_override(function, None));
        }
        match function.driver.as_deref() {
            Some(driver) if hands_to_userspace(driver) => {
                plan.steps.extend(self.unbind(function));
                plan.steps.push(self.probe(function));
            }
            Some(_) => {}
            None => plan.steps.push(self.probe(function)),
        }
        plan
    }

    fn set_override(&self, function: &PciFunction, driver: Option<&str>) -> SysfsWrite {
        SysfsWrite {
            path: self.function_dir(function.address).join("driver_override"),
            // A write of nothing would never reach the kernel; a newline clears the override.
            value: driver.unwrap_or("\n").to_owned(),
        }
    }

    pub(crate) fn unbind(&self, function: &PciFunction) -> Option<SysfsWrite> {
        let path = self.driver_dir(function.driver.as_deref()?).join("unbind");
        Some(SysfsWrite {
            path,
            value: function.address.to_string(),
        })
    }

    fn bind_to(&self, function: &PciFunction, driver: &str) -> SysfsWrite {
        SysfsWrite {
            path: self.driver_dir(driver).join("bind"),
            value: function.address.to_string(),
        }
    }

    pub(crate) fn probe(&self, function: &PciFunction) -> SysfsWrite {
        SysfsWrite {
            path: self.drivers_probe(),
            value: function.address.to_string(),
        }
    }
}

/// Whether a driver of the kernel's own has the function that did not have it before: somebody else's work.
fn is_elsewhere(function: &PciFunction, before: &State) -> bool {
    let now = function.driver.as_deref();
    now.is_some_and(|driver| !hands_to_userspace(driver)) && function.driver != before.driver
}

impl Host {
    /// Whether the driver takes only functions that an IOMMU keeps from the rest of the machine, and none does that for this
    /// one.
    #[must_use]
    pub fn lacks_iommu(&self, function: &PciFunction, driver: &str) -> bool {
        is_vfio_driver(driver) && function.iommu_group.is_none() && !self.gives_groups_late()
    }
}

/// Refuses a function that the driver could not take, and one that somebody else gives a driver to.
fn check_function(
    host: &Host,
    function: &PciFunction,
    set: Option<&str>,
    driver: &str,
) -> Result<()> {
    let address = function.address;
    if function.is_bridge {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{address} is a bridge, and {driver} does not drive bridges"),
        )
        .with_hint("bind the devices behind it instead"));
    }
    if host.lacks_iommu(function, driver) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{address} is in no IOMMU group, and {driver} takes only devices that are"),
        )
        .with_hint(
            "switch the IOMMU on: VT-d or AMD-Vi in the firmware's setup, and intel_iommu=on on the \
             kernel's command line of Intel machines; or, if you trust the device with all memory of the \
             machine and the kernel is built for it: echo 1 | sudo tee \
             /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        ));
    }
    match set {
        Some(former) if !hands_to_userspace(former) => Err(Error::new(
            ErrorKind::Busy,
            format!("the driver_override of {address} is set already, to {former}"),
        )
        .with_hint(format!(
            "something (driverctl, a udev rule) wants {former} to have it; if that is to go: echo | sudo tee \
             /sys/bus/pci/devices/{address}/driver_override"
        ))),
        _ => Ok(()),
    }
}
