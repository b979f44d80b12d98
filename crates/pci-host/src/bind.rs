//! Binding a function to a driver and releasing it again: as a plan first, then carried out.

use crate::{Host, PciFunction, host};
use io_core::{Error, ErrorKind, Result};
use std::{
    fmt,
    fs::File,
    io,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Drivers that are there to hand a function to user space.
const USERSPACE_DRIVERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "pci-stub"];

/// How often the device node is looked for.
const NODE_INTERVAL: Duration = Duration::from_millis(2);

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
    /// bridge; or the driver is vfio-pci and there is no IOMMU.
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
        self.check_function(function, driver)?;
        if function.driver_override.as_deref() != Some(driver) {
            plan.steps.push(self.set_override(function, driver));
        }
        plan.steps.extend(self.unbind(function));
        plan.steps.push(self.probe(function));
        Ok(plan)
    }

    /// What it takes to give `function` back to the kernel's own choice of driver.
    ///
    /// A function that no driver made for user space has, and whose override is not set, is left as
    /// it is.
    #[must_use]
    pub fn plan_release(&self, function: &PciFunction) -> Plan {
        let mut steps = Vec::new();
        if function.driver_override.is_some() {
            // A write of nothing would never reach the kernel; a newline clears the override.
            steps.push(self.set_override(function, "\n"));
        }
        match function.driver.as_deref() {
            Some(driver) if hands_to_userspace(function, driver) => {
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
    /// `timeout`; a function that is to be released is open in a program. After a bind that failed the function is as it was before; where that cannot be
    /// had, the error says so.
    pub fn execute(
        &self,
        plan: &Plan,
        timeout: Duration,
    ) -> Result<(PciFunction, Option<PathBuf>)> {
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
        self.check_closed(&plan.before)?;
        write_all(&plan.steps)?;
        let after = self.function(plan.before.address)?;
        match &after.driver {
            Some(driver) if hands_to_userspace(&after, driver) => Err(Error::new(
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
        if !USERSPACE_DRIVERS.contains(&driver) && !driver.contains("vfio") {
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

    fn check_function(&self, function: &PciFunction, driver: &str) -> Result<()> {
        let address = function.address;
        if function.is_bridge {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{address} is a bridge, and {driver} does not drive bridges"),
            )
            .with_hint("bind the devices behind it instead"));
        }
        if driver == "vfio-pci" && function.iommu_group.is_none() && !self.allows_noiommu() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{address} is in no IOMMU group, and vfio-pci takes only devices that are"),
            )
            .with_hint(
                "switch the IOMMU on: VT-d or AMD-Vi in the firmware's setup, and intel_iommu=on on \
                 the kernel's command line of Intel machines",
            ));
        }
        Ok(())
    }

    /// Refuses a function whose VFIO group a program has open: the kernel would let the unbind wait
    /// until it is closed, and nothing could stop that.
    fn check_closed(&self, function: &PciFunction) -> Result<()> {
        let Some(group) = function.iommu_group else {
            return Ok(());
        };
        let node = self.vfio_dir().join(group.to_string());
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

    /// Waits until the node through which a program opens the function is there, and returns it.
    fn wait_for_node(
        &self,
        function: &PciFunction,
        driver: &str,
        timeout: Duration,
    ) -> Result<Option<PathBuf>> {
        let find = || match (driver, function.iommu_group) {
            ("vfio-pci", Some(group)) => Some(self.vfio_dir().join(group.to_string())),
            ("uio_pci_generic", _) => self.uio_node(function.address),
            _ => None,
        };
        if !matches!(driver, "vfio-pci" | "uio_pci_generic") {
            return Ok(None);
        }
        let deadline = Instant::now() + timeout;
        loop {
            // The clock first, so that there is always one look after the deadline.
            let late = Instant::now() >= deadline;
            let node = find();
            match node {
                Some(node) if node.exists() => return Ok(Some(node)),
                node if late => {
                    let node = node.map_or("its device node".into(), |n| n.display().to_string());
                    return Err(Error::new(
                        ErrorKind::TimedOut,
                        format!("{node} did not appear within {timeout:?}"),
                    )
                    .with_hint("is udev, or devtmpfs, at work on this machine?"));
                }
                _ => thread::sleep(NODE_INTERVAL),
            }
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

/// Whether `function` is bound to `driver` so that a program in user space can drive it.
fn hands_to_userspace(function: &PciFunction, driver: &str) -> bool {
    USERSPACE_DRIVERS.contains(&driver) || function.driver_override.as_deref() == Some(driver)
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
