//! Carrying out the plans for one device or many, and saying what came of them.

use crate::{
    consent::{self, Findings},
    failure::{Exit, Failure, chain},
    progress::Progress,
    report::Report,
};
use io_core::Result;
use pci_host::{Done, Execution, Host, Plan};
use serde_json::{Value, json};
use std::{
    env,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// So many devices are changed at once. Each waits for the kernel most of the time.
const AT_ONCE: usize = 8;

/// The name of the hidden command that reads and writes files of `/sys` for us.
pub const SYSFS: &str = "serve-sysfs";

/// What is done with one device, and what came of it.
#[derive(Debug)]
pub struct Change {
    /// What was planned.
    pub plan: Plan,
    /// Who uses it.
    pub findings: Findings,
}

/// Refuses if one of the devices is used in a way that was not agreed to.
pub fn check(changes: &[Change]) -> Result<(), Failure> {
    consent::check(changes.iter().map(|change| &change.findings))
}

/// Plans for these devices; those that need no change have nobody who would suffer. What would be refused is shown as well
/// before it is.
pub fn dry_run(schema: &'static str, changes: &[Change]) -> Result<Report, Failure> {
    let mut text = String::new();
    let mut devices = Vec::new();
    for Change { plan, findings } in changes {
        let load = plan.module().map(|module| format!("modprobe {module}"));
        let steps = plan.steps().iter().map(ToString::to_string);
        let steps: Vec<_> = load.into_iter().chain(steps).collect();
        let address = plan.before().address;
        let given = plan
            .owner()
            .map(|owner| format!("chown {owner} its nodes in /dev"));
        let steps: Vec<_> = steps.into_iter().chain(given).collect();
        text += &match steps.as_slice() {
            [] => format!("{address}: nothing has to be done\n"),
            steps => steps.join("\n") + "\n",
        };
        let writes = plan.steps().iter();
        let writes = writes.map(|s| json!({ "path": s.path.to_string_lossy(), "value": s.value }));
        devices.push(json!({
            "address": address.to_string(),
            "module": plan.module(),
            "writes": writes.collect::<Vec<_>>(),
            "owner": plan.owner().map(ToString::to_string),
            "findings": findings.data(),
        }));
    }
    let data = json!({ "changed": false, "dry_run": true, "devices": devices });
    match check(changes) {
        Ok(()) => Ok(Report { schema, data, text }),
        Err(refusal) => Err(refusal.with("data", data).with_text(text)),
    }
}

/// Carries plans out, many at once. The results are in the order of the plans.
pub fn execute(host: &Host, changes: &[Change], timeout: Duration) -> Vec<Result<Done>> {
    let next = AtomicUsize::new(0);
    let results: Vec<_> = changes.iter().map(|_| Mutex::new(None)).collect();
    let progress = (changes.len() > 1).then(|| Mutex::new(Progress::of_devices(changes.len())));
    let work = || {
        while let Some((change, result)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            changes.get(index).zip(results.get(index))
        } {
            let execution = Execution::new(host)
                .timeout(timeout)
                .although_open(change.findings.although_open);
            let done = execution.run(&change.plan);
            *result.lock().expect("no thread panics") = Some(done);
            if let Some(progress) = &progress {
                progress.lock().expect("no thread panics").one_more();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..changes.len().min(AT_ONCE) {
            scope.spawn(work);
        }
        work();
    });
    let result = |result: Mutex<Option<_>>| result.into_inner().expect("no thread panics");
    let results = results.into_iter().map(result);
    results.map(|done| done.expect("each was done")).collect()
}

/// This machine, on which this program reads and writes for itself what the kernel may not be through with. It may be left
/// in the kernel, and we end.
pub fn system() -> Host {
    let host = Host::system();
    match env::current_exe() {
        Ok(program) => host.with_helper(vec![program.into(), SYSFS.into()]),
        Err(error) => {
            log::debug!("without a helper: {error}");
            host
        }
    }
}

/// What came of it, as a sentence and whether anything was changed.
pub type Say<'a> = &'a dyn Fn(&Plan, &Done) -> (String, bool);

/// What to tell of the changes: all were made, none was, or some.
pub fn report(
    schema: &'static str,
    changes: &[Change],
    mut results: Vec<Result<Done>>,
    say: Say<'_>,
) -> Result<Report, Failure> {
    if let [Err(_)] = results.as_slice() {
        let error = results.pop().and_then(Result::err);
        return Err(error.expect("it is one").into());
    }
    let (mut text, mut failed) = (String::new(), Vec::new());
    let (mut devices, mut any_changed) = (Vec::new(), false);
    for (change, result) in changes.iter().zip(&results) {
        let before = change.plan.before();
        let mut device = json!({
            "address": before.address.to_string(),
            "former_driver": before.driver,
            "findings": change.findings.data(),
        });
        let more = match result {
            Ok(done) => {
                let (sentence, changed) = say(&change.plan, done);
                any_changed |= changed;
                text += &sentence;
                json!({
                    "changed": changed,
                    "driver": done.function.driver,
                    "node": done.node.as_deref().map(Path::to_string_lossy),
                    "entry": done.entry,
                    "nodes": done.nodes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            }
            Err(error) => {
                failed.push(chain(error));
                json!({ "changed": false, "error": chain(error), "hint": error.hint() })
            }
        };
        extend(&mut device, more);
        devices.push(device);
    }
    let data = json!({ "changed": any_changed, "devices": devices });
    if failed.is_empty() {
        return Ok(Report { schema, data, text });
    }
    let message = format!(
        "{} of {} devices failed\n{}",
        failed.len(),
        changes.len(),
        failed.join("\n")
    );
    let hint = "the others are done; `outboard log` shows what can be taken back";
    let failure = Failure::new(Exit::Partly, message).with_hint(hint);
    Err(failure.with("data", data))
}

fn extend(object: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
}

/// A driver for people, or that there is none.
pub fn driver_name(driver: Option<&str>) -> String {
    driver.map_or("no driver".to_owned(), |driver| {
        format!("the driver {driver}")
    })
}
