//! Binding a function to a driver and releasing it again: as a plan first, then carried out.

use crate::{Host, PciFunction, function::is_vfio_driver, host};
use io_core::{Error, ErrorKind, Result};
use std::{fmt, fs::File, io, path::PathBuf, time::Duration};

/// Drivers that are there to hand a function to user space, beside the variants of the first.
const USERSPACE_DRIVERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "pci-stub"];

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

/// What it takes to bind or release one function. Making a plan changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    before: PciFunction,
    goal: Goal,
    steps: Vec<SysfsWrite>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Goal {
    Bind(String),
    Release,
}

impl Plan {
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
}

impl Host {
    /// What it takes to bind `function` to `driver`, and to no other.
    ///
    /// The override is written before the unbind: the other way round, a driver could take the
    /// function in between, and a failure would leave it with none.
    ///
    /// # Errors
    ///
    /// The driver is not loaded, or is not one that hands functions to user space; the function is a
    /// bridge, or in no IOMMU group; or its override names a driver of the kernel's own.
    pub fn plan_bind(&self, function: &PciFunction, driver: &str) -> Result<Plan> {
        let mut plan = Plan {
            before: function.clone(),
            goal: Goal::Bind(driver.to_owned()),
            steps: Vec::new(),
        };
        if function.driver.as_deref() == Some(driver) {
            return Ok(plan);
        }
        self.check_driver(driver)?;
        check_function(self, function, driver)?;
        if function.driver_override.as_deref() != Some(driver) {
            plan.steps.push(self.set_override(function, driver));
        }
        plan.steps.extend(self.unbind(function));
        plan.steps.push(self.probe(function));
        Ok(plan)
    }

    /// What it takes to give `function` back to the kernel's own choice of driver.
    ///
    /// A function that a driver of the kernel's own has stays with it, and an override that names such
    /// a driver stays set: neither is a bind's work. A function without a driver is probed, because a
    /// release that was killed may have left it so.
    #[must_use]
    pub fn plan_release(&self, function: &PciFunction) -> Plan {
        let mut steps = Vec::new();
        if function
            .driver_override
            .as_deref()
            .is_some_and(hands_to_userspace)
        {
            // A write of nothing would never reach the kernel; a newline clears the override.
            steps.push(self.set_override(function, "\n"));
        }
        match function.driver.as_deref() {
            Some(driver) if hands_to_userspace(driver) => {
                steps.extend(self.unbind(function));
                steps.push(self.probe(function));
            }
            Some(_) => {}
            None => steps.push(self.probe(function)),
        }
        Plan {
            before: function.clone(),
            goal: Goal::Release,
            steps,
        }
    }

    /// Carries a plan out, looks at what came of it, and waits for the device node.
    ///
    /// Returns the function as it is now, and the node through which a program opens it, where its
    /// new driver has one: `/dev/vfio/7`, `/dev/uio0`.
    ///
    /// # Errors
    ///
    /// A write was refused, the driver did not take the function, or the node did not appear within
    /// `timeout`; or a program has the function open. After a bind that failed the function is as it
    /// was before; where that cannot be had, the error says so.
    pub fn execute(
        &self,
        plan: &Plan,
        timeout: Duration,
    ) -> Result<(PciFunction, Option<PathBuf>)> {
        if plan.before.has_vfio_driver() && !plan.steps.is_empty() {
            self.check_closed(&plan.before)?;
        }
        match &plan.goal {
            Goal::Bind(driver) => self
                .bind(plan, driver, timeout)
                .map_err(|error| self.undo(&plan.before, driver, error)),
            Goal::Release => self.release(plan).map(|function| (function, None)),
        }
    }

    fn bind(
        &self,
        plan: &Plan,
        driver: &str,
        timeout: Duration,
    ) -> Result<(PciFunction, Option<PathBuf>)> {
        write_all(&plan.steps)?;
        let address = plan.before.address;
        let after = self.function(address)?;
        if after.driver.as_deref() != Some(driver) {
            // The kernel reports a probe as done whether or not a driver took the function.
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the driver {driver} did not take {address}"),
            )
            .with_hint(format!(
                "the kernel's log may say why: sudo dmesg | grep {address}"
            )));
        }
        let node = self.wait_for_node(&after, driver, timeout)?;
        Ok((after, node))
    }

    fn release(&self, plan: &Plan) -> Result<PciFunction> {
        write_all(&plan.steps)?;
        let after = self.function(plan.before.address)?;
        match &after.driver {
            Some(driver) if hands_to_userspace(driver) => Err(Error::new(
                ErrorKind::Other,
                format!(
                    "{} came back to {driver} when it was released",
                    after.address
                ),
            )
            .with_hint(format!(
                "something else has it bound there: {driver}.ids= on the kernel's command line, a \
                 modprobe option, or an earlier write to new_id"
            ))),
            _ => Ok(after),
        }
    }

    /// Puts a function back to what it was before a bind to `driver` that failed with `error`.
    fn undo(&self, before: &PciFunction, driver: &str, error: Error) -> Error {
        let restored = self.function(before.address).and_then(|now| {
            let mut steps = Vec::new();
            if now.driver_override != before.driver_override {
                let former = before.driver_override.as_deref().unwrap_or("\n");
                steps.push(self.set_override(&now, former));
            }
            if now.driver != before.driver {
                steps.extend(self.unbind(&now));
                if before.driver.is_some() {
                    steps.push(self.probe(&now));
                }
            }
            write_all(&steps)?;
            self.function(before.address)
        });
        let had = driver_name(before);
        let outcome = match restored {
            Ok(now)
                if now.driver == before.driver && now.driver_override == before.driver_override =>
            {
                format!("it is as it was before, with {had}")
            }
            Ok(now) => format!("it had {had} before, and now has {}", driver_name(&now)),
            Err(undo) => format!("it could not be put back to {had} either ({undo})"),
        };
        let message = format!("cannot bind {} to {driver}; {outcome}", before.address);
        let undone = Error::new(error.kind(), message);
        let undone = match error.hint() {
            Some(hint) => undone.with_hint(hint),
            None => undone,
        };
        undone.with_source(error)
    }

    /// Refuses a driver that is not there, and one that would take any function for its own: an
    /// override makes the kernel skip the driver's list of ids, and e1000e given an NVMe controller
    /// brings the kernel down.
    fn check_driver(&self, driver: &str) -> Result<()> {
        let drivers = self.drivers()?;
        if !drivers.iter().any(|name| name == driver) {
            let dashed = driver.replace('_', "-");
            let hint = if drivers.contains(&dashed) {
                format!("did you mean {dashed}?")
            } else {
                format!("load it: sudo modprobe {driver}")
            };
            let message = format!("there is no PCI driver {driver:?} loaded");
            return Err(Error::new(ErrorKind::NotFound, message).with_hint(hint));
        }
        if !hands_to_userspace(driver) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{driver} is a driver of the kernel's own, and does not hand devices over"),
            )
            .with_hint(format!(
                "bind to one that does ({}); to go back to the kernel's own driver, release the \
                 device",
                USERSPACE_DRIVERS.join(", ")
            )));
        }
        Ok(())
    }

    /// Refuses a function whose VFIO group a program has open: the kernel would let the unbind wait
    /// until it is closed, and nothing could stop that.
    fn check_closed(&self, function: &PciFunction) -> Result<()> {
        let Some(group) = function.iommu_group else {
            return Ok(());
        };
        let node = self.vfio_group(group);
        match File::open(&node) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Err(Error::from_os(
                format!(
                    "a program has {} of {} open",
                    node.display(),
                    function.address
                ),
                e,
            )
            .with_hint(format!(
                "sudo fuser -v {} names it; let it end first",
                node.display()
            ))),
            _ => Ok(()),
        }
    }

    fn set_override(&self, function: &PciFunction, driver: &str) -> SysfsWrite {
        let path = self.function_dir(function.address).join("driver_override");
        SysfsWrite {
            path,
            value: driver.to_owned(),
        }
    }

    fn unbind(&self, function: &PciFunction) -> Option<SysfsWrite> {
        let path = self.driver_dir(function.driver.as_deref()?).join("unbind");
        Some(SysfsWrite {
            path,
            value: function.address.to_string(),
        })
    }

    fn probe(&self, function: &PciFunction) -> SysfsWrite {
        SysfsWrite {
            path: self.drivers_probe(),
            value: function.address.to_string(),
        }
    }
}

/// Refuses a function that the driver could not take, and one that somebody else gives a driver to.
fn check_function(host: &Host, function: &PciFunction, driver: &str) -> Result<()> {
    let address = function.address;
    if function.is_bridge {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{address} is a bridge, and {driver} does not drive bridges"),
        )
        .with_hint("bind the devices behind it instead"));
    }
    let group = function.iommu_group.is_some() || host.gives_groups_late();
    if is_vfio_driver(driver) && !group {
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
    match function.driver_override.as_deref() {
        Some(former) if !hands_to_userspace(former) => Err(Error::new(
            ErrorKind::Busy,
            format!("the driver_override of {address} is set already, to {former}"),
        )
        .with_hint(format!(
            "something (driverctl, a udev rule) wants {former} to have it, and a release could not \
             give that back; if it is to go: echo | sudo tee \
             /sys/bus/pci/devices/{address}/driver_override"
        ))),
        _ => Ok(()),
    }
}

/// Whether a driver is there so that a program in user space can drive the function.
fn hands_to_userspace(driver: &str) -> bool {
    USERSPACE_DRIVERS.contains(&driver) || is_vfio_driver(driver)
}

fn driver_name(function: &PciFunction) -> String {
    function
        .driver
        .as_ref()
        .map_or("no driver".to_owned(), |driver| {
            format!("the driver {driver}")
        })
}

fn write_all(steps: &[SysfsWrite]) -> Result<()> {
    steps
        .iter()
        .try_for_each(|step| host::write(&step.path, &step.value))
}
