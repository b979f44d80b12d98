//! `outboard bind` and `outboard release`, whole commands, beside the writes to `/sys` alone, and beside the tools of others.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use outboard_bench::{Target, Turns, row};

use crate::Result;

/// The lab's network card that a driver of the kernel has, and nothing uses.
const DEVICE: &str = "0000:03:00.0";
const DRIVER: &str = "e1000e";
const VFIO: &str = "vfio-pci";

/// How often the writes alone take their turn, and the tools of others, which may take half a minute.
const TURNS: usize = 15;
const TURNS_OF_OTHERS: usize = 4;

/// A way to bind the device to vfio-pci, and one back: commands, or the writes alone.
struct Way {
    name: &'static str,
    bind: &'static [&'static str],
    release: &'static [&'static str],
}

const OURS: Way = Way {
    name: "outboard",
    bind: &["outboard", "bind", DEVICE],
    release: &["outboard", "release", DEVICE],
};

const WRITES: Way = Way {
    name: "the writes alone",
    bind: &[],
    release: &[],
};

const OTHERS: [Way; 2] = [
    Way {
        name: "driverctl",
        bind: &["driverctl", "--nosave", "set-override", DEVICE, VFIO],
        release: &["driverctl", "--nosave", "unset-override", DEVICE],
    },
    Way {
        name: "dpdk-devbind",
        bind: &["dpdk-devbind.py", "-b", VFIO, DEVICE],
        release: &["dpdk-devbind.py", "-b", DRIVER, DEVICE],
    },
];

/// Times all ways, and prints the rows. `others` has the tools of others, as their packages have them; `None` leaves them out.
pub fn rows(others: Option<&Path>) -> Result<()> {
    // The emulator translates a program anew wherever it stands: where it stands at the same place each time, once.
    fs::write("/proc/sys/kernel/randomize_va_space", "0")?;
    contest(&WRITES, TURNS, Target::Time(2.0))?;
    if let Some(others) = others {
        install(others)?;
        for other in &OTHERS {
            contest(other, TURNS_OF_OTHERS, Target::Time(1.0))?;
        }
    }
    Ok(())
}

/// Lets us and a rival take turns, and prints a row for either way.
fn contest(rival: &Way, turns: usize, target: Target) -> Result<()> {
    let (mut binds, mut releases) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    // In the first turn, programs are read that nobody has read before.
    for turn in 0..=turns {
        for ((way, binds), releases) in [&OURS, rival]
            .into_iter()
            .zip(&mut binds)
            .zip(&mut releases)
        {
            let bind = timed(way.name, way.bind, VFIO, [VFIO, DRIVER])?;
            let release = timed(way.name, way.release, DRIVER, ["\n", VFIO])?;
            if turn > 0 {
                binds.push(bind);
                releases.push(release);
            }
        }
    }
    for (what, [ours, theirs]) in [("bind", binds), ("release", releases)] {
        let turns = Turns::of(ours, theirs);
        println!("{}", row((what, rival.name), target, (1, 1), turns));
    }
    Ok(())
}

/// How many seconds it takes until `driver` has the device: by a command, or by the writes (an override, and from whom it
/// is taken).
fn timed(name: &str, words: &[&str], driver: &str, writes: [&str; 2]) -> Result<f64> {
    let start = Instant::now();
    match words {
        [] => bare(writes)?,
        [program, arguments @ ..] => run(program, arguments)?,
    }
    let time = start.elapsed().as_secs_f64();
    let link = fs::read_link(format!("/sys/bus/pci/devices/{DEVICE}/driver"));
    if link.is_ok_and(|link| link.ends_with(driver)) {
        return Ok(time);
    }
    Err(format!("{name}: {driver} does not have {DEVICE}").into())
}

fn bare([driver_override, former]: [&str; 2]) -> Result<()> {
    let write = |path: String, value: &str| -> Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        Ok(file.write_all(value.as_bytes())?)
    };
    let device = format!("/sys/bus/pci/devices/{DEVICE}");
    write(format!("{device}/driver_override"), driver_override)?;
    write(format!("/sys/bus/pci/drivers/{former}/unbind"), DEVICE)?;
    write("/sys/bus/pci/drivers_probe".to_owned(), DEVICE)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("cannot start {program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{program} {arguments:?}: {}: {said}", output.status).into())
}

/// Puts the tools in place, and what modprobe needs to know that the module is there.
fn install(rivals: &Path) -> Result<()> {
    const SCRIPT: &str = r#"
        set -e
        for folder in bin sbin usr/bin usr/sbin lib/udev usr/lib; do
            [ -d "$0/$folder" ] && cp -r "$0/$folder/." "/$folder/"
        done
        ln -sf /bin/kmod /sbin/modprobe
        ln -sf /bin/kmod /sbin/depmod
        modules=/lib/modules/$(uname -r)
        mkdir -p $modules
        echo kernel/drivers/vfio/pci/vfio-pci.ko >$modules/modules.builtin
        echo >$modules/modules.order
        /sbin/depmod
        modprobe vfio-pci
    "#;
    let rivals = rivals.to_str().ok_or("the folder's name is no text")?;
    run("sh", &["-c", SCRIPT, rivals])
}
