//! The backend and its drivers on real VFIO, each beside a rival in the same boot.
//!
//! `cargo xtask bench --lab` builds this program and runs it in the lab; docs/performance.md says what is compared, and
//! how. It prints the rows with `TEXT` in their names, in each mode, as lines of JSON, after one that names the kernel:
//!
//! - `time [TEXT]` times them;
//! - `count [TEXT]` is for a guest whose clock counts instructions (`cargo xtask lab --count`): a turn is short there, and
//!   what waits for the host is left out;
//! - `bind [FOLDER]` times `outboard bind` and `release`, beside the tools that FOLDER has.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that xtask and people run"
)]

mod binders;
mod bound;
mod contest;
mod drive_by_hand;
mod drive_of_kernel;
mod drives;
mod interrupts;
mod ioctls;
mod mappings;
mod opening;
mod registers;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use contest::Contest;
use vfio_backend::IommuMode;

/// Whatever stops the bench.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["time"] => run("", false),
        ["time", text] => run(text, false),
        ["count"] => run("", true),
        ["count", text] => run(text, true),
        ["bind"] => in_lab().and_then(|()| binders::rows(None)),
        ["bind", rivals] => in_lab().and_then(|()| binders::rows(Some(Path::new(rivals)))),
        _ => Err("usage: outboard-bench-lab time [TEXT] | count [TEXT] | bind [FOLDER]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("outboard-bench-lab: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Refuses to run on the host, and says what the guest's kernel is.
fn in_lab() -> Result<()> {
    // It takes devices from their drivers, which is no harm there.
    if std::env::var_os("OUTBOARD_LAB").is_none() {
        return Err("this runs in the lab only: cargo xtask bench --lab".into());
    }
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("{}", serde_json::json!({ "kernel": kernel.trim() }));
    Ok(())
}

fn run(text: &str, counts: bool) -> Result<()> {
    in_lab()?;
    for mode in [IommuMode::Iommufd, IommuMode::Type1] {
        let contest = Contest::new(text, mode, counts);
        opening::rows(&contest)?;
        mappings::rows(&contest)?;
        interrupts::rows(&contest)?;
        registers::rows(&contest)?;
        if !counts {
            drives::rows(&contest)?;
        }
    }
    Ok(())
}
