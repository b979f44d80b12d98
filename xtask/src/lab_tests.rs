//! The lab's tests, and the virtual machines that they run in.
//!
//! A test that stands in a module called after one of the machines below runs there and nowhere else. All other tests
//! run in the machines that are for everything.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backends;
use crate::error::{Context, Result};
use crate::program;
use crate::static_build;
use crate::stream::{say, stream};

/// How long one test program may take in the guest, in seconds.
const TEST_SECONDS: u32 = 720;

/// How long all lab tests in one guest may take.
const LAB_SECONDS: &str = "1200";

/// A virtual machine.
pub struct Vm {
    /// Its name, and that of the modules of tests which are for it alone.
    name: &'static str,
    /// Whether tests that name no machine run in it.
    everything: bool,
    /// The arguments for `cargo xtask lab`.
    arguments: &'static [&'static str],
}

/// The machines of `cargo xtask test`.
pub const STOCK: &[Vm] = &[
    Vm {
        name: "stock",
        everything: true,
        arguments: &[],
    },
    Vm {
        name: "udev",
        everything: false,
        arguments: &["--udev"],
    },
    // With a switch in the port that was empty, so that all behind it have other addresses, and one more NIC.
    Vm {
        name: "restart",
        everything: false,
        arguments: &[
            "--udev",
            "--devices",
            "e1000e",
            "--qemu",
            "-device x3130-upstream,bus=rp2,id=up -device xio3130-downstream,bus=up,chassis=20,slot=20",
        ],
    },
    Vm {
        name: "restart_off",
        everything: false,
        arguments: &["--udev", "--append", "outboard.persist=off"],
    },
];

/// The machines that `--full` adds.
pub const FULL: &[Vm] = &[
    Vm {
        name: "full",
        everything: true,
        arguments: &["--kernel", "full"],
    },
    Vm {
        name: "noiommu",
        everything: false,
        arguments: &["--kernel", "full", "--iommu", "none"],
    },
    Vm {
        name: "noremap",
        everything: false,
        arguments: &[
            "--kernel",
            "full",
            "--iommu",
            "noremap",
            "--qemu",
            "-device nec-usb-xhci,bus=rp2,msi=on,msix=off",
        ],
    },
    Vm {
        name: "huge",
        everything: false,
        arguments: &["--kernel", "full", "--qemu", "-m 6144 -cpu qemu64,+pdpe1gb"],
    },
    Vm {
        name: "lockdown",
        everything: false,
        arguments: &[],
    },
    Vm {
        name: "screen",
        everything: false,
        arguments: &["--qemu", "-device VGA,bus=rp2"],
    },
    Vm {
        name: "udev_full",
        everything: false,
        arguments: &["--kernel", "full", "--udev"],
    },
    Vm {
        name: "amd",
        everything: false,
        arguments: &["--kernel", "full", "--iommu", "amd"],
    },
    Vm {
        name: "virtio",
        everything: false,
        arguments: &["--kernel", "full", "--iommu", "virtio"],
    },
    Vm {
        name: "pciehp",
        everything: false,
        arguments: &[
            "--kernel",
            "full",
            "--devices",
            "e1000e,e1000e,nvme,edu",
            "--qemu",
            "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
        ],
    },
    Vm {
        name: "qemu10",
        everything: false,
        arguments: &[
            "--kernel",
            "full",
            "--qemu-version",
            "10",
            "--devices",
            "igb",
        ],
    },
];

/// The machines that are another one after a restart: what its tests leave in the folder `etc` is in `/etc` from the start.
const RESTARTED: [(&str, &str); 2] = [("restart", "udev"), ("restart_off", "udev")];

/// The folder for what the tests in a machine leave for the host. They see it at the same path, in `OUTBOARD_RESULTS`.
fn results_of(vm: &Vm) -> Result<PathBuf> {
    let folders = static_build::target_folder()?.with_file_name("lab-results");
    Ok(folders.join(vm.name))
}

/// What the machine had in `/etc` before it was restarted, if it was.
fn left_for(vm: &Vm) -> Result<Option<PathBuf>> {
    let mut restarted = RESTARTED.iter();
    let Some((_, before)) = restarted.find(|(name, _)| *name == vm.name) else {
        return Ok(None);
    };
    let mut all = STOCK.iter().chain(FULL);
    let Some(before) = all.find(|vm| vm.name == *before) else {
        return Ok(None);
    };
    let etc = results_of(before)?.join("etc");
    if !etc.is_dir() {
        return Err(format!(
            "{} starts with what the tests in {} leave in {}, and they have not run",
            vm.name,
            before.name,
            etc.display()
        )
        .into());
    }
    Ok(Some(etc))
}

/// Those of all machines, which may not have run.
pub fn all_results() -> Result<Vec<PathBuf>> {
    STOCK.iter().chain(FULL).map(results_of).collect()
}

/// Checks on the host what tests in these machines have left: recordings, and findings of the contract.
fn check_results(vms: &[Vm], results: &mut Vec<String>) -> Result<()> {
    let folders: Vec<PathBuf> = vms.iter().map(results_of).collect::<Result<_>>()?;
    let mut outcome = Ok(());
    for folder in &folders {
        if has_recordings(folder) {
            outcome = outcome.and(stream(&mut replay(folder), results));
        }
    }
    outcome.and(backends::check(&folders))
}

fn has_recordings(folder: &Path) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .map(|file| file.path())
        .any(|file| file.extension().is_some_and(|end| end == "rec"))
}

/// The test that replays what was recorded, without a device.
fn replay(folder: &Path) -> Command {
    let mut command = static_build::cargo();
    command
        .args(["test", "--package", "outboard-example-edu"])
        .args(["--test", "recorded", "--", "--ignored"])
        .env("OUTBOARD_RESULTS", folder);
    command
}

/// Makes the folder, empty.
fn empty(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot empty {}", folder.display());
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context(cannot),
        _ => fs::create_dir_all(folder).context(cannot),
    }
}

/// A test program, and the tests in it.
struct Program {
    path: PathBuf,
    tests: Vec<String>,
}

/// Runs the lab tests of all packages in `vms`: those tests, and with those options, that `arguments` for the test
/// programs say. `xtask` is our own program.
pub fn run(
    vms: &[Vm],
    arguments: &[String],
    xtask: &Path,
    results: &mut Vec<String>,
) -> Result<()> {
    say("xtask: building the lab tests");
    let mut programs = Vec::new();
    for path in static_build::lab_tests()? {
        let tests = list(&path, arguments)?;
        programs.push(Program { path, tests });
    }
    let mut outcome = Ok(());
    for vm in vms {
        let ran = run_in(vm, &programs, arguments, xtask, results)
            .context(|| format!("in the machine {}", vm.name));
        outcome = outcome.and(ran);
    }
    outcome = outcome.and(check_results(vms, results));
    let all = programs.iter().flat_map(|program| &program.tests);
    let elsewhere = all
        .filter(|test| !vms.iter().any(|vm| vm.runs(test)))
        .count();
    if elsewhere > 0 {
        say(&format!(
            "xtask: {elsewhere} lab tests are for other machines; --full runs all"
        ));
    }
    outcome
}

impl Vm {
    /// Whether the test of this name, such as `module::a_test`, runs here.
    fn runs(&self, test: &str) -> bool {
        let modules = test.rsplit_once("::").map_or("", |(modules, _)| modules);
        let known = |module: &&str| STOCK.iter().chain(FULL).any(|vm| vm.name == *module);
        let named = modules.split("::").find(known);
        named.map_or(self.everything, |name| name == self.name)
    }
}

/// The ignored tests of a program. It is linked statically, so that it runs here too; and no test does.
fn list(program: &Path, arguments: &[String]) -> Result<Vec<String>> {
    let mut command = Command::new(program);
    command.args(["--list", "--ignored"]).args(arguments);
    let list = program::run(&mut command)?;
    let list = String::from_utf8_lossy(&list).into_owned();
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(tests.map(str::to_owned).collect())
}

/// Runs the tests that are for `vm`, in one guest.
fn run_in(
    vm: &Vm,
    programs: &[Program],
    arguments: &[String],
    xtask: &Path,
    results: &mut Vec<String>,
) -> Result<()> {
    let out = results_of(vm)?;
    empty(&out)?;
    let exported = out.to_str().ok_or("cargo's target folder is not UTF-8")?;
    let exported = shlex::try_quote(exported)?;
    let mut script = format!("export OUTBOARD_RESULTS={exported}; status=0; ");
    let mut expected = 0;
    for Program { path, tests } in programs {
        let tests: Vec<&str> = tests
            .iter()
            .map(String::as_str)
            .filter(|test| vm.runs(test))
            .collect();
        if tests.is_empty() {
            continue;
        }
        expected += 1;
        let path = shlex::try_quote(path.to_str().ok_or("cargo's target folder is not UTF-8")?)?;
        let words = shlex::try_join(tests.into_iter().chain(options(arguments)))?;
        script += &format!(
            "echo {path}; timeout -s KILL {TEST_SECONDS} {path} --ignored --exact --test-threads=1 {words} || status=1; "
        );
    }
    if expected == 0 {
        say(&format!("\nxtask: no test is for the machine {}", vm.name));
        return Ok(());
    }
    script += "exit $status";
    let before = results.len();
    // It ends when we do, however that is.
    let mut lab = Command::new("setpriv");
    lab.args(["--pdeathsig", "TERM"])
        .arg(xtask)
        .args(["lab", "--qmp", "--timeout", LAB_SECONDS])
        .args(vm.arguments)
        .arg("--share")
        .arg(static_build::target_folder()?)
        .arg("--out")
        .arg(&out);
    if let Some(etc) = left_for(vm)? {
        lab.arg("--restarted").arg(etc);
    }
    lab.args(["--", "sh", "-c", &script]);
    stream(&mut lab, results)?;
    let ended = results.len() - before;
    if ended < expected {
        return Err(format!("only {ended} of {expected} test programs came to their end").into());
    }
    Ok(())
}

/// Those of `arguments` that say how tests run, and not which. `--test-threads` is ours: they share the devices.
fn options(arguments: &[String]) -> impl Iterator<Item = &str> {
    let mut arguments = arguments.iter().map(String::as_str);
    std::iter::from_fn(move || {
        loop {
            match arguments.next()? {
                "--skip" | "--test-threads" => drop(arguments.next()),
                "--exact" | "--ignored" | "--include-ignored" => {}
                other if other.starts_with("--skip=") || other.starts_with("--test-threads=") => {}
                option if option.starts_with('-') => return Some(option),
                _ => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{FULL, STOCK, options};

    #[test]
    fn a_test_runs_in_the_machine_that_its_module_names_or_where_everything_does() {
        let machines = |test| {
            let vms = STOCK.iter().chain(FULL).filter(|vm| vm.runs(test));
            vms.map(|vm| vm.name).collect::<Vec<_>>()
        };
        assert_eq!(machines("a_test"), ["stock", "full"]);
        assert_eq!(machines("errors::a_test"), ["stock", "full"]);
        assert_eq!(machines("noiommu::a_test"), ["noiommu"]);
        assert_eq!(machines("errors::amd::a_test"), ["amd"]);
        assert_eq!(machines("full::a_test"), ["full"]);
        assert_eq!(machines("lockdown::a_test"), ["lockdown"]);
        // A test's own name names no machine.
        assert_eq!(machines("full"), ["stock", "full"]);
    }

    #[test]
    fn what_chooses_tests_is_not_passed_on() {
        let words = "name --nocapture --skip other --test-threads=1 --exact --test-threads 2 -q";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(options(&words).collect::<Vec<_>>(), ["--nocapture", "-q"]);
    }
}
