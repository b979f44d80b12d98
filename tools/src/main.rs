//! The `outboard` command: list PCI devices, bind them to vfio-pci, load firmware into them.
#![forbid(unsafe_code)]

mod access;
mod bind;
mod capabilities;
mod change;
mod cli;
mod colour;
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
use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    // Another `outboard` waits for this one, which need not know what else there is.
    if env::args_os()
        .nth(1)
        .is_some_and(|word| word == change::SYSFS)
    {
        return serve();
    }
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
        command => run(command, cli.json)
            .and_then(|report| report.print(cli.json))
            .map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(status) => status,
        Err(failure) => failure.print(cli.json),
    }
}

/// Reads and writes in `/sys` what standard input says, for another `outboard`.
fn serve() -> ExitCode {
    match pci_host::serve_sysfs(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::from(error).print(false),
    }
}

fn run(command: &Command, json: bool) -> Result<Report, Failure> {
    match command {
        Command::List(args) => list::run(args, json),
        Command::Bind(args) => bind::run(args),
        Command::Release(args) => release::run(args),
        Command::Undo(args) => undo::run(args),
        Command::Log => log::run(),
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
