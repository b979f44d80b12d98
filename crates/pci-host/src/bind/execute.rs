//! Carrying a plan out: write, look at what came of it, and take it back if that is not what was wanted.

use crate::{
    Code, Host, PciFunction, Plan, SysfsWrite,
    bind::{
        driver::{driver_name, hands_to_userspace},
        entry::{Entry, State},
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
    slice,
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
    watch: &'a (dyn Fn(Moment<'_>, bool) + Sync),
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
        let _lock = if plan.steps.is_empty() && plan.closes.is_empty() {
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
            Goal::Bind(driver) if plan.steps.is_empty() => Ok(Done {
                node: host.wait_for_node(&now, driver, self.timeout, false)?,
                function: now,
                state,
                entry: None,
            }),
            Goal::Bind(driver) => self.bind(plan, driver, state, writer, &holders),
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
        let node = self
            .host
            .wait_for_node(&function, driver, self.timeout, true)?;
        Ok(Done {
            function,
            state,
            node,
            entry: Some(entry.entry.id),
        })
    }

    /// Writes, if it is still the same function.
    fn write(&self, plan: &Plan, step: &SysfsWrite, writer: &mut Writer) -> Result<()> {
        plan.identity.check(self.host, &plan.before)?;
        (self.watch)(Moment::Write(step), false);
        writer.write(step, self.timeout)?;
        (self.watch)(Moment::Write(step), true);
        Ok(())
    }

    /// Puts a function back to what it was before a bind to `driver` that failed with `error`.
    fn undo(
        &self,
        plan: &Plan,
        driver: &str,
        entry: &Entry,
        writer: &mut Writer,
        holders: &str,
        error: Error,
    ) -> Error {
        let address = plan.before.address;
        if writer.is_stuck() {
            let message = format!("cannot bind {address} to {driver}; {}", kept(entry));
            return self.stuck(plan, message, holders, error);
        }
        let outcome = match self.put_back(plan, &entry.before, writer) {
            Ok(()) => {
                (self.watch)(Moment::End, false);
                let closed = self.host.close(slice::from_ref(entry));
                let but = closed.err().map(|e| format!(", but {e}"));
                let had = driver_name(entry.before.driver.as_deref());
                format!(
                    "it is as it was before, with {had}{}",
                    but.unwrap_or_default()
                )
            }
            Err(why) => format!("{why}: {}", kept(entry)),
        };
        let message = format!("cannot bind {address} to {driver}; {outcome}");
        let undone = Error::new(error.kind(), message);
        let undone = match error.hint() {
            Some(hint) => undone.with_hint(hint),
            None => undone,
        };
        undone.with_source(error)
    }

    /// Puts a function back to the state in which it was before, or says what came of that.
    fn put_back(&self, plan: &Plan, before: &State, writer: &mut Writer) -> Result<(), String> {
        let had = driver_name(before.driver.as_deref());
        let mut restore = || {
            let now = plan.identity.check(self.host, &plan.before)?;
            let state = writer.state(self.host, &now, self.timeout)?;
            let back = self.host.plan_restore(&now, state, before);
            for step in &back.steps {
                self.write(plan, step, writer)?;
            }
            let now = self.host.function(plan.before.address)?;
            writer.state(self.host, &now, self.timeout)
        };
        match restore() {
            Ok(now) if now == *before => Ok(()),
            Ok(now) => {
                let has = driver_name(now.driver.as_deref());
                Err(format!("it had {had} before, and now has {has}"))
            }
            Err(undo) => Err(format!("it could not be put back to {had} either ({undo})")),
        }
    }

    /// Gives a function back: nothing is undone if that fails, as what is there to be taken back is still in the journal.
    fn give_back(&self, plan: &Plan, mut writer: Writer, holders: &str) -> Result<Done> {
        let address = plan.before.address;
        for step in &plan.steps {
            if let Err(error) = self.write(plan, step, &mut writer) {
                if writer.is_stuck() {
                    let message = format!("{address} is not given back yet");
                    return Err(self.stuck(plan, message, holders, error));
                }
                return Err(error);
            }
        }
        let function = self.host.function(address)?;
        let state = writer.state(self.host, &function, self.timeout)?;
        check_given_back(&function, &state, &plan.goal)?;
        (self.watch)(Moment::End, false);
        self.host.close(&plan.closes)?;
        Ok(Done {
            function,
            state,
            node: None,
            entry: None,
        })
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

    /// The kernel waits with the function's lock held, so that nothing else can be done to it either.
    fn stuck(&self, plan: &Plan, message: String, holders: &str, error: Error) -> Error {
        let address = plan.before.address;
        let hint = format!(
            "the kernel goes on once nobody has it open: {holders}. After that: outboard undo --last, or outboard \
             release {address}"
        );
        Error::new(ErrorKind::TimedOut, message)
            .with_hint(hint)
            .with_source(error)
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

fn kept(entry: &Entry) -> String {
    format!("entry {} of the journal keeps what it was before", entry.id)
}

fn check_given_back(now: &PciFunction, is: &State, goal: &Goal) -> Result<()> {
    let address = now.address;
    let has = driver_name(now.driver.as_deref());
    match (goal, now.driver.as_deref()) {
        (Goal::Restore(state), _) if is != state => {
            let had = driver_name(state.driver.as_deref());
            let message = format!("{address} was to have {had}, and has {has}");
            Err(Error::new(ErrorKind::Other, message).with_hint(format!(
                "the kernel's log may say why: sudo dmesg | grep {address}"
            )))
        }
        (Goal::Release, Some(driver)) if hands_to_userspace(driver) => Err(Error::new(
            ErrorKind::Other,
            format!("{address} came back to {driver} when it was released"),
        )
        .with_hint(format!(
            "something else has it bound there: {driver}.ids= on the kernel's command line, a \
             modprobe option, or an earlier write to new_id"
        ))),
        _ => Ok(()),
    }
}
