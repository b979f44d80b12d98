//! Putting a function back to what it was: after a bind that failed, and when it is released.

use crate::{
    Done, Execution, Moment, PciFunction, Plan,
    bind::{
        driver::{driver_name, hands_to_userspace},
        entry::{Entry, State},
        plan::Goal,
        writer::Writer,
    },
};
use io_core::{Error, ErrorKind, Result};
use std::slice;

impl Execution<'_> {
    /// Puts a function back to what it was before a bind to `driver` that failed with `error`.
    pub(crate) fn undo(
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
                let closed = self.take_nodes_back(entry);
                let closed = closed.and_then(|_| self.host.close(slice::from_ref(entry)));
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
    pub(crate) fn give_back(&self, plan: &Plan, mut writer: Writer, holders: &str) -> Result<Done> {
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
        let mut nodes = Vec::new();
        for entry in plan.closes.iter().rev() {
            nodes.extend(self.take_nodes_back(entry)?);
        }
        (self.watch)(Moment::End, false);
        self.host.close(&plan.closes)?;
        Ok(Done {
            function,
            state,
            node: None,
            nodes,
            is_handled: true,
            entry: None,
        })
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
