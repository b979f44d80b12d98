//! The steps of docs/guide on a real edu, in the lab: they print what they print on a simulated one.

use lab_guest::{Bound, modes};
use std::process::Command;

/// Steps that need registers only, those that need interrupts, and those that need memory for the device.
const STEPS: [(&str, &str); 7] = [
    ("registers", env!("CARGO_BIN_EXE_identify")),
    ("memory", env!("CARGO_BIN_EXE_open")),
    ("registers", env!("CARGO_BIN_EXE_reach")),
    ("registers", env!("CARGO_BIN_EXE_name")),
    ("registers", env!("CARGO_BIN_EXE_wait")),
    ("interrupts", env!("CARGO_BIN_EXE_interrupt")),
    ("memory", env!("CARGO_BIN_EXE_copy")),
];

fn said(program: &str, arguments: &[&str], backend: &str) -> String {
    let mut command = Command::new(program);
    let output = command
        .args(arguments)
        .env("OUTBOARD_BACKEND", backend)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{program} by {backend}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn assert_same(backend: &str, without: &[&str]) {
    for (needs, program) in STEPS {
        if !without.contains(&needs) {
            let simulated = said(program, &[], "");
            assert_eq!(said(program, &["00:03.0"], backend), simulated);
        }
    }
}

#[test]
#[ignore = "needs the lab"]
fn each_step_of_the_guide_runs_on_whatever_carries_the_device() {
    {
        let _bound = Bound::new("00:03.0");
        for mode in modes() {
            assert_same(&mode.to_string(), &[]);
        }
    }
    {
        let _bound = Bound::to("00:03.0", "uio_pci_generic");
        assert_same("uio", &["memory"]);
    }
    assert_same("sysfs", &["memory", "interrupts"]);
}
