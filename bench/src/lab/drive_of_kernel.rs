//! The same reads by the kernel's own driver: O_DIRECT, with many under way by io_submit(2).
#![expect(unsafe_code, reason = "makes system calls")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{ptr, thread};

use libc::{c_int, c_long};
use memmap2::MmapMut;

use crate::Result;

const PAGE: usize = 0x1000;
const BLOCK: i64 = 512;
/// The lab's drives have 64 MiB.
const BLOCKS: i64 = (64 << 20) / BLOCK;

/// `struct iocb` of include/uapi/linux/aio_abi.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    data: u64,
    key: u32,
    rw_flags: u32,
    /// `IOCB_CMD_PREAD` is 0.
    opcode: u16,
    priority: i16,
    file: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    second: i64,
}

/// A drive that the kernel has.
pub struct OfKernel {
    _disk: File,
    _buffers: MmapMut,
    context: libc::c_ulong,
    requests: Vec<Request>,
    events: Vec<Event>,
    next: i64,
}

impl OfKernel {
    pub fn new(address: &str, depth: u16) -> Result<Self> {
        let disk = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(node(address)?)?;
        let buffers = MmapMut::map_anon(usize::from(depth) * PAGE)?;
        let mut context: libc::c_ulong = 0;
        // SAFETY: the kernel writes a number.
        let made =
            unsafe { libc::syscall(libc::SYS_io_setup, c_long::from(depth), &raw mut context) };
        check(made)?;
        let file = u32::try_from(disk.as_raw_fd())?;
        let mut requests = Vec::new();
        for slot in 0..usize::from(depth) {
            let buffer = buffers.as_ptr().wrapping_add(slot * PAGE);
            requests.push(Request {
                data: u64::try_from(slot)?,
                file,
                buffer: u64::try_from(buffer.expose_provenance())?,
                bytes: 512,
                ..Request::default()
            });
        }
        Ok(Self {
            _disk: disk,
            _buffers: buffers,
            context,
            events: vec![Event::default(); requests.len()],
            requests,
            next: 0,
        })
    }

    /// Reads so many blocks one after the other, with as many requests under way as there may be.
    pub fn read(&mut self, reads: u32) {
        let mut left = usize::try_from(reads).unwrap_or(usize::MAX);
        let mut under_way = 0;
        let mut free: Vec<usize> = (0..self.requests.len()).collect();
        loop {
            let count = free.len().min(left);
            let batch: Vec<*mut Request> =
                free.drain(..count).map(|slot| self.prepare(slot)).collect();
            left -= count;
            under_way += count;
            self.submit(&batch);
            if under_way == 0 {
                return;
            }
            let done = self.reap();
            under_way -= done;
            let events = self.events.iter().take(done);
            free.extend(events.map(|event| {
                assert_eq!(event.result, BLOCK, "the drive could not read");
                usize::try_from(event.data).expect("it is the number of a slot")
            }));
        }
    }

    fn prepare(&mut self, slot: usize) -> *mut Request {
        self.next = (self.next + 1) % BLOCKS;
        let request = self
            .requests
            .get_mut(slot)
            .expect("the kernel gives slots back");
        request.offset = self.next * BLOCK;
        request
    }

    fn submit(&self, batch: &[*mut Request]) {
        let mut batch = batch;
        while !batch.is_empty() {
            let count = c_long::try_from(batch.len()).expect("they are few");
            // SAFETY: the requests and their buffers live as long as `self`, which waits for them.
            let taken =
                unsafe { libc::syscall(libc::SYS_io_submit, self.context, count, batch.as_ptr()) };
            let taken = usize::try_from(taken).expect("the kernel takes requests");
            batch = batch.get(taken..).unwrap_or_default();
        }
    }

    /// Waits for one event at least, and returns how many there are.
    fn reap(&mut self) -> usize {
        let most = c_long::try_from(self.events.len()).expect("they are few");
        let to = self.events.as_mut_ptr();
        let none = ptr::null_mut::<libc::timespec>();
        let least: c_long = 1;
        // SAFETY: there is room for as many events as the kernel is told.
        let done =
            unsafe { libc::syscall(libc::SYS_io_getevents, self.context, least, most, to, none) };
        usize::try_from(done).expect("the kernel has events")
    }
}

impl Drop for OfKernel {
    fn drop(&mut self) {
        // SAFETY: it takes a number.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

fn check(result: c_long) -> io::Result<c_int> {
    c_int::try_from(result)
        .ok()
        .filter(|result| *result >= 0)
        .ok_or_else(io::Error::last_os_error)
}

/// The node of the disk, which its driver has some time after the boot.
fn node(address: &str) -> Result<PathBuf> {
    let started = Instant::now();
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let controllers = Path::new("/sys/bus/pci/devices").join(address).join("nvme");
    loop {
        let disks = entries(controllers.clone()).flat_map(|controller| entries(controller.path()));
        let names = disks.filter_map(|disk| disk.file_name().into_string().ok());
        let mut nodes = names
            .filter(|name| name.starts_with("nvme"))
            .map(|name| Path::new("/dev").join(name));
        if let Some(node) = nodes.find(|node| File::open(node).is_ok()) {
            return Ok(node);
        }
        if started.elapsed() > Duration::from_secs(20) {
            return Err(format!("the kernel's driver has no disk at {address}").into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}
