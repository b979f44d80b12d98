//! Carrying a plan out: write, look at what came of it, and take it back if that is not what was wanted.

use crate::{
    Code, Host, NodeChange, PciFunction, Plan, SysfsWrite,
    bind::{
        driver::driver_name,
        entry::State,
        journal::Open,
        lock::Lock,
        plan::Goal,
        taking::{ENODEV, is_settling},
        writer::Writer,
    },
};
use io_core::{Error, ErrorKind, Result};
use std::{
    fmt,
    fs::File,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

/// What is being done to the machine: see [`Execution::watch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment<'a> {
    /// The entry of the journal is made.
    Entry,
    /// This is written to `/sys`.
    Write(&'a SysfsWrite),
    /// The entry is complete, or is removed.
    End,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done {
    /// The function as it is now.
    pub function: PciFunction,
    /// The state in which it is now.
    pub state: State,
    /// The node through which a program opens it, where its driver has one.
    pub node: Option<PathBuf>,
    /// The nodes that were given to somebody, or given back.
    pub nodes: Vec<NodeChange>,
    /// Whether udev has handled the node. If it has not, who may open it may change yet.
    pub is_handled: bool,
    /// The entry of the journal by which this can be taken back.
    pub entry: Option<u64>,
}

/// A way to carry plans out.
///
/// ```no_run
/// use pci_host::{Execution, Host};
/// use std::time::Duration;
///
/// let host = Host::system();
/// let function = host.function("0000:01:00.0".parse()?)?;
/// let plan = host.plan_bind(&function, "vfio-pci")?;
/// let done = Execution::new(&host).timeout(Duration::from_secs(10)).run(&plan)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Execution<'a> {
    pub(crate) host: &'a Host,
    pub(crate) timeout: Duration,
    opened: bool,
    pub(crate) watch: &'a (dyn Fn(Moment<'_>, bool) + Sync),
}

impl fmt::Debug for Execution<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("timeout", &self.timeout)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

impl<'a> Execution<'a> {
    /// With 10 s for each thing that is waited for.
    #[must_use]
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            timeout: Duration::from_secs(10),
            opened: false,
            watch: &|_, _| {},
        }
    }

    /// How long to wait for the kernel at each write, for the device node, and for another process that works on the same
    /// function.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Goes on although a program has the function open by VFIO: the kernel waits then until it is closed.
    #[must_use]
    pub fn although_open(mut self, opened: bool) -> Self {
        self.opened = opened;
        self
    }

    /// Calls this before and after each change to the machine; the second argument says whether it is done.
    #[must_use]
    pub fn watch(mut self, watch: &'a (dyn Fn(Moment<'_>, bool) + Sync)) -> Self {
        self.watch = watch;
        self
    }

    /// Carries a plan out, looks at what came of it, and waits for the device node.
    ///
    /// # Errors
    ///
    /// A write was refused, or the kernel is not through with it in time; the driver did not take the function, or the node
    /// did not appear; the function is another one than when the plan was made, or in another state; or a program has it
    /// open. After a bind that failed the function is as it was before; where that cannot be had, the error says so, and
    /// the journal keeps what there is to take back.
    pub fn run(&self, plan: &Plan) -> Result<Done> {
        let host = self.host;
        let _lock = if plan.steps.is_empty() && plan.closes.is_empty() && plan.owner.is_none() {
            None
        } else {
            Some(Lock::device(host, plan.before.address, self.timeout)?)
        };
        let now = plan.identity.check(host, &plan.before)?;
        let mut writer = Writer::new(host);
        let state = writer.state(host, &now, self.timeout)?;
        if state != plan.state && !is_settling(plan, &state) {
            let message = format!("the driver of {} has been changed meanwhile", now.address);
            let hint = format!(
                "it has {} now: try again",
                driver_name(now.driver.as_deref())
            );
            return Err(Error::new(ErrorKind::Busy, message).with_hint(hint));
        }
        if now.has_vfio_driver() && !plan.steps.is_empty() && !self.opened {
            self.check_closed(&now)?;
        }
        let holders = self.holders(&now);
        if let Some(module) = &plan.module {
            host.load(module)?;
        }
        match &plan.goal {
            Goal::Bind(driver) => {
                if plan.steps.is_empty() {
                    let done = self.done(now, state.clone(), driver, false)?;
                    if !host.are_to_be_given(plan, &done)? {
                        return Ok(done);
                    }
                }
                self.bind(plan, driver, state, writer, &holders)
            }
            _ => self.give_back(plan, writer, &holders),
        }
    }

    fn bind(
        &self,
        plan: &Plan,
        driver: &str,
        now: State,
        mut writer: Writer,
        holders: &str,
    ) -> Result<Done> {
        let host = self.host;
        // A bind that was stopped on the way is taken over, with what it was to take back.
        let former = host.entries_of(&plan.before)?.pop();
        let former = former.filter(|entry| !entry.complete);
        let before = former.as_ref().map_or(now, |entry| entry.before.clone());
        (self.watch)(Moment::Entry, false);
        let mut entry = host.begin(&plan.before, before, driver)?;
        (self.watch)(Moment::Entry, true);
        for node in former.iter().flat_map(|former| &former.nodes) {
            entry.gives(node)?;
        }
        host.close(former.as_slice())?;

        let bound = self.write_and_verify(plan, driver, &mut writer, &mut entry);
        let bound = bound.and_then(|done| {
            (self.watch)(Moment::End, false);
            entry.complete()?;
            Ok(done)
        });
        bound.map_err(|error| self.undo(plan, driver, &entry.entry, &mut writer, holders, error))
    }

    fn write_and_verify(
        &self,
        plan: &Plan,
        driver: &str,
        writer: &mut Writer,
        entry: &mut Open,
    ) -> Result<Done> {
        let probe = self.host.probe(&plan.before);
        let started = Instant::now();
        for step in &plan.steps {
            match self.write(plan, step, writer) {
                // The kernel is not through with a function that was plugged in a moment ago.
                Err(error) if *step == probe && error.errno() == Some(ENODEV) => {
                    self.write_until_found(plan, step, writer, started)?;
                }
                written => written?,
            }
            entry.wrote(step)?;
        }
        let function = self.taken(plan, driver, writer)?;
        let state = writer.state(self.host, &function, self.timeout)?;
        let mut done = self.done(function, state, driver, !plan.steps.is_empty())?;
        done.entry = Some(entry.entry.id);
        self.give_nodes(plan, &mut done, entry)?;
        Ok(done)
    }

    /// A function that the driver has, once its nodes are there. If it was `bound` a moment ago, udev has yet to say whose
    /// they are.
    fn done(&self, function: PciFunction, state: State, driver: &str, bound: bool) -> Result<Done> {
        let node = self
            .host
            .wait_for_node(&function, driver, self.timeout, bound)?;
        let mut done = Done {
            function,
            state,
            node,
            nodes: Vec::new(),
            is_handled: true,
            entry: None,
        };
        let started = Instant::now();
        for node in self.host.nodes_of(&done.function).iter().filter(|_| bound) {
            let rest = self.timeout.saturating_sub(started.elapsed());
            done.is_handled &= self.host.wait_for_udev(node, rest);
        }
        Ok(done)
    }

    /// Writes, if it is still the same function.
    pub(crate) fn write(&self, plan: &Plan, step: &SysfsWrite, writer: &mut Writer) -> Result<()> {
        plan.identity.check(self.host, &plan.before)?;
        (self.watch)(Moment::Write(step), false);
        writer.write(step, self.timeout)?;
        (self.watch)(Moment::Write(step), true);
        Ok(())
    }

    /// Who has the function open, if that is to be no hindrance. Later, the kernel may keep those waiting who look.
    fn holders(&self, function: &PciFunction) -> String {
        let users = if self.opened {
            self.host.users(function).unwrap_or_default()
        } else {
            Vec::new()
        };
        let holders = users.into_iter().filter(|user| user.code == Code::Open);
        let holders: Vec<_> = holders.map(|user| user.sentence).collect();
        if holders.is_empty() {
            return "who has it is not known".to_owned();
        }
        holders.join("; ")
    }

    /// Refuses a function whose VFIO group a program has open: the kernel would let the unbind wait
    /// until it is closed, and nothing could stop that.
    fn check_closed(&self, function: &PciFunction) -> Result<()> {
        let Some(group) = function.iommu_group else {
            return Ok(());
        };
        let node = self.host.vfio_group(group);
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
}

impl Host {
    /// Carries a plan out: [`Execution::run`]. Returns the function as it is now, and the node through
    /// which a program opens it: `/dev/vfio/7`, `/dev/uio0`.
    ///
    /// # Errors
    ///
    /// As for [`Execution::run`].
    pub fn execute(
        &self,
        plan: &Plan,
        timeout: Duration,
    ) -> Result<(PciFunction, Option<PathBuf>)> {
        let done = Execution::new(self).timeout(timeout).run(plan)?;
        Ok((done.function, done.node))
    }
}
