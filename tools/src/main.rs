//! The `outboard` command: list PCI devices, bind them to vfio-pci, load firmware into them.
#![forbid(unsafe_code)]

mod access;
mod bind;
mod cli;
mod failure;
mod list;
mod load;
mod log;
mod names;
mod progress;
mod release;
mod report;
mod select;
mod undo;
mod units;

use clap::Parser;
use cli::{Cli, Command, FwCommand};
use failure::Failure;
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut logger = env_logger::Builder::from_env("OUTBOARD_LOG");
    if cli.verbose {
        logger.filter_level(::log::LevelFilter::Debug);
    }
    logger.init();

    let done = run(&cli.command).and_then(|report| report.print(cli.json));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(cli.json),
    }
}

fn run(command: &Command) -> Result<Report, Failure> {
    match command {
        Command::List(args) => list::run(args),
        Command::Bind(args) => bind::run(args),
        Command::Release(args) => release::run(args),
        Command::Undo(args) => undo::run(args),
        Command::Log => log::run(),
        Command::Access { command } => access::run(command),
        Command::Fw {
            command: FwCommand::Load(args),
        } => load::run(args),
    }
}
