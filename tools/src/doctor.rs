//! `outboard doctor`.

use crate::{
    cli::DoctorArgs,
    colour::{BAD, CAUTION, GOOD, paint},
    failure::{Exit, Failure},
    report::Report,
};
use pci_host::{Check, Needs, Outcome};
use serde_json::{Value, json};
use std::{fmt::Write, process::ExitCode};

/// Looks at what it takes to drive devices. The exit status says whether something is missing.
pub fn run(args: &DoctorArgs) -> Result<(Report, ExitCode), Failure> {
    let host = args.look.host();
    let function = args
        .device
        .as_ref()
        .map(|selector| host.select(selector))
        .transpose()?;
    let user = args
        .user
        .as_deref()
        .map(|name| host.account(name))
        .transpose()?;
    let memory = u64::try_from(args.memory).unwrap_or(u64::MAX);
    let needs = Needs {
        device: function.as_ref(),
        user: user.as_ref(),
        memory,
    };
    let checks = host.doctor(&needs)?;
    let fails = checks.iter().any(|check| check.outcome == Outcome::Fail);
    let report = Report {
        schema: "outboard.doctor/1",
        data: json!({ "works": !fails, "checks": checks.iter().map(data).collect::<Vec<_>>() }),
        text: checks.iter().map(text).collect(),
    };
    let exit = if fails {
        Exit::Unsupported.into()
    } else {
        ExitCode::SUCCESS
    };
    Ok((report, exit))
}

fn text(check: &Check) -> String {
    let style = match check.outcome {
        Outcome::Pass => GOOD,
        Outcome::Warn => CAUTION,
        Outcome::Fail => BAD,
    };
    let outcome = paint(style, &check.outcome.to_string());
    let mut text = format!("{outcome}  {:<10}{}\n", check.about, check.sentence);
    if let Some(mend) = &check.mend {
        writeln!(text, "      {:<10}{mend}", "").expect("a string takes whatever is written");
    }
    text
}

fn data(check: &Check) -> Value {
    json!({
        "about": check.about,
        "outcome": check.outcome.to_string(),
        "sentence": check.sentence,
        "mend": check.mend,
    })
}
