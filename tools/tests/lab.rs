//! The `outboard` command on real devices, in the lab.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use io_core::{AccessWidth, Io};
use pci_host::Host;
use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;
use vfio_backend::VfioDevice;

mod schema;

#[path = "lab/access.rs"]
mod access;
#[path = "lab/binding.rs"]
mod binding;
#[path = "lab/held.rs"]
mod held;
#[path = "lab/hotplug.rs"]
mod hotplug;
#[path = "lab/in_use.rs"]
mod in_use;
#[path = "lab/journal.rs"]
mod journal;
#[path = "lab/look.rs"]
mod look;
#[path = "lab/owner.rs"]
mod owner;
#[path = "lab/persist.rs"]
mod persist;
#[path = "lab/refusal.rs"]
mod refusal;
#[path = "lab/users.rs"]
mod users;

// Where the lab has its devices: see `cargo xtask lab -- outboard list`.
const EDU: &str = "0000:00:03.0";
const IVSHMEM: &str = "0000:00:10.0";
const TESTDEV: &str = "0000:00:13.0";
const NIC: &str = "0000:03:00.0";

/// An ordinary user.
const USER: u32 = 1000;

fn outboard(args: &[&str]) -> Command {
    assert!(
        env::var_os("OUTBOARD_LAB").is_some(),
        "these tests are run by `cargo xtask test`"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_outboard"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    outboard(args).output().unwrap()
}

/// What a command that succeeds prints.
fn ok(args: &[&str]) -> String {
    let output = run(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The JSON that a command prints.
fn json(args: &[&str]) -> serde_json::Value {
    let printed = serde_json::from_str(&ok(&[args, &["--json"]].concat())).unwrap();
    schema::check(&printed);
    printed
}

/// What a command that fails with this status says on standard error. It prints no result.
fn fails(status: i32, args: &[&str]) -> String {
    failed(status, &run(args))
}

fn failed(status: i32, output: &Output) -> String {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{error}");
    assert_eq!(text(&output.stdout), "");
    error
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What sysfs says of a device: its driver and its override.
fn sysfs(device: &str) -> (Option<String>, String) {
    let dir = Path::new("/sys/bus/pci/devices").join(device);
    let driver = fs::read_link(dir.join("driver")).ok();
    let driver = driver.map(|link| link.file_name().unwrap().to_string_lossy().into_owned());
    (
        driver,
        fs::read_to_string(dir.join("driver_override"))
            .unwrap()
            .trim_end()
            .to_owned(),
    )
}

/// A device that is bound while this lives.
struct Bound(&'static str);

impl Bound {
    fn new(device: &'static str) -> Self {
        ok(&["bind", device]);
        Self(device)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        ok(&["release", self.0]);
    }
}

/// A file with something in it.
fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path: PathBuf = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[test]
#[ignore = "needs the lab"]
fn list_shows_every_device_with_what_sysfs_says_of_it() {
    let list = ok(&["list"]);
    let devices = fs::read_dir("/sys/bus/pci/devices").unwrap().count();
    assert_eq!(list.lines().count(), devices + 1, "and a header");
    let line = |device| list.lines().find(|line| line.starts_with(device)).unwrap();
    for word in ["8086:10d3", "e1000e", "0:128K", "2:32(I/O)"] {
        assert!(line(NIC).contains(word), "{word} in {}", line(NIC));
    }
    assert!(line(IVSHMEM).contains("0:256 2:64M"));

    let json = json(&["list", NIC]);
    assert_eq!(json["schema"], "outboard.list/1");
    let nic = &json["data"][0];
    assert_eq!(nic["address"], NIC);
    assert_eq!(nic["vendor"], "0x8086");
    assert_eq!(nic["class"], "0x020000");
    assert_eq!(nic["driver"], "e1000e");
    assert_eq!(nic["bars"][3]["size"], 16 << 10);
    assert_eq!(nic["bars"][2]["kind"], "io_ports");
}

#[test]
#[ignore = "needs the lab"]
fn bind_and_release_leave_the_machine_as_it_was() {
    for (device, driver) in [(IVSHMEM, None), (NIC, Some("e1000e".to_owned()))] {
        let before = sysfs(device);
        assert_eq!(before, (driver.clone(), "(null)".to_owned()));
        let had = driver.map_or("no driver".to_owned(), |d| format!("the driver {d}"));

        let said = ok(&["bind", device]);
        assert!(
            said.starts_with(&format!("{device} is bound to vfio-pci now; it had {had}")),
            "{said}"
        );
        assert_eq!(sysfs(device), (Some("vfio-pci".into()), "vfio-pci".into()));
        assert!(
            ok(&["bind", device]).starts_with(&format!("{device} is bound to vfio-pci already"))
        );

        let said = ok(&["release", device]);
        assert!(said.ends_with(&format!("and now has {had}\n")), "{said}");
        assert_eq!(sysfs(device), before);
        assert!(ok(&["release", device]).contains("needs no release"));
    }
}

#[test]
#[ignore = "needs the lab"]
fn a_dry_run_writes_nothing() {
    let before = sysfs(NIC);
    let said = ok(&["bind", NIC, "--dry-run"]);
    assert_eq!(said.lines().count(), 3, "{said}");
    let plan = json(&["bind", NIC, "--dry-run"]);
    assert_eq!(plan["data"]["devices"][0]["writes"][0]["value"], "vfio-pci");
    assert_eq!(sysfs(NIC), before);
}

#[test]
#[ignore = "needs the lab"]
fn programs_are_told_the_same_as_people() {
    let bound = json(&["bind", IVSHMEM]);
    assert_eq!(bound["schema"], "outboard.bind/1");
    assert_eq!(bound["data"]["changed"], true);
    assert_eq!(bound["data"]["devices"][0]["node"], "/dev/vfio/7");
    assert_eq!(json(&["bind", IVSHMEM])["data"]["changed"], false);
    let released = json(&["release", IVSHMEM]);
    assert_eq!(released["schema"], "outboard.release/1");
    assert_eq!(released["data"]["devices"][0]["former_driver"], "vfio-pci");
    assert_eq!(
        released["data"]["devices"][0]["driver"],
        serde_json::Value::Null
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_file_that_is_no_whole_number_of_accesses_is_padded_with_zeros() {
    let dir = TempDir::new().unwrap();
    let before = file(&dir, "before", &[0xee; 32]);
    let image = file(&dir, "image", b"twenty-one bytes long");
    let _bound = Bound::new(IVSHMEM);
    ok(&["fw", "load", IVSHMEM, &before, "--bar", "2"]);
    ok(&[
        "fw", "load", IVSHMEM, &image, "--bar", "2", "--width", "4", "--pad",
    ]);
    fails(2, &["fw", "load", IVSHMEM, &image, "--bar", "2", "--pad"]);

    let device = VfioDevice::open(&Host::system(), IVSHMEM.parse().unwrap()).unwrap();
    let bar = device.bar(2).unwrap();
    let mut memory = [0; 26];
    bar.mmio::<0>()
        .unwrap()
        .copy_to_slice(0, &mut memory, AccessWidth::Auto)
        .unwrap();
    assert_eq!(&memory, b"twenty-one bytes long\0\0\0\xee\xee");
}

#[test]
#[ignore = "needs the lab"]
fn an_image_is_loaded_verified_and_hashed() {
    let dir = TempDir::new().unwrap();
    // The hash is sha256sum's, of 1,000,000 times "a": FIPS 180-4's example.
    let image = file(&dir, "image", &[b'a'; 1_000_000]);
    let sha256 = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    let _bound = Bound::new(IVSHMEM);
    for width in ["1", "2", "4", "8"] {
        let said = ok(&[
            "fw", "load", IVSHMEM, &image, "--bar", "2", "--offset", "4K", "--width", width,
        ]);
        assert!(
            said.contains(&format!("sha256 of file      {sha256}")),
            "{said}"
        );
        assert!(
            said.contains(&format!("sha256 of read-back {sha256}")),
            "{said}"
        );
        assert!(
            said.contains("written             1000000 bytes in "),
            "{said}"
        );
    }
    let output = run(&["fw", "load", IVSHMEM, &image, "--bar", "2", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["data"]["verified"], true);
    assert_eq!(json["data"]["sha256_read_back"], sha256);
    // Not on a terminal, progress is plain lines.
    let progress = text(&output.stderr);
    assert!(
        progress.ends_with("verifying: 1000000 of 1000000 bytes\n"),
        "{progress}"
    );
    assert!(!progress.contains(['\r', '\x1b']), "{progress:?}");
}

#[test]
#[ignore = "needs the lab"]
fn memory_that_does_not_keep_what_is_written_is_noticed() {
    // edu's identification register reads 0x010000ed whatever is written to it.
    let dir = TempDir::new().unwrap();
    let image = file(&dir, "image", &[0xed, 0x00, 0x00, 0xff]);
    let _bound = Bound::new(EDU);
    let output = run(&["fw", "load", EDU, &image, "--bar", "0", "--width", "4"]);
    let said = failed(6, &output);
    assert!(
        said.contains("first at offset 0x3 of the file: wrote 0xff, read 0x01 (sha256"),
        "{said}"
    );
    let output = run(&[
        "fw", "load", EDU, &image, "--bar", "0", "--width", "4", "--json",
    ]);
    assert_eq!(output.status.code(), Some(6));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["error"]["kind"], "different");
}

#[test]
#[ignore = "needs the lab"]
fn a_file_that_does_not_fit_is_refused_with_nothing_written() {
    let dir = TempDir::new().unwrap();
    let mark = file(&dir, "mark", b"what was there before");
    let small = file(&dir, "small", &[0xff; 22]);
    let large = dir.path().join("large");
    fs::File::create(&large)
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    let large = large.display().to_string();
    let _bound = Bound::new(IVSHMEM);
    ok(&["fw", "load", IVSHMEM, &mark, "--bar", "2"]);

    let said = fails(11, &["fw", "load", IVSHMEM, &large, "--bar", "2"]);
    let expected =
        "has 67108865 bytes, and BAR 2 of 0000:00:10.0 has room for 67108864 at offset 0x0";
    assert!(said.contains(expected), "{said}");
    let said = fails(
        11,
        &[
            "fw",
            "load",
            IVSHMEM,
            "/dev/zero",
            "--bar",
            "2",
            "--offset",
            "63M",
        ],
    );
    assert!(
        said.contains("/dev/zero has more than 1048576 bytes"),
        "{said}"
    );
    let said = fails(
        11,
        &["fw", "load", IVSHMEM, &small, "--bar", "2", "--width", "4"],
    );
    assert!(said.contains("--pad"), "{said}");
    let said = fails(
        11,
        &[
            "fw", "load", IVSHMEM, &small, "--bar", "2", "--offset", "65M",
        ],
    );
    assert!(
        said.contains("has room for 0 at offset 0x4100000"),
        "{said}"
    );
    fails(11, &["fw", "load", IVSHMEM, "/dev/null", "--bar", "2"]);
    fails(3, &["fw", "load", IVSHMEM, "/no/such/file", "--bar", "2"]);
    assert!(ok(&["fw", "load", IVSHMEM, &small, "--bar", "2", "--dry-run"]).contains("fits"));

    let device = VfioDevice::open(&Host::system(), IVSHMEM.parse().unwrap()).unwrap();
    let bar = device.bar(2).unwrap();
    let mut memory = vec![0; bar.size()];
    bar.mmio::<0>()
        .unwrap()
        .copy_to_slice(0, &mut memory, AccessWidth::Auto)
        .unwrap();
    assert_eq!(&memory[..21], b"what was there before");
}

#[test]
#[ignore = "needs the lab"]
fn what_cannot_be_loaded_into_is_named_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let image = file(&dir, "image", b"firmware");
    let load = |device, bar| vec!["fw", "load", device, &image, "--bar", bar];

    let said = fails(5, &load(IVSHMEM, "2"));
    assert!(
        said.contains("is not bound to vfio-pci: it is bound to no driver"),
        "{said}"
    );
    assert!(
        said.contains("hint: bind it first: sudo outboard bind 0000:00:10.0"),
        "{said}"
    );
    let said = fails(3, &load(IVSHMEM, "1"));
    assert!(
        said.contains("0000:00:10.0 has no BAR 1\n hint: its BARs: 0, 2"),
        "{said}"
    );
    let said = fails(3, &load("0000:7f:00.0", "0"));
    assert!(
        said.contains("there is no PCI device 0000:7f:00.0"),
        "{said}"
    );

    let _bound = Bound::new(TESTDEV);
    let said = fails(9, &load(TESTDEV, "1"));
    assert!(
        said.contains("BAR 1 of 0000:00:13.0 is I/O ports, which cannot be mapped"),
        "{said}"
    );
    assert!(said.contains("hint: its BARs that are memory: 0"), "{said}");
    // A file without an end is not even read then.
    fails(9, &["fw", "load", TESTDEV, "/dev/zero", "--bar", "1"]);
    fails(2, &["bind", TESTDEV, "--timeout=-1"]);
    ok(&["bind", TESTDEV, "--timeout", "1e19"]);
}

#[test]
#[ignore = "needs the lab"]
fn a_missing_permission_is_named_and_can_be_given() {
    let dir = TempDir::new().unwrap();
    let image = file(&dir, "image", b"firmware");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |args: &[&str]| outboard(args).uid(USER).gid(USER).output().unwrap();

    let said = failed(4, &as_user(&["bind", IVSHMEM]));
    assert!(said.contains("/run/outboard"), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
    assert!(
        said.contains("hint: this needs root: run it with sudo"),
        "{said}"
    );
    assert_eq!(sysfs(IVSHMEM), (None, "(null)".into()));

    let _bound = Bound::new(IVSHMEM);
    let load = ["fw", "load", IVSHMEM, &image, "--bar", "2"];
    fs::set_permissions(&image, fs::Permissions::from_mode(0o600)).unwrap();
    let said = failed(4, &as_user(&load));
    assert!(
        said.contains(&format!("cannot read {image}: Permission denied")),
        "{said}"
    );
    fs::set_permissions(&image, fs::Permissions::from_mode(0o644)).unwrap();
    let said = failed(4, &as_user(&load));
    assert!(
        said.contains("cannot open /dev/vfio/7 of 0000:00:10.0: Permission denied"),
        "{said}"
    );
    assert!(said.contains("sudo chown $USER /dev/vfio/7"), "{said}");
    // The hint is right.
    std::os::unix::fs::chown("/dev/vfio/7", Some(USER), None).unwrap();
    let output = as_user(&load);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Hides VFIO's device nodes while this lives.
struct Hidden;

impl Hidden {
    fn new() -> Self {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "none", "/dev/vfio"])
            .status();
        assert!(mount.unwrap().success());
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        assert!(
            Command::new("umount")
                .arg("/dev/vfio")
                .status()
                .unwrap()
                .success()
        );
    }
}

#[test]
#[ignore = "needs the lab"]
fn nodes_that_do_not_appear_are_missed() {
    let dir = TempDir::new().unwrap();
    let image = file(&dir, "image", b"firmware");
    let before = sysfs(NIC);
    let hidden = Hidden::new();
    let said = fails(7, &["bind", NIC, "--timeout", "3"]);
    assert!(
        said.contains("it is as it was before, with the driver e1000e"),
        "{said}"
    );
    assert!(said.contains("did not appear within 3s"), "{said}");
    assert_eq!(sysfs(NIC), before);
    drop(hidden);

    let _bound = Bound::new(IVSHMEM);
    let _hidden = Hidden::new();
    let said = fails(3, &["fw", "load", IVSHMEM, &image, "--bar", "2"]);
    assert!(
        said.contains("cannot open /dev/vfio/vfio: No such file"),
        "{said}"
    );
    assert!(
        said.contains("hint: load the module: sudo modprobe vfio-pci"),
        "{said}"
    );
}

#[test]
#[ignore = "needs the lab"]
fn a_device_that_another_program_has_is_said_to_be_busy() {
    let dir = TempDir::new().unwrap();
    let image = file(&dir, "image", b"firmware");
    let _bound = Bound::new(IVSHMEM);
    let other = fs::File::open("/dev/vfio/7").unwrap();
    let said = fails(5, &["fw", "load", IVSHMEM, &image, "--bar", "2"]);
    assert!(
        said.contains("sudo fuser -v ") && said.contains("/dev/vfio/7"),
        "{said}"
    );
    drop(other);
    ok(&["fw", "load", IVSHMEM, &image, "--bar", "2"]);
}

#[test]
#[ignore = "needs the lab"]
fn what_cannot_be_bound_is_refused() {
    let before = sysfs("0000:00:07.0");
    let said = fails(5, &["bind", "00:07.0"]);
    assert!(said.contains("0000:00:07.0 is a bridge"), "{said}");
    assert_eq!(sysfs("0000:00:07.0"), before);

    let before = sysfs("0000:04:00.0");
    let said = fails(5, &["bind", "04:00.0", "--driver", "e1000e"]);
    assert!(
        said.contains("e1000e is a driver of the kernel's own"),
        "{said}"
    );
    fails(3, &["bind", "04:00.0", "--driver", "nonesuch"]);
    assert_eq!(sysfs("0000:04:00.0"), before);
}

#[test]
#[ignore = "needs the lab"]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = outboard(&["list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
}
