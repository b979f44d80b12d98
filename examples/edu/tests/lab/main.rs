//! The driver on QEMU's edu, in the lab.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "it is shown if a test fails")]

mod survive;
mod users;

use edu::{Edu, MEMORY_SIZE};
use io_core::{
    ErrorKind, Io, PciDevice,
    irq::InterruptKind::{self, Intx, Msi},
};
use lab_guest::{Bound, ByCalls, modes};
use std::{fs, process::Command};
use vfio_backend::VfioDevice;

/// Runs `test` on both of the lab's edus (docs/lab.md), in each mode that the kernel has.
fn on_each(test: impl Fn(&VfioDevice)) {
    for address in ["00:03.0", "01:00.0"] {
        for mode in modes() {
            eprintln!("{address}, {mode}");
            let bound = Bound::new(address);
            test(&bound.open_in(mode));
        }
    }
}

/// The driver, waiting in each way that there is.
fn in_each_way(device: &dyn PciDevice, test: impl Fn(&Edu<'_>)) {
    let ways: [Option<InterruptKind>; 3] = [None, Some(Msi), Some(Intx)];
    for way in ways {
        eprintln!("  {way:?}");
        let mut edu = Edu::new(device).unwrap();
        if let Some(kind) = way {
            edu.use_interrupt_of(kind).unwrap();
        }
        test(&edu);
    }
}

#[test]
#[ignore = "needs the lab"]
fn the_device_is_known_and_alive() {
    on_each(|device| {
        let edu = Edu::new(device).unwrap();
        // QEMU's docs/specs/edu.rst: 0x010000ed is version 1.0.
        assert_eq!(edu.version(), (1, 0));
        for value in [0, 1, 0xdead_beef, u32::MAX] {
            edu.check_liveness(value).unwrap();
        }
    });
}

#[test]
#[ignore = "needs the lab"]
fn factorials_are_right_by_polling_by_msi_and_by_intx() {
    on_each(|device| {
        in_each_way(device, |edu| {
            for (n, factorial) in [(0, 1), (1, 1), (5, 120), (12, 479_001_600)] {
                assert_eq!(edu.factorial(n).unwrap(), factorial);
            }
            assert_eq!(
                edu.factorial(13).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        });
    });
}

#[test]
#[ignore = "needs the lab"]
fn what_is_raised_comes_and_is_acknowledged() {
    on_each(|device| {
        let mut edu = Edu::new(device).unwrap();
        assert_eq!(edu.raise(1).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(edu.use_interrupt().unwrap(), Msi);
        for kind in [Msi, Intx] {
            edu.use_interrupt_of(kind).unwrap();
            for causes in [1, 2, 0x8000_0000, 0x0f0f] {
                edu.raise(causes).unwrap();
                let pending = device
                    .bar(0)
                    .unwrap()
                    .io::<0x100>()
                    .unwrap()
                    .try_read32(0x24);
                assert_eq!(pending, Ok(0), "{kind}");
            }
        }
    });
}

#[test]
#[ignore = "needs the lab"]
fn what_is_copied_to_the_device_comes_back() {
    on_each(|device| {
        in_each_way(device, |edu| {
            let image: Vec<u8> = (0..=250).cycle().take(MEMORY_SIZE).collect();
            edu.write(0, &image).unwrap();
            edu.write(100, b"a patch").unwrap();
            let mut all = vec![0; MEMORY_SIZE];
            edu.read(0, &mut all).unwrap();
            assert_eq!(&all[100..107], b"a patch");
            assert_eq!((&all[..100], &all[107..]), (&image[..100], &image[107..]));
            let mut end = [0; 3];
            edu.read(MEMORY_SIZE - 3, &mut end).unwrap();
            assert_eq!(end, image[MEMORY_SIZE - 3..]);
            let error = edu.read(MEMORY_SIZE - 2, &mut end).unwrap_err();
            assert!(
                error.to_string().contains("do not fit in the 0xfff bytes"),
                "{error}"
            );
        });
    });
}

#[test]
#[ignore = "needs the lab"]
fn bus_mastering_is_off_when_the_driver_has_gone() {
    on_each(|device| {
        // PCI Local Bus 3.0 section 6.2.2: bit 2 of Command.
        let bus_master = || device.config().try_read16(4).unwrap() & 4 != 0;
        let edu = Edu::new(device).unwrap();
        assert!(bus_master());
        drop(edu);
        assert!(!bus_master());
    });
}

#[test]
#[ignore = "needs the lab"]
fn it_runs_on_a_bar_that_is_reached_by_calls() {
    let bound = Bound::new("00:03.0");
    let device = ByCalls(bound.open().unwrap());
    assert!(device.bar(0).unwrap().mmio::<4>().is_err());
    in_each_way(&device, |edu| {
        assert_eq!(edu.factorial(6).unwrap(), 720);
        let mut back = [0; 9];
        edu.write(8, b"there and").unwrap();
        edu.read(8, &mut back).unwrap();
        assert_eq!(&back, b"there and");
    });
}

/// What the command says, without its first line, which has the backend and the reason.
fn said(backend: Option<&str>) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edu"));
    command.arg("00:03.0");
    if let Some(backend) = backend {
        command.args(["--backend", backend]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{backend:?}: {error}");
    eprintln!("{text}");
    let (first, rest) = text.split_once('\n').unwrap();
    (first.to_owned(), rest.to_owned())
}

/// What is recorded here is replayed on the host, by `tests/recorded.rs`.
#[test]
#[ignore = "needs the lab"]
fn the_command_records_what_it_does() {
    let _bound = Bound::new("00:03.0");
    for mode in modes() {
        let file = lab_guest::results().join(format!("edu-{mode}.rec"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_edu"));
        command.args(["00:03.0", "--backend", &mode.to_string(), "--record"]);
        let output = command.arg(&file).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{mode}: {error}");
        fs::write(file.with_extension("txt"), &output.stdout).unwrap();
        let recorded = fs::metadata(&file).unwrap().len();
        eprintln!("{mode}: {recorded} bytes");
        // It replays here as well, without the device's backend.
        let mut command = Command::new(env!("CARGO_BIN_EXE_edu"));
        let replayed = command.arg("--replay").arg(&file).output().unwrap();
        let rest = |output: Vec<u8>| {
            let text = String::from_utf8(output).unwrap();
            text.split_once('\n').unwrap().1.to_owned()
        };
        assert_eq!(rest(replayed.stdout), rest(output.stdout));
    }
}

#[test]
#[ignore = "needs the lab"]
fn the_command_does_all_that_each_backend_lets_it_do() {
    let whole = |kind| {
        format!(
            "alive\npolled: 10! = 3628800\npolled: 4095 bytes copied there and back\n\
             {kind}: raised and acknowledged\n{kind}: 12! = 479001600\n{kind}: 4095 bytes copied there and back\n"
        )
    };
    {
        let _bound = Bound::new("00:03.0");
        for mode in modes() {
            let (first, rest) = said(Some(&mode.to_string()));
            let by = format!("edu 1.0 at 0000:00:03.0, by {mode}: it was asked for");
            assert_eq!((first, rest), (by, whole("MSI")));
        }
        assert_eq!(said(None).1, whole("MSI"));
    }
    let none = "polled: no memory for it, and so no copies\n";
    {
        let _bound = Bound::to("00:03.0", "uio_pci_generic");
        let (first, rest) = said(None);
        let by = "edu 1.0 at 0000:00:03.0, by uio: it is bound to uio_pci_generic";
        let there = format!(
            "alive\npolled: 10! = 3628800\n{none}INTx: raised and acknowledged\nINTx: 12! = 479001600\n{}",
            none.replace("polled", "INTx")
        );
        assert_eq!((first.as_str(), rest), (by, there));
    }
    let (first, rest) = said(Some("sysfs"));
    assert_eq!(first, "edu 1.0 at 0000:00:03.0, by sysfs: it was asked for");
    let there = format!("alive\npolled: 10! = 3628800\n{none}no interrupts come by sysfs\n");
    assert_eq!(rest, there);
}
