//! Recordings of simulated devices, and their replay.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use io_core::{
    AccessErrorKind, AccessWidth, ErrorKind, Fault, Io, PciDevice, Result, Width,
    contract::{broken, check},
    dma::{DmaBuffer, DmaOptions},
    irq::InterruptKind,
    record::{Answer, Call, Ending, Reader, Recording, Replay, Space},
    sim::{Edu, Loader, Model, Ram, SimulatedDevice, Trouble},
};
use std::{
    io,
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    time::Duration,
};

fn simulated(model: impl Model) -> SimulatedDevice {
    SimulatedDevice::new("0000:01:00.0".parse().unwrap(), model)
}

/// The recording of what `driver` does with an edu.
fn record<T>(driver: impl FnOnce(&dyn PciDevice) -> T) -> (T, Vec<u8>) {
    let device = simulated(Edu::new());
    let recording = Recording::new(&device, Vec::new()).unwrap();
    let result = driver(&recording);
    (result, recording.finish().unwrap())
}

/// A driver of edu, with all that it has: a factorial that is polled for and one with an interrupt, and DMA.
fn drive(device: &dyn PciDevice, n: u32) -> Result<(u32, Vec<u8>)> {
    device.set_bus_master(true)?;
    let bar = device.bar(0)?;
    let io = bar.io::<0x100>()?;
    io.try_write32(0x08, n)?;
    while io.try_read32(0x20)? & 1 != 0 {}
    let factorial = io.try_read32(0x08)?;

    let kind = InterruptKind::Msi;
    let vectors = device.interrupts().unwrap().enable(kind, 0..1)?;
    let copied = {
        let buffer = share(device)?;
        buffer
            .view()
            .copy_from_slice(0, b"to the device", AccessWidth::Auto)?;
        transfer(&io, buffer.iova().raw(), 0x4_0000, 13, 1)?;
        buffer.view().fill(0, 13, 0xa5, AccessWidth::Auto)?;
        transfer(&io, 0x4_0000, buffer.iova().raw(), 13, 7)?;
        assert_eq!(vectors[0].wait(Duration::from_secs(5))?, Some(1));
        let mut copied = vec![0; 13];
        buffer
            .view()
            .copy_to_slice(0, &mut copied, AccessWidth::Auto)?;
        copied
    };
    device.set_bus_master(false)?;
    Ok((factorial, copied))
}

fn share(device: &dyn PciDevice) -> Result<DmaBuffer> {
    let options = DmaOptions::default().address_bits(28);
    device.dma().unwrap().allocate(4096, options)?.share()
}

/// Lets the edu copy.
fn transfer(
    io: &io_core::BarIo<'_, io_core::Region<0x100>>,
    from: u64,
    to: u64,
    len: u64,
    command: u64,
) -> Result<()> {
    io.try_write64(0x80, from)?;
    io.try_write64(0x88, to)?;
    io.try_write64(0x90, len)?;
    Ok(io.try_write64(0x98, command)?)
}

#[test]
fn a_driver_gets_from_a_replay_what_it_got_from_the_device() {
    let (result, bytes) = record(|device| drive(device, 10));
    let recorded = result.unwrap();
    assert_eq!(recorded, (3_628_800, b"to the device".to_vec()));
    for _ in 0..2 {
        let replay = Replay::new(bytes.clone()).unwrap();
        assert_eq!(drive(&replay, 10).unwrap(), recorded);
        assert_eq!((replay.deviation(), replay.left()), (None, 0));
        assert_eq!(replay.ending(), Ending::Finished);
    }
}

#[test]
fn a_driver_that_does_something_else_is_told_where_and_fails_from_there_on() {
    let (_, bytes) = record(|device| drive(device, 10));
    let replay = Replay::new(bytes).unwrap();
    let error = drive(&replay, 11).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    let text = error.to_string();
    assert!(
        text.ends_with("the recording has something else at this place"),
        "{text}"
    );
    let deviation = replay.deviation().unwrap();
    assert_eq!(deviation.number, 3, "after bus mastering, and the BAR");
    assert_eq!(
        deviation.expected,
        "a write of 0xa (32 bits) at 0x8 of BAR 0"
    );
    assert_eq!(deviation.found, "a write of 0xb (32 bits) at 0x8 of BAR 0");
    // What was right before is wrong now.
    let bar = replay.bar(0).unwrap();
    let written = bar.io::<0x10>().unwrap().try_write32(0x08, 10);
    assert_eq!(
        written.unwrap_err().kind(),
        AccessErrorKind::Fault(Fault::Deviation)
    );
    let reset = replay.reset().unwrap_err();
    assert_eq!(reset.to_string(), deviation.to_string());
}

#[test]
fn each_kind_of_deviation_is_told() {
    let one_read = |device: &dyn PciDevice| {
        let bar = device.bar(0).unwrap();
        bar.io::<0x10>().unwrap().try_read32(0x04).unwrap()
    };
    let (_, bytes) = record(one_read);
    type Driver = fn(&dyn PciDevice) -> bool;
    let cases: [(Driver, &str, &str); 6] = [
        (
            |device| {
                device
                    .bar(0)
                    .unwrap()
                    .io::<16>()
                    .unwrap()
                    .try_read32(8)
                    .is_err()
            },
            "a read of 32 bits at 0x4 of BAR 0",
            "a read of 32 bits at 0x8 of BAR 0",
        ),
        (
            |device| {
                device
                    .bar(0)
                    .unwrap()
                    .io::<16>()
                    .unwrap()
                    .try_read64(0)
                    .is_err()
            },
            "a read of 32 bits at 0x4 of BAR 0",
            "a read of 64 bits at 0x0 of BAR 0",
        ),
        (
            |device| device.reset().is_err(),
            "a read of 32 bits at 0x4 of BAR 0",
            "a reset",
        ),
        (
            |device| device.bar(2).is_err(),
            "a request for BAR 0",
            "a request for BAR 2, the first one",
        ),
        (
            |device| device.config().try_write8(0x3c, 1).is_err(),
            "a read of 32 bits at 0x4 of BAR 0",
            "a write of 0x1 (8 bits) at 0x3c of configuration space",
        ),
        (
            |device| {
                let bar = device.bar(0).unwrap();
                let io = bar.io::<16>().unwrap();
                io.try_read32(4).is_ok() && io.try_read32(4).is_err()
            },
            "the end",
            "a read of 32 bits at 0x4 of BAR 0",
        ),
    ];
    for (driver, expected, found) in cases {
        let replay = Replay::new(bytes.clone()).unwrap();
        assert!(driver(&replay));
        let deviation = replay.deviation().unwrap();
        assert_eq!(
            (deviation.expected.as_str(), deviation.found.as_str()),
            (expected, found)
        );
    }
}

#[test]
fn configuration_space_is_read_in_any_order_as_often_as_one_likes() {
    let (_, bytes) = record(|device| {
        device.set_bus_master(true).unwrap();
        device.config().try_read16(4).unwrap()
    });
    let replay = Replay::new(bytes).unwrap();
    for _ in 0..3 {
        assert!(replay.is_present());
        assert_eq!(replay.config().try_read32(0).unwrap(), 0x11e8_1234);
    }
    assert_eq!(
        replay.config().try_read16(4).unwrap(),
        2,
        "as it was at first"
    );
    replay.set_bus_master(true).unwrap();
    assert_eq!(replay.config().try_read16(4).unwrap(), 6);
    assert_eq!(replay.config().try_read16(4).unwrap(), 6);
    assert_eq!(replay.deviation(), None);
}

#[test]
fn the_contract_is_kept_by_a_recording_and_by_its_replay() {
    let devices = [
        simulated(Edu::new()),
        simulated(Ram::new("memory", 64)),
        simulated(Loader::new(0x100, Width::U32)),
    ];
    for device in devices {
        let bare = check(&device);
        let recording = Recording::new(&device, Vec::new()).unwrap();
        let recorded = check(&recording);
        assert_eq!(recorded, bare);
        assert_eq!(broken(&recorded).count(), 0);
        let replay = Replay::new(recording.finish().unwrap()).unwrap();
        assert_eq!(check(&replay), bare);
        assert_eq!((replay.deviation(), replay.left()), (None, 0));
    }
}

#[test]
fn faults_come_back_and_errors_with_their_hints() {
    let device = simulated(Ram::new("memory", 64));
    device.trouble(Trouble::LostAfter(1));
    let driver = |device: &dyn PciDevice| {
        let bar = device.bar(0).unwrap();
        let io = bar.io::<16>().unwrap();
        let missing = device.bar(3).unwrap_err();
        let enabled = device
            .interrupts()
            .unwrap()
            .enable(InterruptKind::Intx, 0..1);
        (
            io.try_read8(1).unwrap(),
            io.try_write16(2, 7).unwrap_err(),
            io.try_read8(1).unwrap_err(),
            (missing.kind(), missing.to_string()),
            enabled.unwrap_err().to_string(),
        )
    };
    let recording = Recording::new(&device, Vec::new()).unwrap();
    let recorded = driver(&recording);
    assert!(recorded.2.is_lost());
    let replay = Replay::new(recording.finish().unwrap()).unwrap();
    assert_eq!(driver(&replay), recorded);
}

#[test]
#[cfg_attr(miri, ignore = "it takes so long there that the times take more bytes")]
fn a_common_read_takes_less_than_ten_bytes() {
    let len = |reads| {
        let (_, bytes) = record(|device| {
            let bar = device.bar(0).unwrap();
            let io = bar.io::<0x100>().unwrap();
            // Seven bytes of 32 bits are as many as there can be.
            io.try_write32(0x04, 0).unwrap();
            for _ in 0..reads {
                assert_eq!(io.try_read32(0x04).unwrap(), u32::MAX);
            }
        });
        bytes.len()
    };
    let (none, many) = (len(0), len(1000));
    let each = (many - none).div_ceil(1000);
    assert!(each < 10, "{each} bytes");
}

#[test]
fn a_recording_replays_up_to_where_it_is_cut() {
    let (result, bytes) = record(|device| drive(device, 5));
    result.unwrap();
    let whole: Vec<_> = Reader::new(&bytes).unwrap().collect();
    let mut began = 0;
    // Under Miri, some of them.
    let step = if cfg!(miri) { 89 } else { 1 };
    for len in (0..bytes.len()).step_by(step) {
        let cut = &bytes[..len];
        let Ok(mut reader) = Reader::new(cut) else {
            assert!(Replay::new(cut).is_err());
            continue;
        };
        began += 1;
        let entries: Vec<_> = reader.by_ref().collect();
        assert_eq!(entries, whole[..entries.len()]);
        assert_eq!(reader.ending(), Some(Ending::Cut));
        let replay = Replay::new(cut).unwrap();
        assert_eq!(replay.ending(), Ending::Cut);
        let deviation = match drive(&replay, 5) {
            // What lets go of things may be missing.
            Ok(_) => continue,
            Err(_) => replay.deviation().unwrap(),
        };
        assert!(
            deviation.expected == "the place where it is cut off"
                // The BAR is named before it is read.
                || deviation.found.ends_with("the first one"),
            "{deviation}"
        );
    }
    assert!(began > 100 / step, "{began}");
}

#[test]
fn damaged_recordings_end_or_deviate_and_nothing_panics() {
    let (result, bytes) = record(|device| drive(device, 5));
    result.unwrap();
    // Under Miri, some of them.
    let step = if cfg!(miri) { 389 } else { 1 };
    for bit in (0..8 * bytes.len()).step_by(step) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(replay) = Replay::new(damaged) else {
            continue;
        };
        // A buffer is as long as the driver asks, and the recording says nothing of it.
        if let Err(error) = drive_on_anything(&replay) {
            assert!(!error.to_string().is_empty());
        }
        _ = check(&replay);
    }
}

/// As [`drive`], and takes whatever it is given.
fn drive_on_anything(device: &dyn PciDevice) -> Result<()> {
    device.set_bus_master(true)?;
    let bar = device.bar(0)?;
    let io = bar.io::<0x100>()?;
    io.try_write32(0x08, 5)?;
    io.try_read32(0x20)?;
    io.try_read32(0x08)?;
    let Some(interrupts) = device.interrupts() else {
        return Ok(());
    };
    let vectors = interrupts.enable(InterruptKind::Msi, 0..1)?;
    if device.dma().is_none() {
        return Ok(());
    }
    let buffer = share(device)?;
    buffer
        .view()
        .copy_from_slice(0, b"to the device", AccessWidth::Auto)?;
    transfer(&io, buffer.iova().raw(), 0x4_0000, 13, 1)?;
    buffer.view().fill(0, 13, 0xa5, AccessWidth::Auto)?;
    transfer(&io, 0x4_0000, buffer.iova().raw(), 13, 7)?;
    vectors[0].wait(Duration::from_secs(5))?;
    buffer.unshare()?;
    device.set_bus_master(false)
}

/// The same as the fuzz target `recording` does, on what it begins with: recordings of this test's driver and of the
/// contract, on a simulated edu.
#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_corpus_of_the_fuzz_target_is_read_and_replayed() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/recording");
    for name in ["driver", "contract"] {
        let bytes = std::fs::read(format!("{corpus}/{name}")).unwrap();
        let replay = Replay::new(bytes).unwrap();
        match name {
            "driver" => drop(drive(&replay, 10).unwrap()),
            _ => assert_eq!(broken(&check(&replay)).count(), 0),
        }
        assert_eq!((replay.deviation(), replay.left()), (None, 0));
    }
}

#[test]
#[ignore = "makes the files of the fuzz target anew"]
fn the_corpus_of_the_fuzz_target_is_made() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/recording");
    std::fs::create_dir_all(corpus).unwrap();
    let (_, driver) = record(|device| drive(device, 10).unwrap());
    let (_, contract) = record(check);
    std::fs::write(format!("{corpus}/driver"), driver).unwrap();
    std::fs::write(format!("{corpus}/contract"), contract).unwrap();
}

#[test]
fn what_is_no_recording_or_a_newer_one_is_refused_with_a_sentence() {
    let (_, bytes) = record(|_| ());
    let error = Replay::new(&b"\x7fELF and so on"[..]).unwrap_err();
    assert_eq!(error.to_string(), "this is not a recording");
    let mut newer = bytes;
    newer[8] = 2;
    let error = Replay::new(newer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = "the recording is of version 2, and this program reads version 1";
    assert_eq!(error.to_string(), message);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("the version of Outboard that wrote it")
    );
}

/// A sink that takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[cfg_attr(miri, ignore = "it fills a buffer, which takes Miri minutes")]
fn a_sink_that_fails_does_not_stop_the_driver_and_is_told_at_the_end() {
    let device = simulated(Edu::new());
    let recording = Recording::new(&device, Full(5_000)).unwrap();
    // Each adds eight bytes or more.
    for _ in 0..2_500 {
        assert!(recording.is_present());
        recording.config().try_read32(0).unwrap();
    }
    assert_eq!(drive(&recording, 10).unwrap().0, 3_628_800);
    let error = recording.finish().err().unwrap();
    assert_eq!(error.to_string(), "the recording is not whole");
}

#[test]
fn threads_take_the_turns_that_they_had() {
    let device = simulated(Ram::new("memory", 64));
    let recording = Recording::new(&device, Vec::new()).unwrap();
    // Each writes its number a hundred times; the other is in between, as it happened.
    let work = |device: &dyn PciDevice| {
        std::thread::scope(|scope| {
            for number in 1..=2_u32 {
                scope.spawn(move || {
                    let bar = device.bar(0).unwrap();
                    let io = bar.io::<16>().unwrap();
                    for _ in 0..100 {
                        io.try_write32(0, number).unwrap();
                        std::thread::yield_now();
                    }
                });
            }
        });
    };
    work(&recording);
    let bytes = recording.finish().unwrap();
    let replay = Replay::new(bytes).unwrap();
    work(&replay);
    assert_eq!((replay.deviation(), replay.left()), (None, 0));
}

#[test]
fn a_descriptor_is_readable_when_it_is_its_turn() {
    let driver = |device: &dyn PciDevice, told: &dyn Fn(&dyn io_core::irq::Interrupt)| {
        let kind = InterruptKind::Msi;
        device.set_bus_master(true).unwrap();
        let vectors = device.interrupts().unwrap().enable(kind, 0..1).unwrap();
        let bar = device.bar(0).unwrap();
        let io = bar.io::<0x100>().unwrap();
        io.try_write32(0x60, 1).unwrap();
        told(&*vectors[0]);
        assert_eq!(vectors[0].wait(Duration::ZERO).unwrap(), Some(1));
        io.try_write32(0x64, 1).unwrap();
    };
    let (_, bytes) = record(|device| driver(device, &|_| ()));
    let replay = Replay::new(bytes).unwrap();
    let seen = Mutex::new(false);
    driver(&replay, &|vector| {
        let fd = vector.as_fd().try_clone_to_owned().unwrap();
        let mut byte = [0];
        // It would block, and fails instead, if it were not readable.
        let read = UnixStream::from(fd).read(&mut byte);
        *seen.lock().unwrap() = read.is_ok();
    });
    assert!(*seen.lock().unwrap());
    assert_eq!(replay.deviation(), None);
}

#[test]
fn the_entries_say_what_was_done_and_when() {
    let (_, bytes) = record(|device| {
        let bar = device.bar(0).unwrap();
        std::thread::sleep(Duration::from_millis(3));
        bar.io::<4>().unwrap().try_read32(0).unwrap();
    });
    let entries: Vec<_> = Reader::new(&bytes).unwrap().collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].answer, Answer::Bar(1 << 20, Width::U64));
    let call = Call::Read {
        space: Space::Bar(0),
        at: 0,
        width: Width::U32,
    };
    assert_eq!(
        (&entries[1].call, &entries[1].answer),
        (&call, &Answer::Value(0x0100_00ed))
    );
    let between = entries[1].time - entries[0].time;
    assert!(between >= Duration::from_millis(3), "{between:?}");
}

#[test]
fn what_a_driver_keeps_works_after_the_end_of_the_recording() {
    let device = simulated(Edu::new());
    let recording = Recording::new(&device, Vec::new()).unwrap();
    let bar = recording.bar(0).unwrap();
    let bytes = recording.finish().unwrap();
    assert_eq!(bar.io::<4>().unwrap().try_read32(0).unwrap(), 0x0100_00ed);
    assert_eq!(Reader::new(&bytes).unwrap().count(), 1);
}

#[test]
fn a_recording_can_go_on_to_another_thread() {
    fn sendable<T: Send + Sync>(_: &T) {}
    let device = simulated(Edu::new());
    let recording = Recording::new(&device, Vec::new()).unwrap();
    sendable(&recording);
    let replay = Arc::new(Replay::new(recording.finish().unwrap()).unwrap());
    sendable(&replay);
}
