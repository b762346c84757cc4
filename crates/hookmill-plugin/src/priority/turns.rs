//! Makes a thread of lesser work offer its core to others, often.
//!
//! Linux gives turns to the lowest of threads too. One that is woken on the same core, and ran a little more than its share
//! before, waits for that turn to end; and the system looks whether it has when yet another thread wakes there, or at a
//! tick: every 4 ms where there are 250 a second. `sched_yield` gives up what is left of a turn. A compiler and a guest know
//! nothing of that, so a timer's signal interrupts them.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod interruptions;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod way;

use std::marker::PhantomData;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use self::interruptions::Interruptions;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) use self::interruptions::uninterrupted;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use self::way::make_way;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) use self::way::{follow, sign_for_child};

/// As long as it lives, the thread that made it offers its core to others.
#[derive(Debug)]
pub struct Offers {
    _interruptions: Option<Interruptions>,
    _of_this_thread: PhantomData<*const ()>,
}

/// Makes this thread offer its core to others every fifth of a millisecond, where the system has timers for single threads.
/// Where others always want it, it keeps about the share that its priority gives it.
///
/// It takes `SIGURG` for that, which by itself does nothing, and calls whoever else in the process listened to it before, on
/// the stack of the thread. System calls that were interrupted go on by themselves (`SA_RESTART`).
pub fn offer_core() -> Offers {
    let interruptions = Interruptions::start();
    if let Err(error) = &interruptions {
        tracing::debug!(%error, "deliveries may wait some milliseconds for a thread of lesser work");
    }
    Offers { _interruptions: interruptions.ok(), _of_this_thread: PhantomData }
}

/// Where a single thread can't be interrupted, none is.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
#[derive(Debug)]
struct Interruptions;

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
impl Interruptions {
    fn start() -> std::io::Result<Self> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Does nothing where threads can't be interrupted.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn make_way() {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn sign_for_child() -> Option<std::path::PathBuf> {
    None
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn follow(_sign: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn uninterrupted<T>(waiting: impl FnOnce() -> T) -> T {
    waiting()
}
