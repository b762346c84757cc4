//! For how long a thread has a core before others are looked at: its slice, which Linux lets threads ask for since 6.12.

use std::io;
use std::mem::zeroed;

use libc::{SYS_sched_getattr, SYS_sched_setattr, sched_attr, syscall};

/// Nanoseconds by which the slice is longer than the one that this thread had. Who wakes and has a shorter one need not wait
/// until it is used up (`PREEMPT_SHORT`). Much longer would be much of a share that is given up with a turn.
const LONGER: u64 = 100_000;

const THIS_THREAD: libc::pid_t = 0;
const BYTES: u32 = size_of::<sched_attr>() as u32;

/// Makes the slices of this thread, which has this niceness, and of what it starts, longer than others'. Before Linux 6.12
/// they stay as they are.
#[allow(unsafe_code, reason = "no library knows of slices")]
pub(super) fn lengthen(niceness: i32) -> io::Result<()> {
    // SAFETY: plain numbers, which may be zero.
    let mut attributes: sched_attr = unsafe { zeroed() };
    // SAFETY: the system writes as many bytes as it is told.
    done(unsafe { syscall(SYS_sched_getattr, THIS_THREAD, &raw mut attributes, BYTES, 0) })?;
    // What the system does not know of, it leaves at nothing.
    if attributes.sched_runtime == 0 {
        return Ok(());
    }
    attributes.size = BYTES;
    attributes.sched_flags = libc::SCHED_FLAG_KEEP_POLICY as u64;
    attributes.sched_nice = niceness;
    attributes.sched_runtime += LONGER;
    // SAFETY: the system reads as many bytes as `size` says, and keeps none of them.
    done(unsafe { syscall(SYS_sched_setattr, THIS_THREAD, &raw const attributes, 0) })
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
