//! For how long a thread has a core before others are looked at: its slice, which Linux lets threads ask for since 6.12.

use std::io;

/// Nanoseconds: the least that Linux takes. By itself a slice is a millisecond or more, for which who wakes would wait.
const SHORTEST: u64 = 100_000;

/// Makes the slices of this thread, which has this niceness, and of what it starts, as short as can be. Before Linux 6.12
/// they stay as they are.
#[allow(unsafe_code, reason = "no library knows of slices")]
pub(super) fn shorten(niceness: i32) -> io::Result<()> {
    // SAFETY: plain numbers, which may be zero.
    let mut wanted: libc::sched_attr = unsafe { std::mem::zeroed() };
    wanted.size = size_of::<libc::sched_attr>() as u32;
    wanted.sched_flags = libc::SCHED_FLAG_KEEP_POLICY as u64;
    wanted.sched_nice = niceness;
    wanted.sched_runtime = SHORTEST;
    let this_thread = 0;
    // SAFETY: the system reads as many bytes as `size` says, and keeps none of them.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const wanted, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
