//! Who gets a core first: threads whose work no delivery waits for come after all others.

mod cores;
#[cfg(target_os = "linux")]
mod slice;
mod turns;

pub use self::turns::{Offers, make_way, offer_core};
pub(crate) use self::turns::{follow, sign_for_child, uninterrupted};

/// Puts this thread, and the processes that it starts, behind all others that want a core, where the system can do that for
/// a single thread; while it works it should [offer its core](offer_core).
pub fn step_back() {
    keep_to_half_of_the_cores();
    come_last();
}

pub(crate) fn come_last() {
    get_nicer_by(LAST);
}

/// More than there is of niceness: at the lowest, a hundredth of the weight of others.
const LAST: i32 = 40;

/// By how much a thread that steps aside is nicer than the rest of the process: a tenth of its weight.
pub const NICENESS: i32 = 10;

/// Makes this thread, and the processes that it starts, nicer, which Linux does for each thread, whatever POSIX says. A
/// process may put itself further back than its parent, but never forward.
pub fn step_aside() {
    keep_to_half_of_the_cores();
    get_nicer_by(NICENESS);
}

/// Not `SCHED_IDLE`: Linux takes a core that has nothing else for free, and sends there who wakes, though another is.
fn get_nicer_by(niceness: i32) {
    // Elsewhere, priorities are those of the process.
    #[cfg(target_os = "linux")]
    {
        let lengthened = rustix::process::nice(niceness).map_err(Into::into).and_then(slice::lengthen);
        if let Err(error) = lengthened {
            tracing::debug!(%error, "others may wait some milliseconds for a thread of lesser work");
        }
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
