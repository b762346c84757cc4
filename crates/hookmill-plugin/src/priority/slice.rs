//! For how long a thread has a core before others are looked at: its slice, which Linux lets threads ask for since 6.12.

use std::io;

/// Nanoseconds: more than Linux gives by itself on any number of cores. Who wakes and has a shorter slice need not wait until
/// this one is used up (`PREEMPT_SHORT`).
const LONGER_THAN_OTHERS: u64 = 4_000_000;

/// Makes the slices of this thread, which has this niceness, and of what it starts, longer than others'. Before Linux 6.12
/// they stay as they are.
#[allow(unsafe_code, reason = "no library knows of slices")]
pub(super) fn lengthen(niceness: i32) -> io::Result<()> {
    // SAFETY: plain numbers, which may be zero.
    let mut wanted: libc::sched_attr = unsafe { std::mem::zeroed() };
    wanted.size = size_of::<libc::sched_attr>() as u32;
    wanted.sched_flags = libc::SCHED_FLAG_KEEP_POLICY as u64;
    wanted.sched_nice = niceness;
    wanted.sched_runtime = LONGER_THAN_OTHERS;
    let this_thread = 0;
    // SAFETY: the system reads as many bytes as `size` says, and keeps none of them.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const wanted, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
