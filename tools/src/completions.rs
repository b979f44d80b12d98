//! Completion on the shell's command line, which knows the devices of this machine.

use crate::{cli::Cli, failure::Failure, report::Report};
use clap::{CommandFactory, ValueEnum, builder::PossibleValue};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate},
    env::Shells,
};
use pci_host::Host;
use std::ffi::OsStr;

/// The variable by which the shell's script asks us.
const VARIABLE: &str = "COMPLETE";

/// Answers the shell's script and ends the program, if it is the script that asks.
pub fn answer() {
    CompleteEnv::with_factory(Cli::command).complete();
}

/// A shell.
#[derive(Debug, Clone, Copy)]
pub enum Shell {
    /// GNU's.
    Bash,
    /// elvish.
    Elvish,
    /// fish.
    Fish,
    /// The Z shell.
    Zsh,
}

impl Shell {
    const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Zsh => "zsh",
        }
    }
}

impl ValueEnum for Shell {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Bash, Self::Elvish, Self::Fish, Self::Zsh]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// The script for a shell.
pub fn script(shell: Shell) -> Result<Report, Failure> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell.name());
    let mut script = Vec::new();
    if let Some(completer) = completer {
        completer.write_registration(VARIABLE, "outboard", "outboard", "outboard", &mut script)?;
    }
    let mut text = String::from_utf8_lossy(&script).into_owned();
    if matches!(shell, Shell::Bash) {
        text.push_str(include_str!("completions.bash"));
    }
    Ok(Report {
        schema: "outboard.completions/1",
        data: serde_json::json!({ "shell": shell.name(), "script": text }),
        text,
    })
}

/// What completes a device.
pub fn device() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        candidates(&Host::system(), &typed)
    })
}

/// The devices whose names begin with what was typed: the addresses, unless another kind of name is begun.
fn candidates(host: &Host, typed: &str) -> Vec<CompletionCandidate> {
    let functions = host.functions().unwrap_or_default();
    let attached = host.attached();
    let mut all = Vec::new();
    for function in functions {
        let address = function.address.to_string();
        let driver = function.driver.as_deref().unwrap_or("no driver");
        let ids = format!("{:04x}:{:04x}", function.vendor, function.device);
        let mut help = format!("{ids}, {driver}");
        let attached = attached.get(&function.address);
        let attached: Vec<_> = attached
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        for selector in &attached {
            help.push_str(&format!(", {selector}"));
        }
        let path = format!("path:{}", host.device_path(function.address));
        let short = address.strip_prefix("0000:").unwrap_or(&address).to_owned();
        // What can be typed for it, the best first.
        let names = [address, short, ids, path].into_iter().chain(attached);
        if let Some(name) = names.into_iter().find(|name| name.starts_with(typed)) {
            all.push(CompletionCandidate::new(name).help(Some(help.into())));
        }
    }
    all
}
