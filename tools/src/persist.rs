//! `outboard persist`: binding that survives a restart.

use crate::{
    cli::{PersistAddArgs, PersistCommand, PersistRemoveArgs},
    consent,
    failure::{Exit, Failure},
    files,
    report::Report,
};
use io_core::pci::PciAddress;
use pci_host::{
    Drift, DriverctlOverride, FileChange, Host, Initramfs, PciFunction, PersistFile, PersistRule,
};
use serde_json::{Value, json};
use std::process::ExitCode;

const SCHEMA: &str = "outboard.persist/1";

/// Makes rules, removes them, shows them, or compares the machine with them; then the exit status says whether it differs.
pub fn run(command: &PersistCommand) -> Result<(Report, ExitCode), Failure> {
    let report = match command {
        PersistCommand::List(look) => list(&look.host())?,
        PersistCommand::Add(args) => add(&Host::system(), args)?,
        PersistCommand::Remove(args) => remove(&Host::system(), args)?,
        PersistCommand::Check(look) => return check(&look.host()),
    };
    Ok((report, ExitCode::SUCCESS))
}

fn add(host: &Host, args: &PersistAddArgs) -> Result<Report, Failure> {
    let functions = args.devices.find(host)?;
    let initramfs = match args.initramfs {
        None => None,
        Some(None) => Some(host.initramfs()?),
        Some(one) => one,
    };
    let changes = host.plan_persist(&functions, &args.driver, initramfs)?;
    refuse_what_is_needed(host, &functions, args)?;
    if args.print {
        return Ok(files::print(SCHEMA, &changes));
    }
    let rebuild = host.persist_rebuild(&changes);
    host.change_files(&changes)?;
    let driver = &args.driver;
    let mut text = String::new();
    for function in &functions {
        let address = function.address;
        let from = match changes.as_slice() {
            [] => "at each start of the machine already",
            _ => "from the next start of the machine on",
        };
        text += &format!("{address} is bound to {driver} {from}\n");
        if function.driver.as_ref() != Some(driver) {
            let with = match driver.as_str() {
                "vfio-pci" => String::new(),
                driver => format!(" --driver {driver}"),
            };
            text += &format!("  for now: outboard bind {address}{with}\n");
        }
        if host.lacks_iommu(function, driver) {
            text += &format!(
                "  it is in no IOMMU group now, and {driver} takes it only when it is: outboard doctor {address}\n"
            );
        }
    }
    text += &outcome(&changes, &rebuild);
    let devices = functions.iter().map(|function| {
        json!({
            "address": function.address.to_string(),
            "path": format!("path:{}", host.device_path(function.address)),
        })
    });
    Ok(changed(devices.collect(), &changes, &rebuild, text))
}

/// Refuses what the machine needs to start, unless that is agreed to.
fn refuse_what_is_needed(
    host: &Host,
    functions: &[PciFunction],
    args: &PersistAddArgs,
) -> Result<(), Failure> {
    let persisted = host.persisted()?;
    let persisted = persisted
        .iter()
        .filter_map(|rule| host.persisted_function(rule));
    let gone: Vec<PciAddress> = persisted
        .chain(functions.iter().cloned())
        .map(|function| function.address)
        .collect();
    let mut refused = Vec::new();
    for function in functions {
        for finding in host.needed_at_start(function, &gone)? {
            if !args.allow.iter().any(|allow| allow.agrees_to(&finding)) {
                refused.push((function, finding));
            }
        }
    }
    let refused: Vec<_> = refused.iter().map(|(f, found)| (*f, found)).collect();
    match refused.as_slice() {
        [] => Ok(()),
        refused => Err(consent::refusal(
            refused,
            "needed at the next start",
            "add it too, in one go with",
        )),
    }
}

fn remove(host: &Host, args: &PersistRemoveArgs) -> Result<Report, Failure> {
    let (path, function) = args.device.place(host)?;
    let mut rules = host.persisted()?.into_iter();
    let rule = rules.find(|rule| rule.path == path);
    let changes = host.plan_forget(&path)?;
    if args.print {
        return Ok(files::print(SCHEMA, &changes));
    }
    let rebuild = host.persist_rebuild(&changes);
    host.change_files(&changes)?;
    let mut text = match changes.as_slice() {
        [] => format!(
            "there is no rule for path:{path}; outboard persist list shows those that there are\n"
        ),
        _ => format!("path:{path} is left to the kernel from the next start of the machine on\n"),
    };
    let driver = rule.map(|rule| rule.driver);
    let bound = function.as_ref().filter(|f| f.driver == driver);
    if let Some(function) = bound.filter(|_| driver.is_some()) {
        text += &format!("  for now: outboard release {}\n", function.address);
    }
    text += &outcome(&changes, &rebuild);
    let device = json!({
        "address": function.map(|function| function.address.to_string()),
        "path": format!("path:{path}"),
    });
    Ok(changed(vec![device], &changes, &rebuild, text))
}

/// What was done with files, and what is left to do.
fn outcome(changes: &[FileChange], rebuild: &[Initramfs]) -> String {
    let mut text = files::lines(changes);
    for maker in rebuild {
        text += &format!("the initramfs has to be made anew: {}\n", maker.rebuild());
    }
    text
}

fn changed(
    devices: Vec<Value>,
    changes: &[FileChange],
    rebuild: &[Initramfs],
    text: String,
) -> Report {
    let rebuild: Vec<_> = rebuild.iter().map(|maker| maker.rebuild()).collect();
    Report {
        schema: SCHEMA,
        data: json!({
            "changed": !changes.is_empty(),
            "devices": devices,
            "files": files::changed(changes),
            "rebuild": rebuild,
        }),
        text,
    }
}

fn list(host: &Host) -> Result<Report, Failure> {
    let files = host.persist_files()?;
    let driverctl = host.driverctl_overrides()?;
    let off = host.persist_is_off();
    let mut text: String = files.iter().map(|file| file_text(host, file)).collect();
    for one in &driverctl {
        let (address, driver, file) = (one.address, &one.driver, one.file.display());
        text += &format!("{address}  {driver}  by driverctl: {file}\n");
    }
    if text.is_empty() {
        text += "no device is bound at each start, by outboard persist or driverctl\n";
    }
    if off {
        text += "the rules do not count now: the kernel was told outboard.persist=off\n";
    }
    let others = files.iter().filter(|file| file.rule.is_none());
    Ok(Report {
        schema: SCHEMA,
        data: json!({
            "off": off,
            "rules": files.iter().filter_map(|file| rule_data(host, file)).collect::<Vec<_>>(),
            "others": others.map(|file| file.file.to_string_lossy()).collect::<Vec<_>>(),
            "driverctl": driverctl.iter().map(driverctl_data).collect::<Vec<_>>(),
        }),
        text,
    })
}

fn file_text(host: &Host, file: &PersistFile) -> String {
    let Some(rule) = &file.rule else {
        let file = file.file.display();
        return format!("{file}: somebody else's, or not understood, and left as it is\n");
    };
    let by_hand = if file.as_written {
        ""
    } else {
        ", changed by hand"
    };
    let (path, ids, driver, level) = (&rule.path, rule.ids, &rule.driver, rule.level());
    let state = state(rule, host.persisted_function(rule).as_ref());
    format!("path:{path}  {ids}  {driver}  {level}  {state}{by_hand}\n")
}

fn state(rule: &PersistRule, function: Option<&PciFunction>) -> String {
    match function {
        None => "no such device there".to_owned(),
        Some(function) => match &function.driver {
            Some(driver) if *driver == rule.driver => format!("{}, bound", function.address),
            Some(driver) => format!("{}, with {driver}", function.address),
            None => format!("{}, without a driver", function.address),
        },
    }
}

fn rule_data(host: &Host, file: &PersistFile) -> Option<Value> {
    let rule = file.rule.as_ref()?;
    let function = host.persisted_function(rule);
    Some(json!({
        "path": format!("path:{}", rule.path),
        "ids": rule.ids.to_string(),
        "driver": rule.driver,
        "level": rule.level(),
        "file": file.file.to_string_lossy(),
        "as_written": file.as_written,
        "address": function.as_ref().map(|f| f.address.to_string()),
        "bound": function.is_some_and(|f| f.driver.as_ref() == Some(&rule.driver)),
    }))
}

fn driverctl_data(one: &DriverctlOverride) -> Value {
    json!({
        "address": one.address.to_string(),
        "driver": one.driver,
        "file": one.file.to_string_lossy(),
    })
}

fn check(host: &Host) -> Result<(Report, ExitCode), Failure> {
    let found = host.persist_drift()?;
    let mut text: String = found.drifts.iter().map(drift_text).collect();
    if found.drifts.is_empty() {
        text += "all is as the rules want it\n";
    }
    for sentence in &found.unknown {
        text += &format!("unknown: {sentence}\n");
    }
    let report = Report {
        schema: SCHEMA,
        data: json!({
            "drifts": found.drifts.iter().map(drift_data).collect::<Vec<_>>(),
            "unknown": found.unknown,
        }),
        text,
    };
    let exit = match found.drifts.as_slice() {
        [] => ExitCode::SUCCESS,
        _ => Exit::Different.into(),
    };
    Ok((report, exit))
}

fn drift_text(drift: &Drift) -> String {
    let Drift {
        code,
        sentence,
        hint,
        ..
    } = drift;
    format!("{code}: {sentence}\n  hint: {hint}\n")
}

fn drift_data(drift: &Drift) -> Value {
    json!({
        "code": drift.code.word(),
        "path": drift.path.as_ref().map(|path| format!("path:{path}")),
        "sentence": drift.sentence,
        "hint": drift.hint,
    })
}
