//! Copies and fills of many bytes.
#![expect(unsafe_code, reason = "memcpy and plain volatile loops are the rivals")]

use std::hint::black_box;

use io_core::{AccessWidth, Io, Width};
use outboard_bench::Target;
use pci_driver::regions::PciRegion;

use crate::loops;
use crate::row::{Row, Run};

/// How much the copies of device memory copy. Two of them fit in a first-level cache, where nothing
/// hides what a loop costs.
const DEVICE: usize = 8 << 10;

/// How much the copies of system memory copy.
const SYSTEM: [(usize, &str); 3] = [(4 << 10, "4 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")];

pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SYSTEM
        .into_iter()
        .flat_map(|(len, name)| system(len, name))
        .collect();
    rows.extend(device::<u8>("width 1", AccessWidth::Exact(Width::U8)));
    rows.extend(device::<u16>("width 2", AccessWidth::Exact(Width::U16)));
    rows.extend(device::<u32>("width 4", AccessWidth::Exact(Width::U32)));
    rows.extend(device::<u64>("width 8", AccessWidth::Exact(Width::U64)));
    rows.extend(device::<u64>("auto", AccessWidth::Auto));
    rows.extend(bulk());
    rows
}

/// A side that does `$body` in each pass, with `$name` made before.
macro_rules! run {
    ($memory:ident, $($name:pat = $value:expr),* => $body:expr) => {
        Box::new(move |$memory, passes| {
            $(let $name = $value;)*
            for _ in 0..passes {
                $body
            }
        })
    };
}

fn copy_in(len: usize, width: AccessWidth) -> Run {
    run!(memory, bar = memory.mmio(), bytes = memory.bytes(len), from = &*bytes =>
        bar.copy_from_slice(0, from, width).expect("in bounds"))
}

fn copy_out(len: usize, width: AccessWidth) -> Run {
    run!(memory, bar = memory.mmio(), mut bytes = memory.bytes(len), to = &mut *bytes => {
        bar.copy_to_slice(0, to, width).expect("in bounds");
        black_box(&*to);
    })
}

fn fill(len: usize, width: AccessWidth) -> Run {
    run!(memory, bar = memory.mmio(), len = black_box(len), byte = black_box(7) =>
        bar.fill(0, len, byte, width).expect("in bounds"))
}

/// System memory, beside libc.
fn system(len: usize, size: &str) -> Vec<Row> {
    let row = |what, ours| {
        let name = format!("system memory, {what}, {size}");
        Row::new(name, Target::Time(1.02), 1, ours)
    };
    let ours_in: Run = run!(memory, map = memory.sys_mem(), bytes = memory.bytes(len), from = &*bytes => {
        map.copy_from_slice(0, from, AccessWidth::Auto).expect("in bounds");
        black_box(map.as_ptr().cast::<u8>());
    });
    let ours_out: Run = run!(memory, map = memory.sys_mem(), mut bytes = memory.bytes(len), to = &mut *bytes => {
        map.copy_to_slice(0, to, AccessWidth::Auto).expect("in bounds");
        black_box(&*to);
    });
    let ours_fill: Run = run!(memory, map = memory.sys_mem(), len = black_box(len) => {
        map.fill(0, len, 7, AccessWidth::Auto).expect("in bounds");
        black_box(map.as_ptr().cast::<u8>());
    });
    let memcpy_in: Run = run!(memory, to = memory.base(), bytes = memory.bytes(len), from = &*bytes => {
        // SAFETY: both are as long, and apart.
        unsafe { libc::memcpy(to.cast(), from.as_ptr().cast(), from.len()) };
        black_box(to);
    });
    let memcpy_out: Run = run!(memory, from = memory.base(), mut bytes = memory.bytes(len), to = &mut *bytes => {
        // SAFETY: both are as long, and apart.
        unsafe { libc::memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        black_box(&*to);
    });
    let memset: Run = run!(memory, to = memory.base(), len = black_box(len) => {
        // SAFETY: the mapping is as long.
        unsafe { libc::memset(to.cast(), 7, len) };
        black_box(to);
    });
    vec![
        row("copy to", ours_in).against("memcpy", memcpy_in),
        row("copy from", ours_out).against("memcpy", memcpy_out),
        row("fill", ours_fill).against("memset", memset),
    ]
}

/// Device memory, beside loops that do nothing but access it.
fn device<T: Copy + From<u8> + 'static>(size: &str, width: AccessWidth) -> Vec<Row> {
    let row = |what, ours| {
        let name = format!("device memory, {what}, {size}");
        Row::new(name, Target::Time(1.05), 1, ours)
    };
    vec![
        row("copy to", copy_in(DEVICE, width))
            .against("loop with an index", store_loop(loops::store_by_index::<T>))
            .against(
                "loop with pointers",
                store_loop(loops::store_by_pointer::<T>),
            ),
        row("copy from", copy_out(DEVICE, width))
            .against("loop with an index", load_loop(loops::load_by_index::<T>))
            .against("loop with pointers", load_loop(loops::load_by_pointer::<T>)),
        row("fill", fill(DEVICE, width)).against("loop with an index", fill_loop::<T>()),
    ]
}

/// A loop that copies so many values.
type Loop<T> = unsafe fn(to: *mut T, from: *const T, count: usize);

fn count<T>() -> usize {
    black_box(DEVICE / size_of::<T>())
}

fn store_loop<T: 'static>(copy: Loop<T>) -> Run {
    run!(memory, to = memory.base().cast(), from = memory.buffer().cast(), count = count::<T>() =>
        // SAFETY: the mapping is larger, and so is the buffer.
        unsafe { copy(to, from, count) })
}

fn load_loop<T: 'static>(copy: Loop<T>) -> Run {
    run!(memory, to = memory.buffer().cast(), from = memory.base().cast(), count = count::<T>() => {
        // SAFETY: the mapping is larger, and so is the buffer.
        unsafe { copy(to, from, count) };
        black_box(to);
    })
}

fn fill_loop<T: Copy + From<u8> + 'static>() -> Run {
    run!(memory, to = memory.base().cast(), value = T::from(black_box(7)), count = count::<T>() =>
        // SAFETY: the mapping is larger.
        unsafe { loops::fill_by_index(to, value, count) })
}

/// pci-driver's only bulk access, which reads bytes.
fn bulk() -> Vec<Row> {
    let row = |size, width| {
        let name = format!("device memory, copy from, {size}, beside pci-driver");
        let rival: Run = run!(memory, bar = memory.pci_driver(), mut bytes = memory.bytes(DEVICE), to = &mut *bytes => {
            bar.read_bytes(0, to).expect("in bounds");
            black_box(&*to);
        });
        Row::new(name, Target::Nothing, 1, copy_out(DEVICE, width))
            .against("pci-driver read_bytes", rival)
    };
    vec![
        row("width 1", AccessWidth::Exact(Width::U8)),
        row("auto", AccessWidth::Auto),
    ]
}
