//! Regions that are reached by calls: a BAR behind pread and pwrite, configuration space, a simulated
//! and a recorded device.
#![expect(unsafe_code, reason = "makes views of memory that the tests own")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod memory;

use io_core::{
    AccessErrorKind, AccessWidth, ConfigSpace, Error, ErrorKind, Fault, IndirectIo, Io,
    MappingName, Offset, Region, RegionOps, TryIoCapable, UntypedRegion, Width,
    pci::Command,
    sim::{Ram, Recorder},
};
use memory::{CANARY, MARGIN, Memory};
use std::{
    error,
    fs::File,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

/// What a driver does that knows nothing of what carries its accesses out.
fn drive<'a, V: Io<'a, Target: UntypedRegion>>(io: V) -> Result<u32, io_core::AccessError>
where
    V::Backend: TryIoCapable<u8> + TryIoCapable<u16> + TryIoCapable<u32>,
{
    io.try_write32(0x10, 0x0403_0201)?;
    io.try_write16(0x12, 0x5554)?;
    io.try_write8(0x11, 0x33)?;
    io.try_read32(0x10)
}

/// A region of a file, as VFIO and sysfs have them.
#[derive(Debug)]
struct FileRegion(File, usize);

impl RegionOps for FileRegion {
    fn name(&self) -> String {
        "BAR 1 of 0000:00:13.0".to_owned()
    }

    fn size(&self) -> usize {
        self.1
    }

    fn read(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        let done = self.0.read_at(bytes, at.bytes().try_into().unwrap());
        whole(done, bytes.len())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        let done = self.0.write_at(bytes, at.bytes().try_into().unwrap());
        whole(done, bytes.len())
    }
}

fn whole(done: std::io::Result<usize>, len: usize) -> Result<(), Fault> {
    match done {
        Ok(done) if done == len => Ok(()),
        Ok(done) => Err(Fault::Short { done }),
        Err(error) => Err(Fault::from_errno(error.raw_os_error().unwrap())),
    }
}

#[test]
fn one_driver_runs_on_every_backend() {
    let ram = Ram::new("memory", 0x40);
    let mapped = Memory::new(0x40);
    let recorder = Recorder::new(&ram);
    assert_eq!(
        drive(IndirectIo::<Region>::new(&ram).unwrap()),
        Ok(0x5554_3301)
    );
    assert_eq!(
        drive(IndirectIo::<Region>::new(&recorder).unwrap()),
        Ok(0x5554_3301)
    );
    assert_eq!(
        drive(ConfigSpace::<Region<0>>::new(&ram).unwrap()),
        Ok(0x5554_3301)
    );
    assert_eq!(drive(mapped.mmio::<0>()), Ok(0x5554_3301));
    assert_eq!(drive(mapped.mmio::<0>().relaxed()), Ok(0x5554_3301));
    assert_eq!(drive(mapped.sys_mem::<0>()), Ok(0x5554_3301));
    // Little-endian in memory, whoever wrote it.
    assert_eq!(ram.bytes()[0x10..0x14], [0x01, 0x33, 0x54, 0x55]);
    assert_eq!(mapped.all()[MARGIN..][0x10..0x14], [0x01, 0x33, 0x54, 0x55]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no files")]
fn a_region_of_a_file_is_read_and_written_in_place() {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&[0xee; 0x40], 0).unwrap();
    let bar = FileRegion(file.try_clone().unwrap(), 0x40);
    assert_eq!(
        drive(IndirectIo::<Region>::new(&bar).unwrap()),
        Ok(0x5554_3301)
    );
    let mut bytes = [0; 6];
    file.read_exact_at(&mut bytes, 0x0f).unwrap();
    assert_eq!(bytes, [0xee, 0x01, 0x33, 0x54, 0x55, 0xee]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no files")]
fn a_short_transfer_and_a_refused_one_are_errors_that_say_so() {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&[0; 0x3e], 0).unwrap();
    let bar = FileRegion(file, 0x40);
    let io = IndirectIo::<Region>::new(&bar).unwrap();
    let short = io.try_read32(0x3c).unwrap_err();
    assert_eq!(
        short.kind(),
        AccessErrorKind::Fault(Fault::Short { done: 2 })
    );
    assert_eq!(
        short.to_string(),
        "the access to 4 bytes at offset 0x3c of BAR 1 of 0000:00:13.0 (0x40 bytes) failed: only 2 \
         bytes were transferred"
    );

    // A file that is open for reading only.
    let bar = FileRegion(File::open("/proc/self/exe").unwrap(), 0x40);
    let refused = IndirectIo::<Region>::new(&bar)
        .unwrap()
        .try_write8(0, 0)
        .unwrap_err();
    let error = Error::from(refused.clone());
    assert_eq!(error.errno(), Some(9), "EBADF, as pwrite(2) has it");
    assert!(
        error::Error::source(&refused)
            .unwrap()
            .to_string()
            .contains("Bad file descriptor")
    );
}

#[test]
fn a_lost_device_is_an_error_of_its_own_kind() {
    let ram = Ram::new("BAR 0 of a simulated device", 0x40).with_fault(1, Fault::Lost);
    let bar = IndirectIo::<Region>::new(&ram).unwrap();
    bar.try_read32(0).unwrap();
    let lost = bar.try_read32(4).unwrap_err();
    assert!(lost.is_lost());
    assert_eq!((lost.offset(), lost.len(), lost.size()), (4, 4, 0x40));
    assert_eq!(
        lost.to_string(),
        "the access to 4 bytes at offset 0x4 of BAR 0 of a simulated device (0x40 bytes) failed: the \
         device does not answer any more"
    );
    assert_eq!(Error::from(lost).kind(), ErrorKind::Lost);
    assert_eq!(
        Fault::from_errno(19),
        Fault::Lost,
        "ENODEV, as the kernel's errno-base.h has it"
    );
}

#[test]
fn a_lost_device_is_reported_by_what_is_mapped_too() {
    let (memory, other) = (Memory::new(0x20), Memory::new(0x20));
    let name = MappingName::new(memory.base(), 0x20, "BAR 0 of 0000:00:03.0");
    let _other = MappingName::new(other.base(), 0x20, "BAR 1 of 0000:00:04.0");
    memory
        .mmio::<0>()
        .fill(0, 0x20, 0xff, AccessWidth::Auto)
        .unwrap();
    name.set_lost(true);
    assert!(name.is_lost());
    for view in [
        memory.mmio::<0>(),
        memory.mmio::<0>().subview(8, 16).unwrap(),
    ] {
        assert!(view.try_read32(0).unwrap_err().is_lost());
        assert!(view.relaxed().try_read8(1).unwrap_err().is_lost());
        assert!(view.try_write16(0, u16::MAX).unwrap_err().is_lost());
        let mut bytes = [0; 4];
        let copied = view.copy_to_slice(0, &mut bytes, AccessWidth::Auto);
        assert!(copied.unwrap_err().is_lost());
        let map = io_core::SysOrIoMap::from(view);
        assert!(map.try_read64(0).unwrap_err().is_lost());
        assert!(
            map.fill(0, 3, 0xff, AccessWidth::Auto)
                .unwrap_err()
                .is_lost()
        );
    }
    assert_eq!(other.mmio::<0>().try_write32(0, u32::MAX), Ok(()));
    assert_eq!(
        other.mmio::<0>().try_read32(0),
        Ok(u32::MAX),
        "all ones are a value"
    );

    name.set_lost(false);
    assert_eq!(memory.mmio::<0>().try_read32(0), Ok(u32::MAX));
}

#[test]
fn command_is_written_at_16_bits_only() {
    // Status, read back and written again, would clear what was set in it.
    let ram = Ram::with_bytes("configuration space", [0xff; 64]);
    let recorder = Recorder::new(&ram);
    let config = ConfigSpace::<Region<64>>::new(&recorder).unwrap();
    let refused = |result: Result<(), io_core::AccessError>| {
        let kind = result.unwrap_err().kind();
        assert_eq!(kind, AccessErrorKind::Fault(Fault::Width));
    };
    refused(config.try_write32(4, 0));
    refused(config.copy_from_slice(0, &[0; 16], AccessWidth::Auto));
    refused(config.copy_from_slice(4, &[0; 4], AccessWidth::Exact(Width::U32)));
    refused(config.fill(6, 1, 0, AccessWidth::Auto));
    assert_eq!(recorder.take(), []);
    config.try_write16(4, 6).unwrap();
    config
        .copy_from_slice(4, &[7, 0], AccessWidth::Exact(Width::U16))
        .unwrap();
    config
        .copy_from_slice(8, &[0; 16], AccessWidth::Auto)
        .unwrap();
    let widths: Vec<_> = recorder.take().iter().map(|a| a.width.bytes()).collect();
    assert_eq!(widths, [2, 2, 4, 4, 4, 4], "never more than 32 bits");
}

#[test]
fn a_region_behind_a_pointer_can_be_kept_and_given_away() {
    let ram = std::sync::Arc::new(Ram::new("memory", 16));
    let recorder = std::sync::Arc::new(Recorder::new(std::sync::Arc::clone(&ram)));
    let bar = io_core::Bar::called(std::sync::Arc::clone(&recorder));
    bar.io::<16>().unwrap().try_write32(4, 7).unwrap();
    assert_eq!((recorder.take().len(), ram.bytes()[4]), (1, 7));
}

#[test]
fn a_copy_that_breaks_off_says_where() {
    let ram = Ram::new("BAR 0 of a simulated device", 0x40).with_fault(3, Fault::Os(5));
    let bar = IndirectIo::<Region>::new(&ram).unwrap();
    let part = bar.subview::<0>(0x10, 0x30).unwrap();
    let image: Vec<u8> = (1..=0x20).collect();
    let error = part
        .copy_from_slice(4, &image, AccessWidth::Exact(Width::U32))
        .unwrap_err();
    assert_eq!((error.offset(), error.len()), (4 + 12, 4));
    let region = error.region().unwrap();
    assert_eq!((region.offset, error.size()), (0x10, 0x30));
    let mut expected = [0; 0x40];
    expected[0x14..0x20].copy_from_slice(&image[..12]);
    assert_eq!(ram.bytes(), expected, "what came before the fault is there");
}

#[test]
fn nothing_is_called_for_an_access_that_does_not_fit() {
    let ram = Ram::new("memory", 0x11);
    let recorder = Recorder::new(&ram);
    let bar = IndirectIo::<Region>::new(&recorder).unwrap();
    assert!(bar.try_read32(0x0e).is_err(), "misaligned");
    assert!(bar.try_write16(0x10, 0).is_err(), "past the end");
    assert!(bar.try_read8(usize::MAX).is_err());
    assert!(
        bar.copy_from_slice(0, &[0; 0x12], AccessWidth::Auto)
            .is_err()
    );
    assert!(IndirectIo::<Region<0x12>>::new(&recorder).is_err());
    assert_eq!(recorder.take(), []);
}

#[test]
fn an_access_that_is_too_wide_for_the_region_is_refused_before_the_call() {
    let ram = Ram::new("memory", 0x10).with_widest(Width::U32);
    let recorder = Recorder::new(&ram);
    let bar = IndirectIo::<Region>::new(&recorder).unwrap();
    let error = bar.try_write64(0, 0).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Fault(Fault::Width));
    let error = bar
        .copy_from_slice(0, &[0; 8], AccessWidth::Exact(Width::U64))
        .unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Fault(Fault::Width));
    assert_eq!(recorder.take(), []);
    bar.copy_from_slice(0, &[0; 8], AccessWidth::Auto).unwrap();
    assert_eq!(recorder.take().len(), 2, "two of 32 bits");
}

#[test]
fn a_mapped_region_can_be_recorded() {
    let memory = Memory::new(0x20);
    let _name = MappingName::new(memory.base(), 0x20, "BAR 0 of 0000:00:03.0");
    let mapped = memory.mmio::<0>();
    let recorder = Recorder::new(&mapped);
    let bar = IndirectIo::<Region<0x10>>::new(&recorder).unwrap();
    bar.try_write64(8, 0x0807_0605_0403_0201).unwrap();
    assert_eq!(bar.try_read16(0x0e), Ok(0x0807));
    assert_eq!(bar.try_read8(9), Ok(2));
    let mut expected = [CANARY; 0x20];
    expected[8..16].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    memory.assert_is(&expected);
    let accesses: Vec<_> = recorder
        .take()
        .iter()
        .map(|a| (a.write, a.at.bytes(), a.width, a.value.unwrap()))
        .collect();
    assert_eq!(
        accesses,
        [
            (true, 8, Width::U64, 0x0807_0605_0403_0201),
            (false, 14, Width::U16, 0x0807),
            (false, 9, Width::U8, 2)
        ]
    );
    assert_eq!(recorder.name(), "BAR 0 of 0000:00:03.0");
}

/// Command, behind a bus that takes its time between what it reads and what it is asked next.
#[derive(Debug)]
struct SlowCommand(AtomicU16);

impl RegionOps for SlowCommand {
    fn name(&self) -> String {
        "configuration space of 0000:00:14.0".to_owned()
    }

    fn size(&self) -> usize {
        256
    }

    fn read(&self, _: Offset, bytes: &mut [u8]) -> Result<(), Fault> {
        bytes.copy_from_slice(&self.0.load(Ordering::SeqCst).to_le_bytes());
        thread::sleep(Duration::from_millis(1));
        Ok(())
    }

    fn write(&self, at: Offset, bytes: &[u8]) -> Result<(), Fault> {
        assert_eq!((at.bytes(), bytes.len()), (4, 2), "Status is left alone");
        let command = u16::from_le_bytes(bytes.try_into().unwrap());
        self.0.store(command, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn threads_that_change_bits_of_command_leave_each_other_theirs() {
    let slow = SlowCommand(AtomicU16::new(0));
    let change = |bit: Command| {
        let config: ConfigSpace<'_> = ConfigSpace::new(&slow).unwrap();
        for _ in 0..10 {
            for on in [true, false, true] {
                config.set_command(bit, on).unwrap();
                let now = Command::from_bits(slow.0.load(Ordering::SeqCst));
                assert_eq!(now.contains(bit), on);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| change(Command::BUS_MASTER));
        scope.spawn(|| change(Command::INTERRUPT_DISABLE));
    });
    let both = Command::BUS_MASTER.with(Command::INTERRUPT_DISABLE);
    assert_eq!(slow.0.load(Ordering::SeqCst), both.bits());
}
