//! Who uses a device is asked before its driver is taken away, and each use has to be agreed to by its name.

use crate::failure::{Exit, Failure};
use pci_host::{Code, Finding, Host, PciFunction, Plan};
use serde_json::{Value, json};
use std::str::FromStr;

/// A use that somebody agrees to: `route`, or `group:0000:18:00.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(String);

impl FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.split_once(':').map_or(text, |(word, _)| word);
        let code = word.parse::<Code>();
        code.map(|_| Self(text.to_owned()))
            .map_err(|e| e.to_string())
    }
}

impl Allow {
    /// Whether this finding is agreed to.
    pub fn agrees_to(&self, finding: &Finding) -> bool {
        self.0 == finding.allow()
    }
}

/// What was found of one device.
#[derive(Debug)]
pub struct Findings {
    /// The device.
    pub function: PciFunction,
    /// What uses it, and is agreed to.
    pub agreed: Vec<Finding>,
    /// What uses it, and is not.
    pub refused: Vec<Finding>,
    /// Whether it may be open.
    pub although_open: bool,
}

impl Findings {
    /// For programs.
    pub fn data(&self) -> Vec<Value> {
        let of = |finding| data(&self.function, finding);
        let all = self.refused.iter().chain(&self.agreed);
        all.map(of).collect()
    }
}

/// Whether a device's group matters: not to what gives the device back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// All of the group has to go to user space.
    Whole,
    /// It does not matter.
    Any,
}

/// Who uses the devices, and what of that is agreed to.
pub fn ask(
    host: &Host,
    plans: &[Plan],
    allow: &[Allow],
    group: Group,
) -> Result<Vec<Findings>, Failure> {
    let address = |plan: &Plan| plan.before().address.to_string();
    let members: Vec<_> = plans.iter().map(address).collect();
    let mut all = Vec::new();
    for plan in plans {
        let function = plan.before().clone();
        let found = if plan.takes_it_away() {
            users(host, &function, group, &members)?
        } else {
            Vec::new()
        };
        let agreed = |finding: &Finding| allow.iter().any(|allow| allow.agrees_to(finding));
        let (agreed, refused) = found.into_iter().partition(agreed);
        all.push(Findings {
            function,
            agreed,
            refused,
            although_open: allow.iter().any(|allow| allow.0 == Code::Open.word()),
        });
    }
    Ok(all)
}

/// Refuses if one of the devices is used in a way that was not agreed to.
pub fn check<'a>(all: impl Iterator<Item = &'a Findings>) -> Result<(), Failure> {
    let refused: Vec<_> = all
        .flat_map(|findings| {
            let function = &findings.function;
            findings
                .refused
                .iter()
                .map(move |finding| (function, finding))
        })
        .collect();
    match refused.as_slice() {
        [] => Ok(()),
        refused => Err(refusal(refused, "in use", "bind it too: --with")),
    }
}

fn users(
    host: &Host,
    function: &PciFunction,
    group: Group,
    members: &[String],
) -> Result<Vec<Finding>, Failure> {
    let mut found = host.users(function)?;
    found.extend(host.group_users(function)?);
    found.sort();
    found.dedup();
    // Those members that come along are no hindrance.
    found.retain(|finding| match (finding.code, &finding.subject) {
        (Code::Group, Some(member)) => group == Group::Whole && !members.contains(member),
        _ => true,
    });
    Ok(found)
}

/// The refusal of devices that are `what`; `along` is how another one of the group is taken along.
pub fn refusal(refused: &[(&PciFunction, &Finding)], what: &str, along: &str) -> Failure {
    let mut devices: Vec<_> = refused.iter().map(|(f, _)| f.address.to_string()).collect();
    devices.dedup();
    let mut message = format!("{} is {what}, and nothing was changed", devices.join(", "));
    for (function, finding) in refused {
        let Finding { sentence, hint, .. } = finding;
        let address = function.address;
        message += &format!("\nrefused: {address}: {sentence}\n   hint: {hint}");
        if finding.code == Code::Group {
            let member = finding.subject.as_deref().unwrap_or_default();
            message += &format!("\n         or {along} {member}");
        }
        message += &format!("\n  allow: --allow {}", finding.allow());
    }
    let findings = refused
        .iter()
        .map(|(function, finding)| data(function, finding));
    Failure::new(Exit::Refused, message).with("findings", findings.collect())
}

fn data(function: &PciFunction, finding: &Finding) -> Value {
    json!({
        "address": function.address.to_string(),
        "code": finding.code.word(),
        "subject": finding.subject,
        "sentence": finding.sentence,
        "hint": finding.hint,
        "allow": finding.allow(),
    })
}
