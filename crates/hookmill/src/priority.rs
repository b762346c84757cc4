//! Who gets a core first: threads whose work no delivery waits for come after all others.

mod metronome;

pub(crate) use self::metronome::beats;

/// Puts this thread, and the processes that it starts, behind all others that want a core, where the system can do that for
/// a single thread; such a thread should work among [`beats`].
pub(crate) fn step_back() {
    metronome::start();
    // A mere niceness would not do: who wakes then waits until the slice of milliseconds is over that the thread began while
    // nobody wanted the core. Elsewhere, priorities are those of the process.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let done = set_thread_priority_and_policy(thread_native_id(), thread_priority::ThreadPriority::Min, idle);
        if let Err(error) = done {
            tracing::debug!(%error, "a thread of lesser work has the priority of all others");
        }
    }
}

/// By how much a thread that steps aside is nicer than the rest of the process: a tenth of its weight.
#[cfg(target_os = "linux")]
pub(crate) const NICENESS: i32 = 10;

/// Makes this thread, and the processes that it starts, nicer, which Linux does for each thread, whatever POSIX says. A
/// process may put itself further back than its parent, but never forward.
pub(crate) fn step_aside() {
    #[cfg(target_os = "linux")]
    {
        metronome::start();
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "a background thread has the priority of all others");
        }
    }
}
