//! `outboard persist` on a machine that is made of files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod schema;

use pci_host::{Host, Initramfs};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

/// A network card behind a port, with the driver e1000e.
fn machine() -> TempDir {
    let root = TempDir::new().unwrap();
    let place = "devices/pci0000:00/0000:00:1c.0/0000:01:00.0";
    let dir = root.path().join("sys").join(place);
    let devices = root.path().join("sys/bus/pci/devices");
    let driver = root.path().join("sys/bus/pci/drivers/e1000e");
    for folder in [&dir, &devices, &driver, &driver.with_file_name("vfio-pci")] {
        fs::create_dir_all(folder).unwrap();
    }
    let ids = "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00\n";
    fs::write(dir.join("modalias"), ids).unwrap();
    fs::write(dir.join("revision"), "0x00\n").unwrap();
    fs::write(dir.join("resource"), "0x0 0x0 0x0\n").unwrap();
    symlink(driver, dir.join("driver")).unwrap();
    symlink(format!("../../../{place}"), devices.join("0000:01:00.0")).unwrap();
    root
}

fn run(root: &Path, command: &str, json: bool) -> Output {
    let mut outboard = Command::new(env!("CARGO_BIN_EXE_outboard"));
    outboard.args(["persist", command, "--root"]).arg(root);
    if json {
        outboard.arg("--json");
    }
    outboard.output().unwrap()
}

fn json(root: &Path, command: &str) -> Value {
    let printed = serde_json::from_slice(&run(root, command, true).stdout).unwrap();
    schema::check(&printed);
    printed.get("data").unwrap().clone()
}

fn text(root: &Path, command: &str) -> String {
    String::from_utf8(run(root, command, false).stdout).unwrap()
}

#[test]
fn what_is_listed_and_what_differs_is_said_to_people_and_programs_and_by_the_exit_status() {
    let machine = machine();
    let root = machine.path();
    assert!(text(root, "list").starts_with("no device is bound at each start"));
    assert_eq!(run(root, "check", false).status.code(), Some(0));
    assert_eq!(json(root, "check")["drifts"], Value::Array(Vec::new()));

    let host = Host::at(root);
    let card = host.function("0000:01:00.0".parse().unwrap()).unwrap();
    let changes = host
        .plan_persist(&[card], "vfio-pci", Some(Initramfs::Dracut))
        .unwrap();
    host.change_files(&changes).unwrap();
    let driverctl = root.join("etc/driverctl.d");
    fs::create_dir(&driverctl).unwrap();
    fs::write(driverctl.join("pci-0000:05:00.0"), "vfio-pci\n").unwrap();
    let other = "etc/udev/rules.d/60-outboard-persist-mine.rules";
    fs::write(root.join(other), "# by hand\n").unwrap();

    let said = text(root, "list");
    let rule = "path:0000:00:1c.0/00.0  8086:10d3:8086:a01f  vfio-pci  initramfs  0000:01:00.0, with e1000e\n";
    assert!(said.starts_with(rule), "{said}");
    assert!(
        said.contains("0000:05:00.0  vfio-pci  by driverctl: "),
        "{said}"
    );
    let list = json(root, "list");
    assert_eq!(list["rules"][0]["bound"], false);
    assert_eq!(list["driverctl"][0]["address"], "0000:05:00.0");
    assert!(list["others"][0].as_str().unwrap().ends_with(other));

    assert_eq!(run(root, "check", false).status.code(), Some(6));
    let check = json(root, "check");
    let drifts = check["drifts"].as_array().unwrap().iter();
    let codes: Vec<_> = drifts
        .map(|drift| drift["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["bound", "changed"]);
    assert_eq!(check["unknown"].as_array().unwrap().len(), 1, "no image");
}
