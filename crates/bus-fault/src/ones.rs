//! The page of ones that takes the place of a page of a device.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::{
        OnceLock,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
};

/// A file of one page of ones, which stays open.
static FILE: OnceLock<File> = OnceLock::new();

/// The same, for the handler: -1 until it is there.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);

/// The size of a page, for the handler.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// The size of a page, in bytes.
pub(crate) fn page_size() -> io::Result<usize> {
    // SAFETY: it has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}

/// Makes the page, if it is not there yet.
pub(crate) fn prepare() -> io::Result<()> {
    if FILE.get().is_none() {
        let size = page_size()?;
        let mut file = memory_file()?;
        file.write_all(&vec![0xff; size])?;
        // Of two threads that come here at once, one closes its file again.
        let file = FILE.get_or_init(|| file);
        PAGE.store(size, Ordering::Release);
        DESCRIPTOR.store(file.as_raw_fd(), Ordering::Release);
    }
    Ok(())
}

fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string.
    let descriptor: RawFd =
        unsafe { libc::memfd_create(c"outboard-ones".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and nobody else has it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// Puts the page in the place of the one that has `address`, and says whether that worked. Async-signal-safe.
///
/// # Safety
///
/// Whoever mapped that page lets it be replaced.
pub(crate) unsafe fn put(address: *mut u8) -> bool {
    let (page, descriptor) = (
        PAGE.load(Ordering::Acquire),
        DESCRIPTOR.load(Ordering::Acquire),
    );
    if page == 0 || descriptor < 0 {
        return false;
    }
    let start = address.wrapping_sub(address.addr() % page);
    // In one step, so that no other thread reads anything else there. Private: what one stores is not what others read.
    // SAFETY: the caller has shown that the page may be replaced.
    let mapped = unsafe {
        libc::mmap(
            start.cast(),
            page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_FIXED,
            descriptor,
            0,
        )
    };
    mapped != libc::MAP_FAILED
}
