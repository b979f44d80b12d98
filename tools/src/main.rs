//! The `outboard` command: list PCI devices, bind them to vfio-pci, load firmware into them.
#![forbid(unsafe_code)]

mod access;
mod bind;
mod capabilities;
mod change;
mod cli;
mod columns;
mod completions;
mod consent;
mod doctor;
mod failure;
mod files;
mod groups;
mod list;
mod load;
mod log;
mod man;
mod names;
mod persist;
mod progress;
mod release;
mod report;
mod run;
mod schema;
mod select;
mod show;
mod undo;
mod units;
mod users;

use clap::Parser;
use cli::{Cli, Command, FwCommand};
use failure::Failure;
use report::Report;
use std::{io, process::ExitCode};

fn main() -> ExitCode {
    completions::answer();
    let cli = Cli::parse();
    let mut logger = env_logger::Builder::from_env("OUTBOARD_LOG");
    if cli.verbose {
        logger.filter_level(::log::LevelFilter::Debug);
    }
    logger.init();

    let done = match &cli.command {
        // What it prints is the program's own.
        Command::Run(args) => run::run(args),
        Command::Doctor(args) => {
            doctor::run(args).and_then(|(report, status)| report.print(cli.json).map(|()| status))
        }
        Command::Persist { command } => persist::run(command)
            .and_then(|(report, status)| report.print(cli.json).map(|()| status)),
        command => run(command)
            .and_then(|report| report.print(cli.json))
            .map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(status) => status,
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
        Command::Write => {
            let written = pci_host::serve_writes(io::stdin().lock(), io::stdout().lock());
            written.map_err(Failure::from)?;
            Ok(Report::empty())
        }
        // `main` has them.
        Command::Run(_) | Command::Doctor(_) | Command::Persist { .. } => Ok(Report::empty()),
        Command::Show(args) => show::run(args),
        Command::Groups(args) => groups::run(args),
        Command::Users(args) => users::run(args),
        Command::Access { command } => access::run(command),
        Command::Fw {
            command: FwCommand::Load(args),
        } => load::run(args),
        Command::Completions { shell } => completions::script(*shell),
        Command::Man { folder } => man::write(folder),
        Command::Schema { name } => schema::run(name.as_deref()),
    }
}
