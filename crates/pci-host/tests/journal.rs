//! The journal: what is written down before anything is changed, and what can be taken back by it. On a copy of `/sys`
//! that answers to writes as the kernel does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{ErrorKind, pci::PciAddress};
use pci_host::{Execution, Host, Moment, Owner, PciFunction, Plan, State};
use std::{
    cell::Cell,
    error::Error,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tempfile::TempDir;

const NONE: [u64; 0] = [];
const NO_WAIT: Duration = Duration::from_secs(1);
const DEVICE: &str = "sys/devices/pci0000:00/0000:00:05.0/0000:03:00.0";

/// A machine with an e1000e behind a bridge.
struct Machine {
    root: TempDir,
    host: Host,
    /// After so many moments, the process is stopped.
    moments: AtomicUsize,
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let host = Host::at(root.path());
        let moments = AtomicUsize::new(usize::MAX);
        let machine = Self {
            root,
            host,
            moments,
        };
        for driver in ["vfio-pci", "pci-stub", "e1000e"] {
            machine.file(&format!("sys/bus/pci/drivers/{driver}/unbind"), "");
            machine.file(&format!("sys/bus/pci/drivers/{driver}/bind"), "");
        }
        machine.file("sys/bus/pci/drivers_probe", "");
        machine.file("proc/sys/kernel/random/boot_id", "first-boot\n");
        machine.file("dev/vfio/7", "");
        for (name, text) in [
            ("vendor", "0x8086\n"),
            ("device", "0x10d3\n"),
            ("subsystem_vendor", "0x8086\n"),
            ("subsystem_device", "0x0000\n"),
            ("class", "0x020000\n"),
            ("revision", "0x00\n"),
            ("driver_override", "(null)\n"),
            ("config", &"\0".repeat(64)),
            (
                "resource",
                &"0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(7),
            ),
        ] {
            machine.file(&format!("{DEVICE}/{name}"), text);
        }
        fs::create_dir_all(machine.path("sys/bus/pci/devices")).unwrap();
        fs::create_dir_all(machine.path("sys/kernel/iommu_groups/7/devices")).unwrap();
        let group = machine.path(&format!("{DEVICE}/iommu_group"));
        symlink("../../../../kernel/iommu_groups/7", group).unwrap();
        let link = machine.path("sys/bus/pci/devices/0000:03:00.0");
        symlink(format!("../../../../{DEVICE}"), link).unwrap();
        machine.set_driver(Some("e1000e"));
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn set_driver(&self, driver: Option<&str>) {
        let link = self.path(&format!("{DEVICE}/driver"));
        let _ = fs::remove_file(&link);
        if let Some(driver) = driver {
            symlink(format!("../../bus/pci/drivers/{driver}"), link).unwrap();
        }
    }

    fn function(&self) -> PciFunction {
        self.host.function(address()).unwrap()
    }

    fn state(&self) -> State {
        self.host.state(&self.function()).unwrap()
    }

    fn entries(&self) -> Vec<u64> {
        let journal = self.host.journal().unwrap();
        assert_eq!(journal.damaged, []);
        journal.entries.iter().map(|entry| entry.id).collect()
    }

    /// What the kernel does once a file was written.
    fn answer(&self, moment: Moment<'_>, done: bool) {
        if let (Moment::Write(step), true) = (moment, done) {
            let file = step.path.file_name().unwrap().to_str().unwrap();
            let wanted = self.state().driver_override;
            match (file, self.function().driver) {
                ("driver_override", _) => {
                    let value = match step.value.as_str() {
                        "\n" => "(null)",
                        driver => driver,
                    };
                    self.file(&format!("{DEVICE}/driver_override"), value);
                }
                ("unbind", Some(_)) => self.set_driver(None),
                ("drivers_probe", None) => {
                    self.set_driver(Some(wanted.as_deref().unwrap_or("e1000e")));
                }
                ("bind", None) => {
                    let driver = step.path.parent().unwrap().file_name().unwrap();
                    let driver = driver.to_str().unwrap();
                    assert!(wanted.is_none_or(|wanted| wanted == driver), "{driver}");
                    self.set_driver(Some(driver));
                }
                other => panic!("{other:?}"),
            }
        }
        if self.moments.fetch_sub(1, Ordering::Relaxed) == 0 {
            resume_unwind(Box::new("stopped"));
        }
    }

    fn run(&self, plan: &Plan) -> io_core::Result<PciFunction> {
        let answer = |moment: Moment<'_>, done| self.answer(moment, done);
        let execution = Execution::new(&self.host).timeout(NO_WAIT).watch(&answer);
        execution.run(plan).map(|done| done.function)
    }

    fn bind(&self, driver: &str) {
        let plan = self.host.plan_bind(&self.function(), driver).unwrap();
        self.run(&plan).unwrap();
    }

    fn release(&self) {
        let plan = self.host.plan_release(&self.function()).unwrap();
        self.run(&plan).unwrap();
    }

    fn undo(&self) {
        let journal = self.host.journal().unwrap();
        let entry = journal.entries.last().unwrap();
        let plan = self.host.plan_undo(&self.function(), entry).unwrap();
        self.run(&plan).unwrap();
    }

    /// Does that until it is stopped, at this moment. Whether it was.
    fn stopped(&self, moment: usize, work: impl Fn()) -> bool {
        self.moments.store(moment, Ordering::Relaxed);
        let stopped = catch_unwind(AssertUnwindSafe(work)).is_err();
        self.moments.store(usize::MAX, Ordering::Relaxed);
        stopped
    }
}

fn address() -> PciAddress {
    "03:00.0".parse().unwrap()
}

fn state(driver: &str, driver_override: Option<&str>) -> State {
    let mut state = Machine::new().state();
    state.driver = Some(driver.to_owned());
    state.driver_override = driver_override.map(str::to_owned);
    state
}

#[test]
fn what_was_there_is_written_down_before_anything_is_changed() {
    let machine = Machine::new();
    assert!(machine.stopped(2, || machine.bind("vfio-pci")));
    assert_eq!(machine.state(), state("e1000e", None));
    let text = fs::read_to_string(machine.path("run/outboard/journal/1-0000:03:00.0")).unwrap();
    let head: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(head["schema"], "outboard.journal/1");
    assert_eq!(head["path"], "0000:00:05.0/00.0");
    assert_eq!(head["ids"], serde_json::json!([0x8086, 0x10d3, 0x8086, 0]));
    assert_eq!(head["before"]["driver"], "e1000e");
    assert_eq!(head["boot"], "first-boot");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn what_is_bound_is_in_the_journal_until_it_is_given_back() {
    let machine = Machine::new();
    machine.bind("vfio-pci");
    let journal = machine.host.journal().unwrap();
    assert!(journal.entries[0].complete);
    assert_eq!(journal.entries[0].written.len(), 3);
    machine.release();
    assert_eq!(machine.state(), state("e1000e", None));
    assert_eq!(machine.entries(), NONE);
}

#[test]
fn binds_are_taken_back_one_by_one_and_a_release_takes_back_all() {
    for release in [false, true] {
        let machine = Machine::new();
        machine.bind("vfio-pci");
        machine.bind("pci-stub");
        assert_eq!(machine.entries(), [1, 2]);
        if !release {
            machine.undo();
            assert_eq!(machine.state(), state("vfio-pci", Some("vfio-pci")));
            assert_eq!(machine.entries(), [1]);
            machine.undo();
        } else {
            machine.release();
        }
        assert_eq!(machine.state(), state("e1000e", None));
        assert_eq!(machine.entries(), NONE);
    }
}

#[test]
fn an_override_that_was_there_comes_back() {
    let machine = Machine::new();
    machine.file(&format!("{DEVICE}/driver_override"), "vfio-pci");
    machine.bind("pci-stub");
    machine.release();
    assert_eq!(machine.state(), state("e1000e", Some("vfio-pci")));
}

#[test]
fn whenever_a_bind_is_stopped_it_can_be_taken_back_or_done_again() {
    let again = Cell::new(true);
    let mut moments = 0;
    while again.get() {
        for how in 0..3 {
            let machine = Machine::new();
            again.set(machine.stopped(moments, || machine.bind("vfio-pci")));
            match how {
                // Before the entry was made there is nothing to be taken back.
                0 if machine.entries().is_empty() => {}
                0 => machine.undo(),
                1 => machine.release(),
                _ => {
                    machine.bind("vfio-pci");
                    assert_eq!(machine.state(), state("vfio-pci", Some("vfio-pci")));
                    machine.release();
                }
            }
            assert_eq!(machine.state(), state("e1000e", None), "{moments} {how}");
            assert_eq!(machine.entries(), NONE, "{moments} {how}");
        }
        moments += 1;
    }
    assert_eq!(
        moments, 10,
        "an entry and three writes, before and after, and the end"
    );
}

#[test]
fn whenever_taking_back_is_stopped_it_can_be_done_again() {
    for undo in [false, true] {
        let mut moments = 0;
        loop {
            let machine = Machine::new();
            machine.bind("vfio-pci");
            let back = || {
                if undo {
                    machine.undo()
                } else {
                    machine.release()
                }
            };
            let stopped = machine.stopped(moments, back);
            if stopped {
                back();
            }
            assert_eq!(machine.state(), state("e1000e", None), "{moments}");
            assert_eq!(machine.entries(), NONE, "{moments}");
            if !stopped {
                break;
            }
            moments += 1;
        }
        assert_eq!(moments, 7, "three writes, before and after, and the end");
    }
}

#[test]
fn another_device_at_the_same_address_is_left_alone() {
    let machine = Machine::new();
    machine.bind("vfio-pci");
    let journal = machine.host.journal().unwrap();
    let plan = machine.host.plan_release(&machine.function()).unwrap();
    machine.file(&format!("{DEVICE}/device"), "0x1521\n");
    let error = machine.run(&plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("is another device"), "{error}");
    let undo = machine
        .host
        .plan_undo(&machine.function(), &journal.entries[0]);
    assert_eq!(undo.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(machine.entries(), [1]);
    assert_eq!(machine.state(), state("vfio-pci", Some("vfio-pci")));
}

#[test]
fn a_device_that_changes_between_two_writes_is_not_written_to() {
    let machine = Machine::new();
    let plan = machine
        .host
        .plan_bind(&machine.function(), "vfio-pci")
        .unwrap();
    let first = &plan.steps()[0];
    let swapped = |moment: Moment<'_>, done| {
        machine.answer(moment, done);
        if moment == Moment::Write(first) && done {
            machine.file(&format!("{DEVICE}/device"), "0x1521\n");
        }
    };
    let execution = Execution::new(&machine.host)
        .timeout(NO_WAIT)
        .watch(&swapped);
    let error = execution.run(&plan).unwrap_err();
    let reason = error.source().unwrap().to_string();
    assert!(reason.contains("is another device"), "{reason}");
    assert_eq!(machine.state(), state("e1000e", Some("vfio-pci")));
}

#[test]
fn a_restart_of_the_machine_leaves_nothing_to_take_back() {
    let machine = Machine::new();
    machine.bind("vfio-pci");
    machine.file("proc/sys/kernel/random/boot_id", "second-boot\n");
    machine.set_driver(Some("e1000e"));
    machine.file(&format!("{DEVICE}/driver_override"), "(null)");
    let entry = &machine.host.journal().unwrap().entries[0];
    assert!(machine.host.is_of_another_boot(entry).unwrap());
    assert_eq!(machine.host.entries_of(&machine.function()).unwrap(), []);
    let plan = machine.host.plan_release(&machine.function()).unwrap();
    assert_eq!(plan.steps(), []);
    // And a later bind has a number of its own.
    machine.bind("vfio-pci");
    assert_eq!(machine.entries(), [1, 2]);
    machine.release();
    assert_eq!(machine.entries(), [1]);
}

#[test]
fn a_damaged_entry_is_named_and_kept_and_others_work() {
    let machine = Machine::new();
    machine.bind("vfio-pci");
    let file = machine.path("run/outboard/journal/1-0000:03:00.0");
    for damage in ["", "\0\0\0", "{}\n", "[[[[[[[[", &"x".repeat(70_000)] {
        fs::write(&file, damage).unwrap();
        let damaged = machine.host.journal().unwrap().damaged;
        assert_eq!(damaged[0].path, file);
        assert_eq!(damaged[0].address, Some(address()));
        let error = machine.host.plan_release(&machine.function()).unwrap_err();
        let path = file.display();
        let expected = format!("the journal's entry {path} cannot be read: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(error.hint().unwrap().contains("--to DRIVER"));
        assert_eq!(fs::read_to_string(&file).unwrap(), damage);
    }
    // As its hint says.
    let plan = machine
        .host
        .plan_release_to(&machine.function(), "e1000e")
        .unwrap();
    machine.run(&plan).unwrap();
    assert_eq!(machine.state(), state("e1000e", None));
    assert!(file.exists());

    // A name that is not that of what is in it, a link, a folder: none of them is followed.
    let other = machine.path("run/outboard/journal/7-0000:04:00.0");
    fs::rename(&file, &other).unwrap();
    fs::write(machine.path("elsewhere"), "").unwrap();
    symlink(machine.path("elsewhere"), &file).unwrap();
    fs::create_dir(machine.path("run/outboard/journal/8-0000:05:00.0")).unwrap();
    assert_eq!(machine.host.journal().unwrap().damaged.len(), 3);
}

#[test]
fn a_journal_that_others_can_write_to_is_not_believed() {
    let machine = Machine::new();
    machine.bind("vfio-pci");
    let dir = machine.path("run/outboard/journal");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    for error in [
        machine.host.journal().unwrap_err(),
        machine.host.plan_release(&machine.function()).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("only root can write to"),
            "{error}"
        );
    }
}

#[test]
fn two_processes_take_turns() {
    let machine = Machine::new();
    let plan = machine
        .host
        .plan_bind(&machine.function(), "vfio-pci")
        .unwrap();
    let second = |moment: Moment<'_>, done| {
        if moment == Moment::Entry && done {
            let error = Execution::new(&machine.host).timeout(NO_WAIT).run(&plan);
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy);
            let message = "another process binds or releases 0000:03:00.0 at this moment";
            assert_eq!(error.to_string(), message);
        }
        machine.answer(moment, done);
    };
    let execution = Execution::new(&machine.host)
        .timeout(NO_WAIT)
        .watch(&second);
    execution.run(&plan).unwrap();
    // The plan of one that had to wait is out of date.
    let error = machine.run(&plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error.to_string().contains("has been changed meanwhile"),
        "{error}"
    );
    assert_eq!(machine.entries(), [1]);
}

#[test]
fn a_driver_that_somebody_else_gave_it_stays() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("sys/bus/pci/drivers/igb")).unwrap();
    machine.bind("vfio-pci");
    machine.set_driver(Some("igb"));
    let entry = &machine.host.journal().unwrap().entries[0];
    let error = machine
        .host
        .plan_undo(&machine.function(), entry)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("outboard release 0000:03:00.0")
    );
    machine.release();
    assert_eq!(machine.state(), state("igb", None));
    assert_eq!(machine.entries(), NONE);
}

#[test]
fn a_release_to_a_driver_leaves_it_to_the_kernel_whether_that_is_made_for_it() {
    let machine = Machine::new();
    machine.bind("vfio-pci");
    let plan = machine
        .host
        .plan_release_to(&machine.function(), "e1000e")
        .unwrap();
    let steps: Vec<_> = plan.steps().iter().map(ToString::to_string).collect();
    assert!(
        steps[0].starts_with("echo > "),
        "the override goes first: {steps:?}"
    );
    assert!(steps[2].ends_with("/drivers/e1000e/bind"), "{steps:?}");
    machine.run(&plan).unwrap();
    assert_eq!(machine.state(), state("e1000e", None));
    assert_eq!(machine.entries(), NONE);
    for (driver, kind) in [
        ("vfio-pci", ErrorKind::InvalidInput),
        ("nonesuch", ErrorKind::NotFound),
    ] {
        let error = machine
            .host
            .plan_release_to(&machine.function(), driver)
            .unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

/// The node of the group, and who may do what with it.
fn mode(machine: &Machine) -> u32 {
    let about = fs::metadata(machine.path("dev/vfio/7")).unwrap();
    about.permissions().mode() & 0o7777
}

#[test]
fn a_node_that_was_given_away_is_given_back_unless_somebody_else_has_it() {
    let machine = Machine::new();
    let node = machine.path("dev/vfio/7");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o600)).unwrap();
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let owner: Owner = format!("{user}:{group}").parse().unwrap();
    let give = || {
        let plan = machine.host.plan_bind(&machine.function(), "vfio-pci");
        plan.unwrap().give_to(&machine.host, &owner).unwrap()
    };
    machine.run(&give()).unwrap();
    assert_eq!(mode(&machine), 0o660, "what a group has, it may write to");
    let release = || machine.host.plan_release(&machine.function()).unwrap();
    // Another member of the group keeps the node.
    machine.run(&release()).unwrap();
    assert_eq!(mode(&machine), 0o600);
    assert_eq!(machine.entries(), NONE);

    machine.run(&give()).unwrap();
    fs::set_permissions(&node, fs::Permissions::from_mode(0o640)).unwrap();
    machine.run(&release()).unwrap();
    assert_eq!(mode(&machine), 0o640);

    // It is bound already, and only the node is given.
    machine.bind("vfio-pci");
    let bound = machine.entries();
    machine.run(&give()).unwrap();
    assert_eq!(
        (mode(&machine), machine.entries().len()),
        (0o660, bound.len() + 1)
    );
    machine.run(&give()).unwrap();
    assert_eq!(machine.entries().len(), bound.len() + 1, "it is theirs");
    machine.run(&release()).unwrap();
    assert_eq!(mode(&machine), 0o640);
}

#[test]
fn a_bind_waits_for_udev_where_it_runs() {
    let machine = Machine::new();
    let handled = |machine: &Machine| {
        let answer = |moment: Moment<'_>, done| machine.answer(moment, done);
        let execution = Execution::new(&machine.host)
            .timeout(NO_WAIT)
            .watch(&answer);
        let plan = machine.host.plan_bind(&machine.function(), "vfio-pci");
        let done = execution.run(&plan.unwrap()).unwrap();
        machine
            .run(&machine.host.plan_release(&machine.function()).unwrap())
            .unwrap();
        done.is_handled
    };
    assert!(handled(&machine), "there is no udev");
    machine.file("run/udev/control", "");
    assert!(!handled(&machine));
    // A file has the number 0:0.
    machine.file("run/udev/data/c0:0", "");
    assert!(handled(&machine));
}
