//! Plain loops of volatile accesses, as one would write them by hand. There are several ways.
#![expect(unsafe_code, reason = "volatile accesses through raw pointers")]

use std::ptr;

/// Copies `count` values to device memory.
///
/// # Safety
///
/// There are as many at `to` and at `from`, aligned.
pub unsafe fn store_by_index<T>(to: *mut T, from: *const T, count: usize) {
    for index in 0..count {
        // SAFETY: the caller has shown it.
        let value = unsafe { from.wrapping_add(index).read() };
        // SAFETY: the caller has shown it.
        unsafe { to.wrapping_add(index).write_volatile(value) };
    }
}

/// Copies `count` values to device memory.
///
/// # Safety
///
/// There are as many at `to` and at `from`, aligned.
pub unsafe fn store_by_pointer<T>(mut to: *mut T, mut from: *const T, count: usize) {
    let end = to.wrapping_add(count);
    while !ptr::eq(to, end) {
        // SAFETY: the caller has shown it.
        let value = unsafe { from.read() };
        // SAFETY: the caller has shown it.
        unsafe { to.write_volatile(value) };
        (to, from) = (to.wrapping_add(1), from.wrapping_add(1));
    }
}

/// Copies `count` values from device memory.
///
/// # Safety
///
/// There are as many at `to` and at `from`, aligned.
pub unsafe fn load_by_index<T>(to: *mut T, from: *const T, count: usize) {
    for index in 0..count {
        // SAFETY: the caller has shown it.
        let value = unsafe { from.wrapping_add(index).read_volatile() };
        // SAFETY: the caller has shown it.
        unsafe { to.wrapping_add(index).write(value) };
    }
}

/// Copies `count` values from device memory.
///
/// # Safety
///
/// There are as many at `to` and at `from`, aligned.
pub unsafe fn load_by_pointer<T>(mut to: *mut T, mut from: *const T, count: usize) {
    let end = to.wrapping_add(count);
    while !ptr::eq(to, end) {
        // SAFETY: the caller has shown it.
        let value = unsafe { from.read_volatile() };
        // SAFETY: the caller has shown it.
        unsafe { to.write(value) };
        (to, from) = (to.wrapping_add(1), from.wrapping_add(1));
    }
}

/// Writes `value` to device memory, `count` times.
///
/// # Safety
///
/// There is room for as many at `to`, aligned.
pub unsafe fn fill_by_index<T: Copy>(to: *mut T, value: T, count: usize) {
    for index in 0..count {
        // SAFETY: the caller has shown it.
        unsafe { to.wrapping_add(index).write_volatile(value) };
    }
}
