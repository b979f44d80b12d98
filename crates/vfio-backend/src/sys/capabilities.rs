//! Structures that the kernel appends capabilities to.

use super::argsz;
use nix::Result;

/// The most that a kernel may have to say.
const MOST: usize = 1 << 20;

/// Asks the kernel for a `T` with all that it appends: first with room for the `T` alone, and then with as much
/// as the kernel wants.
///
/// `new` makes the `T` for this size, `wanted` says how much the kernel wants, `call` asks it. Returns the `T`,
/// and the whole answer, which starts with it.
pub(super) fn with<T: Copy>(
    new: impl Fn(u32) -> T,
    wanted: impl Fn(&T) -> u32,
    call: impl Fn(*mut T) -> Result<i32>,
) -> Result<(T, Vec<u8>)> {
    const { assert!(align_of::<T>() <= align_of::<u64>()) };
    let size = |answer: &T| usize::try_from(wanted(answer)).unwrap_or(MOST).min(MOST);
    let mut room = size(&new(argsz::<T>()));
    loop {
        // Filled by the kernel with a `T` and what comes after it; a vector of words is aligned for both.
        let mut words = vec![0_u64; room.div_ceil(8)];
        let start = words.as_mut_ptr().cast::<T>();
        let asked = u32::try_from(room).unwrap_or(u32::MAX);
        // SAFETY: there is room for a `T`, and more.
        unsafe { start.write(new(asked)) };
        call(start)?;
        // SAFETY: a `T` is there.
        let answer = unsafe { start.read() };
        let needed = size(&answer);
        if needed <= room {
            let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
            return Ok((answer, bytes.take(room).collect()));
        }
        room = needed;
    }
}
