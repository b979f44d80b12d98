//! What raises SIGBUS without any device is a shared mapping of a file that was cut short (mmap(2)): BUS_ADRERR, as a BAR
//! that does not answer.
#![expect(unsafe_code, reason = "accesses mappings that fail")]
#![expect(clippy::unwrap_used, reason = "in what tests share")]

use bus_fault::{Guard, Moment};
use memmap2::{MmapOptions, MmapRaw};
use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

const PAGE: usize = 4096;

/// Whether it is quiet is the process's affair.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mapping of zeroes that can be taken away and given back.
struct Device {
    map: MmapRaw,
    file: File,
    pages: usize,
}

impl Device {
    fn new(pages: usize) -> Self {
        let file = tempfile::tempfile().unwrap();
        file.set_len(u64::try_from(pages * PAGE).unwrap()).unwrap();
        let map = MmapOptions::new().len(pages * PAGE).map_raw(&file);
        let map = map.unwrap();
        Self { map, file, pages }
    }

    fn guard(&self) -> Guard {
        // SAFETY: the mapping is the device's alone, and lives longer than the guard: tests drop that first.
        unsafe { Guard::new(self.map.as_mut_ptr(), self.pages * PAGE).unwrap() }
    }

    /// Maps all of it again, in the same place.
    fn map_again(&self) -> io::Result<()> {
        let base = self.map.as_mut_ptr();
        // SAFETY: it takes the place of the mapping, which stays ours.
        let again = unsafe {
            libc::mmap(
                base.cast(),
                self.pages * PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                self.file.as_raw_fd(),
                0,
            )
        };
        if again == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Leaves it this many pages.
    fn cut(&self, pages: usize) {
        let bytes = u64::try_from(pages * PAGE).unwrap();
        self.file.set_len(bytes).unwrap();
    }

    fn read<T>(&self, offset: usize) -> T {
        assert!(offset + size_of::<T>() <= self.pages * PAGE);
        let place = self.map.as_ptr().wrapping_add(offset).cast::<T>();
        // SAFETY: it is mapped, and a fault is survived.
        unsafe { place.read_volatile() }
    }

    fn write(&self, offset: usize, value: u32) {
        assert!(offset + 4 <= self.pages * PAGE);
        let place = self.map.as_mut_ptr().wrapping_add(offset).cast::<u32>();
        // SAFETY: it is mapped, and a fault is survived.
        unsafe { place.write_volatile(value) };
    }
}

#[test]
fn what_is_gone_reads_as_ones_of_every_width() {
    let _alone = alone();
    let device = Device::new(4);
    let guard = device.guard();
    assert_eq!((device.read::<u32>(8), guard.is_lost()), (0, false));
    device.cut(0);
    assert_eq!(device.read::<u8>(3), u8::MAX);
    assert_eq!(device.read::<u16>(PAGE + 2), u16::MAX);
    assert_eq!(device.read::<u32>(2 * PAGE + 4), u32::MAX);
    assert_eq!(device.read::<u64>(4 * PAGE - 8), u64::MAX);
    assert!(guard.is_lost());
    assert!(!Moment::now().is_quiet_since());
    drop(guard);
    assert!(Moment::now().is_quiet_since());
}

#[test]
fn a_write_to_what_is_gone_is_survived() {
    let _alone = alone();
    let device = Device::new(1);
    let guard = device.guard();
    device.cut(0);
    device.write(16, 7);
    assert!(guard.is_lost());
    assert_eq!(device.read::<u32>(20), u32::MAX);
}

#[test]
fn a_copy_goes_on_where_it_met_the_fault() {
    let _alone = alone();
    let device = Device::new(3);
    let guard = device.guard();
    device.cut(1);
    let bytes: Vec<u8> = (0..3 * PAGE).map(|offset| device.read(offset)).collect();
    let (there, gone) = bytes.split_at(PAGE);
    assert!(there.iter().all(|byte| *byte == 0));
    assert!(gone.iter().all(|byte| *byte == 0xff));
    assert!(guard.is_lost());
}

#[test]
fn other_devices_are_not_lost() {
    let _alone = alone();
    // More than one chunk of the table.
    let devices: Vec<Device> = (0..100).map(|_| Device::new(1)).collect();
    let guards: Vec<Guard> = devices.iter().map(Device::guard).collect();
    for (index, device) in devices.iter().enumerate() {
        if index % 10 == 7 {
            device.cut(0);
        }
        device.read::<u32>(0);
    }
    for (index, guard) in guards.iter().enumerate() {
        assert_eq!(guard.is_lost(), index % 10 == 7, "{index}");
    }
    assert!(!Moment::now().is_quiet_since());
    drop(guards);
    assert!(Moment::now().is_quiet_since());
}

#[test]
fn threads_that_read_meanwhile_all_survive() {
    let _alone = alone();
    for _ in 0..20 {
        let device = Device::new(8);
        let guard = device.guard();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for start in 0..4 {
                let (device, stop) = (&device, &stop);
                scope.spawn(move || {
                    let mut offset = start * 8;
                    while !stop.load(Ordering::Relaxed) {
                        let value = device.read::<u64>(offset);
                        // All zeroes or all ones, and nothing between.
                        assert!(value == 0 || value == u64::MAX, "{value:#x}");
                        offset = (offset + 264) % (8 * PAGE);
                    }
                });
            }
            thread::sleep(std::time::Duration::from_millis(2));
            device.cut(0);
            while !guard.is_lost() {
                thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn a_device_that_comes_back_is_mapped_again() {
    let _alone = alone();
    let device = Device::new(2);
    let guard = device.guard();
    device.cut(0);
    assert_eq!(device.read::<u32>(0), u32::MAX);
    device.cut(2);
    assert_eq!(device.read::<u32>(0), u32::MAX, "the page of ones stays");
    let lost = Moment::now();
    guard.revive(|| Err(())).unwrap_err();
    assert!(guard.is_lost());
    guard.revive(|| device.map_again()).unwrap();
    assert_eq!((device.read::<u32>(0), guard.is_lost()), (0, false));
    // An access that has begun before may have found ones, and one that begins now has not.
    assert!(guard.lost_since(lost) && !lost.is_quiet_since());
    let there = Moment::now();
    assert!(!guard.lost_since(there) && there.is_quiet_since());
    device.write(4, 9);
    assert_eq!(device.read::<u32>(4), 9);
    device.cut(0);
    assert_eq!(device.read::<u32>(4), u32::MAX);
    assert!(guard.is_lost(), "a second time");
}

#[test]
fn errno_stays_as_it_was() {
    let _alone = alone();
    let device = Device::new(1);
    let _guard = device.guard();
    device.cut(0);
    // SAFETY: it has no preconditions.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is this thread's.
    unsafe { errno.write(libc::EXDEV) };
    let value = device.read::<u32>(0);
    // SAFETY: as above.
    let kept = unsafe { errno.read() };
    assert_eq!((value, kept), (u32::MAX, libc::EXDEV));
}

#[test]
fn only_whole_pages_are_guarded() {
    let device = Device::new(1);
    let inside = device.map.as_mut_ptr().wrapping_add(64);
    // SAFETY: refused before anything is done.
    let error = unsafe { Guard::new(inside, 64) }.unwrap_err();
    assert!(
        error.to_string().contains("does not start with a page"),
        "{error}"
    );
    // SAFETY: as above.
    assert!(unsafe { Guard::new(device.map.as_mut_ptr(), usize::MAX) }.is_err());
}
