//! `outboard users`.

use crate::{cli::UsersArgs, failure::Failure, report::Report};
use pci_host::Finding;
use serde_json::{Value, json};
use std::fmt::Write;

/// Lists what uses a device now.
pub fn run(args: &UsersArgs) -> Result<Report, Failure> {
    let host = args.look.host();
    let function = args.device.find(&host)?;
    let findings = host.users(&function)?;
    let mut text = String::new();
    for finding in &findings {
        writeln!(
            text,
            "{}: {}\n  hint: {}",
            finding.code, finding.sentence, finding.hint
        )
        .expect("a string takes whatever is written");
    }
    if findings.is_empty() {
        text = format!("nothing is seen to use {}\n", function.address);
    }
    Ok(Report {
        schema: "outboard.users/1",
        data: json!({ "address": function.address.to_string(), "users": data(&findings) }),
        text,
    })
}

/// Findings for programs.
pub fn data(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "code": finding.code.word(),
            "allow": finding.allow(),
            "sentence": finding.sentence,
            "hint": finding.hint,
        })
    };
    findings.iter().map(one).collect()
}
