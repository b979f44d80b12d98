//! The handler of SIGBUS.

use crate::{ones, table};
use libc::{SIG_DFL, SIG_IGN, SIGBUS, c_int, c_void, sigaction, siginfo_t};
use std::{
    io,
    mem::{self, MaybeUninit},
    ptr,
    sync::OnceLock,
};

/// What was there before us.
static PREVIOUS: OnceLock<sigaction> = OnceLock::new();

type WithInfo = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
type Plain = extern "C" fn(c_int);

/// Installs the handler, once.
pub(crate) fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
    let installed = INSTALLED.get_or_init(|| try_install().map_err(errno));
    installed.map_err(io::Error::from_raw_os_error)
}

fn try_install() -> io::Result<()> {
    let previous = exchange(None)?;
    // Known before ours can be called.
    let previous = PREVIOUS.get_or_init(|| previous);
    let mut action = *previous;
    let handler: WithInfo = handle;
    #[expect(clippy::as_conversions, reason = "that is what the kernel takes")]
    {
        action.sa_sigaction = handler as usize;
    }
    // On the stack that the thread has for signals, if it has one, and with what the previous handler wanted.
    let kept = previous.sa_flags & (libc::SA_RESTART | libc::SA_NODEFER);
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | kept;
    exchange(Some(&action))?;
    Ok(())
}

/// Sets what is done on SIGBUS, if anything is given, and returns what was done before.
fn exchange(action: Option<&sigaction>) -> io::Result<sigaction> {
    let mut previous = MaybeUninit::uninit();
    let action = action.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both point to what they have to, or to nothing. `handle` is async-signal-safe.
    let result = unsafe { libc::sigaction(SIGBUS, action, previous.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written it.
    Ok(unsafe { previous.assume_init() })
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: it is this thread's, and always there.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { errno.read() };
    if !survive(info) {
        pass_on(signal, info, context);
    }
    // SAFETY: as above.
    unsafe { errno.write(kept) };
}

/// Whether the access can be made again, because there is a page of ones now.
fn survive(info: *mut siginfo_t) -> bool {
    // SAFETY: the kernel gives it to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    if info.si_code != libc::BUS_ADRERR {
        return false;
    }
    // SAFETY: a SIGBUS with this code has an address.
    let address = unsafe { info.si_addr() };
    // Lost before there are ones to be read.
    // SAFETY: who guards a mapping lets its pages be replaced.
    table::find(address.addr())
        .is_some_and(|slot| slot.handle(|| unsafe { ones::put(address.cast()) }))
}

/// Does what would have been done without us.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(previous) = PREVIOUS.get() else {
        return;
    };
    // SAFETY: the kernel gives it to a handler with SA_SIGINFO.
    let was_sent = unsafe { (*info).si_code } <= 0;
    match previous.sa_sigaction {
        SIG_IGN if was_sent => {}
        // A fault cannot be ignored.
        SIG_DFL | SIG_IGN => end(signal, was_sent),
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: it was installed with SA_SIGINFO, as a function of this type.
            let handler: WithInfo = unsafe { mem::transmute::<usize, WithInfo>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: it was installed without SA_SIGINFO, as a function of this type.
            let handler: Plain = unsafe { mem::transmute::<usize, Plain>(handler) };
            handler(signal);
        }
    }
}

/// Ends the process as the signal does.
fn end(signal: c_int, was_sent: bool) {
    // SAFETY: the default takes nothing but the number.
    unsafe { libc::signal(signal, SIG_DFL) };
    // A faulting access is made again on return, and ends the process where it stands.
    if was_sent {
        // SAFETY: it takes nothing but the number; the signal comes as soon as this handler returns.
        unsafe { libc::raise(signal) };
    }
}
