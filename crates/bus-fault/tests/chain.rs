//! A SIGBUS that is none of ours does what it would have done without us. Each case ends a process of its own.
#![expect(unsafe_code, reason = "provokes signals")]
#![expect(clippy::unwrap_used, reason = "in what tests share")]

use bus_fault::Guard;
use memmap2::{MmapOptions, MmapRaw};
use std::{
    env,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
    ptr,
};

/// What the child does, by the name of the test.
const CASE: &str = "OUTBOARD_TEST_CASE";

/// Runs `case` in a child, which is this program and this test again.
fn in_child(test: &str, case: fn()) -> Option<ExitStatus> {
    if env::var(CASE).is_ok_and(|name| name == test) {
        case();
        // Not by way of the harness: the child has come through.
        std::process::exit(0);
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(CASE, test);
    Some(child.output().unwrap().status)
}

/// A page that was cut off, as the first byte of it.
fn gone() -> (MmapRaw, *const u8) {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let map = MmapOptions::new().len(4096).map_raw(&file).unwrap();
    file.set_len(0).unwrap();
    let start = map.as_ptr();
    (map, start)
}

fn guard(map: &MmapRaw) -> Guard {
    // SAFETY: the mapping is ours alone, and lives as long as the process.
    unsafe { Guard::new(map.as_mut_ptr(), 4096).unwrap() }
}

fn read(address: *const u8) -> u8 {
    // SAFETY: it is mapped; what a fault does is what is tested.
    unsafe { address.read_volatile() }
}

extern "C" fn exit_with_42(_: libc::c_int) {
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(42) };
}

extern "C" fn exit_with_the_code(
    _: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel gives it to a handler with SA_SIGINFO.
    let code = unsafe { (*info).si_code };
    let code = if context.is_null() { 99 } else { 40 + code };
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(code) };
}

fn install(handler: usize, flags: libc::c_int) {
    // SAFETY: all zeroes is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers here are async-signal-safe.
    let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0);
}

#[test]
fn a_fault_elsewhere_ends_the_process() {
    let status = in_child("a_fault_elsewhere_ends_the_process", || {
        let (ours, start) = gone();
        let _guard = guard(&ours);
        assert_eq!(read(start), 0xff);
        let (_theirs, start) = gone();
        read(start);
    });
    assert_eq!(status.unwrap().signal(), Some(libc::SIGBUS));
}

#[test]
fn a_fault_after_the_guard_ends_the_process() {
    let status = in_child("a_fault_after_the_guard_ends_the_process", || {
        let (ours, start) = gone();
        drop(guard(&ours));
        read(start);
    });
    assert_eq!(status.unwrap().signal(), Some(libc::SIGBUS));
}

#[test]
#[expect(clippy::as_conversions, reason = "that is what the kernel takes")]
fn a_fault_elsewhere_reaches_the_handler_that_was_there() {
    let test = "a_fault_elsewhere_reaches_the_handler_that_was_there";
    let status = in_child(test, || {
        let handler: extern "C" fn(libc::c_int) = exit_with_42;
        install(handler as usize, 0);
        let (ours, start) = gone();
        let _guard = guard(&ours);
        assert_eq!(read(start), 0xff);
        let (_theirs, start) = gone();
        read(start);
    });
    assert_eq!(status.unwrap().code(), Some(42));
}

#[test]
#[expect(clippy::as_conversions, reason = "that is what the kernel takes")]
fn a_handler_that_wants_to_know_more_is_told() {
    let status = in_child("a_handler_that_wants_to_know_more_is_told", || {
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            exit_with_the_code;
        install(handler as usize, libc::SA_SIGINFO);
        let (ours, _) = gone();
        let _guard = guard(&ours);
        let (_theirs, start) = gone();
        read(start);
    });
    assert_eq!(status.unwrap().code(), Some(40 + libc::BUS_ADRERR));
}

#[test]
fn a_signal_that_is_sent_ends_the_process() {
    let status = in_child("a_signal_that_is_sent_ends_the_process", || {
        // std has a handler of its own, which is only after overflows of stacks.
        install(libc::SIG_DFL, 0);
        let (ours, _) = gone();
        let _guard = guard(&ours);
        // SAFETY: it takes nothing but the number.
        unsafe { libc::raise(libc::SIGBUS) };
    });
    assert_eq!(status.unwrap().signal(), Some(libc::SIGBUS));
}

#[test]
fn a_signal_that_is_sent_and_was_ignored_is_ignored() {
    let test = "a_signal_that_is_sent_and_was_ignored_is_ignored";
    let status = in_child(test, || {
        install(libc::SIG_IGN, 0);
        let (ours, start) = gone();
        let guard = guard(&ours);
        // SAFETY: it takes nothing but the number.
        unsafe { libc::raise(libc::SIGBUS) };
        assert!(!guard.is_lost());
        assert_eq!(read(start), 0xff);
    });
    assert_eq!(status.unwrap().code(), Some(0));
}

#[test]
fn without_a_guard_a_fault_ends_the_process() {
    // That the tests above can fail.
    let status = in_child("without_a_guard_a_fault_ends_the_process", || {
        let (_ours, start) = gone();
        read(start);
    });
    assert_eq!(status.unwrap().signal(), Some(libc::SIGBUS));
}
