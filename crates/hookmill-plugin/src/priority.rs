//! Who gets a core first: threads whose work no delivery waits for come after all others.

mod cores;
mod turns;

pub(crate) use self::turns::uninterrupted;
pub use self::turns::{Offers, offer_core};

/// Puts this thread, and the processes that it starts, behind all others that want a core, where the system can do that for
/// a single thread; while it works it should [offer its core](offer_core).
pub fn step_back() {
    keep_to_half_of_the_cores();
    come_last();
}

pub(crate) fn come_last() {
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
pub const NICENESS: i32 = 10;

/// Makes this thread, and the processes that it starts, nicer, which Linux does for each thread, whatever POSIX says. A
/// process may put itself further back than its parent, but never forward.
pub fn step_aside() {
    keep_to_half_of_the_cores();
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a background thread has the priority of all others");
    }
}

/// Keeps this thread, and the processes that it starts, to the cores of lesser work.
fn keep_to_half_of_the_cores() {
    if let Err(error) = cores::keep_to(cores::of_lesser_work()) {
        tracing::debug!(%error, "a thread of lesser work may run on all cores");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread::spawn;

    use super::*;

    #[test]
    fn lesser_work_and_what_it_starts_keep_to_half_of_the_cores() {
        let all = cores::of_this_thread();
        for get_behind in [step_back, step_aside] {
            let started = spawn(move || {
                get_behind();
                spawn(cores::of_this_thread).join().expect("it ends")
            });
            assert_eq!(started.join().expect("it ends"), all[all.len() / 2..]);
        }
    }
}
