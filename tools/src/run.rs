//! `outboard run`: a device for as long as a program runs.

use crate::{
    bind,
    change::{self, Change},
    cli::RunArgs,
    consent::Findings,
    failure::{Exit, Failure, chain},
    report::complain,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use pci_host::{Done, Host, PciFunction};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};
use std::{
    io::{self, IsTerminal},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitCode, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to end after it was told to.
const GRACE: Duration = Duration::from_secs(10);

/// How often the program is looked after.
const INTERVAL: Duration = Duration::from_millis(10);

/// Binds a device, runs a program, and gives the device back.
pub fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let host = change::system().with_patience(args.change.timeout);
    // From here on, the device is given back before a signal ends us.
    let signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map_err(Failure::from);
    let mut signals = signals.map_err(own)?;
    let device = args.device.find(&host).map_err(own)?;
    let changes = bind::plan(&host, vec![device], &args.how, &args.change).map_err(own)?;
    change::check(&changes).map_err(own)?;
    let mut bound = Vec::new();
    let mut failed = None;
    for result in change::execute(&host, &changes, args.change.timeout) {
        match result {
            Ok(done) => bound.push(done),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let status = match (failed, bound.first()) {
        (None, Some(first)) => {
            let status = start(args, first).and_then(|mut child| {
                let status = wait(&mut child, &mut signals);
                status.map_err(|e| Failure::new(Exit::Run(120), format!("cannot wait: {e}")))
            });
            status.map(code)
        }
        (error, _) => Err(own(error.expect("one of the two").into())),
    };
    let back = give_back(&host, &bound, args);
    match (status, back) {
        (Ok(status), Ok(())) => Ok(ExitCode::from(status)),
        (Err(failure), Ok(())) => Err(failure),
        (Ok(_), Err(back)) => Err(back),
        (Err(failure), Err(back)) => {
            back.print(false);
            Err(failure)
        }
    }
}

fn start(args: &RunArgs, device: &Done) -> Result<Child, Failure> {
    let (program, arguments) = args.command.split_first().expect("there is a program");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("OUTBOARD_DEVICE", device.function.address.to_string());
    match &device.node {
        Some(node) => command.env("OUTBOARD_NODE", node),
        None => command.env_remove("OUTBOARD_NODE"),
    };
    command.spawn().map_err(|e| {
        let exit = match e.kind() {
            io::ErrorKind::NotFound => Exit::Run(127),
            _ => Exit::Run(126),
        };
        Failure::new(
            exit,
            format!("cannot run {}: {e}", program.to_string_lossy()),
        )
    })
}

/// Waits until the program has ended. Signals are passed on to it; the keyboard's reach it without us.
fn wait(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    let keyboard = io::stdin().is_terminal();
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        for signal in signals.pending() {
            let ours = keyboard && [SIGINT, SIGQUIT].contains(&signal);
            if !ours {
                pass_on(child, signal);
                deadline = deadline.or_else(|| Instant::now().checked_add(GRACE));
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            complain(
                "warning",
                &format!("the program did not end within {GRACE:?}: it is killed"),
            );
            child.kill()?;
            return child.wait();
        }
        thread::sleep(INTERVAL);
    }
}

fn pass_on(child: &Child, signal: i32) {
    if let (Ok(pid), Ok(signal)) = (i32::try_from(child.id()), Signal::try_from(signal)) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The status of a program, as a shell has it.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| signal.saturating_add(128));
    let code = status.code().or_else(signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(120)
}

/// Gives back what was bound, the last one first.
fn give_back(host: &Host, bound: &[Done], args: &RunArgs) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for done in bound.iter().rev() {
        // Without an entry, it was bound already.
        if let Some(entry) = done.entry {
            let back = give_one_back(host, &done.function, entry, args);
            failures.extend(back.err().map(|error| chain(&error)));
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the device could not be given back: {}",
        failures.join("; ")
    );
    Err(Failure::new(Exit::Run(125), message)
        .with_hint("`outboard undo --last` does that, once what prevents it is gone"))
}

fn give_one_back(
    host: &Host,
    function: &PciFunction,
    entry: u64,
    args: &RunArgs,
) -> Result<(), io_core::Error> {
    let now = host.function(function.address)?;
    let plan = host.plan_undo(&now, host.journal()?.entry(entry)?)?;
    let findings = Findings {
        function: now,
        agreed: Vec::new(),
        refused: Vec::new(),
        although_open: false,
    };
    let changes = [Change { plan, findings }];
    let results = change::execute(host, &changes, args.change.timeout);
    results.into_iter().try_for_each(|result| result.map(drop))
}

/// A failure of ours, with a status that cannot be the program's.
fn own(failure: Failure) -> Failure {
    let exit = match failure.exit() {
        Exit::NotFound => 121,
        Exit::Permission => 122,
        Exit::Refused => 123,
        Exit::TimedOut => 124,
        _ => 120,
    };
    failure.with_exit(Exit::Run(exit))
}
