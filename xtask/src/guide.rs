//! `cargo xtask guide`: a step of docs/guide, on a simulated device or on the lab's.

use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::error::{Context, Result};
use crate::static_build::{self, cargo};

/// The device of the lab that the steps drive.
const DEVICE: &str = "0000:00:03.0";

/// Run a step of docs/guide, on a simulated device
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The step
    step: Step,

    /// On the lab's device instead, bound to vfio-pci
    #[arg(long)]
    lab: bool,
}

/// The programs of the guide.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Step {
    /// 1: what the device is
    Identify,
    /// 2: what can be done with it here
    Open,
    /// 3: a register, by its offset
    Reach,
    /// 4: registers by their names
    Name,
    /// 5: waiting for the device, by looking
    Wait,
    /// 6: waiting for the device, by an interrupt
    Interrupt,
    /// 7: memory that the device reads and writes
    Copy,
}

/// Runs the step, and returns its status.
pub fn run(options: &Options) -> Result<u8> {
    let value = options.step.to_possible_value();
    let name = value.as_ref().map_or("", |value| value.get_name());
    let mut command = if options.lab {
        let program = static_build::guide(name)?;
        let xtask = std::env::current_exe().context(|| "cannot tell where this program is")?;
        let mut lab = Command::new(xtask);
        lab.args(["lab", "--share"])
            .arg(static_build::target_folder()?)
            .args([
                "--",
                "sh",
                "-e",
                "-c",
                "outboard bind $0 >&2; exec \"$1\" $0",
            ])
            .arg(DEVICE)
            .arg(program);
        lab
    } else {
        let mut run = cargo();
        run.args([
            "run",
            "--quiet",
            "--package",
            "outboard-guide",
            "--bin",
            name,
        ]);
        run
    };
    let status = command
        .stdin(Stdio::null())
        .status()
        .context(|| format!("cannot start the step {name}"))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
