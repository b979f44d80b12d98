//! What people do with this checkout: boot the lab, test everything, compare speed, install it, see the demo.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that people run in a terminal"
)]

mod assembly;
mod backends;
mod bench;
mod bench_bind;
mod bench_lab;
mod bench_list;
mod bench_row;
mod board;
mod cache;
mod channels;
mod debian13;
mod demo;
mod ending;
mod error;
mod extras;
mod full_kernel;
mod guest;
mod guide;
mod initrd;
mod install;
mod instructions;
mod ivshmem_server;
mod kernel;
mod lab;
mod lab_tests;
mod machine;
mod modules;
mod packages;
mod program;
mod qemu;
mod register_build;
mod run_folder;
mod static_build;
mod stream;
mod test;
mod toolchain;
mod topology;
mod udev;

use std::process::ExitCode;

use clap::Parser;

/// What people do with this checkout
#[derive(clap::Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
enum Cli {
    Lab(lab::Options),
    Test(test::Options),
    Bench(bench::Options),
    Docs(backends::Options),
    Install(install::Options),
    /// See firmware go into a PCI device, proved from outside (under 20 s after the first set-up)
    Demo,
    Guide(guide::Options),
}

fn main() -> ExitCode {
    // A command in the lab may well exit with 1, so that we do not.
    let (status, failure) = match Cli::parse() {
        Cli::Lab(options) => (lab::run(&options), ending::LOST),
        Cli::Test(options) => (test::run(&options), 1),
        Cli::Bench(options) => (bench::run(&options), 1),
        Cli::Docs(options) => (backends::run(&options), 1),
        Cli::Install(options) => (install::run(&options), 1),
        Cli::Demo => (demo::run(), 1),
        Cli::Guide(options) => (guide::run(&options), 1),
    };
    let status = status.unwrap_or_else(|error| {
        eprintln!("xtask: {error}");
        failure
    });
    ExitCode::from(status)
}
