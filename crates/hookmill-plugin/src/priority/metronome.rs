//! Makes the system look again, often, who should have a core while lesser work has one.
//!
//! Linux asks whether a thread that waits should come before the one that runs when a thread wakes on that core, and at
//! each tick: every 4 ms where there are 250 a second. So lesser work that got a core in a short pause of all else keeps
//! it for milliseconds, and a delivery waits. A thread that wakes on the core for nothing else makes it ask in between. It
//! beats on the cores of lesser work only, for each beat delays what else the core does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::cores;

/// How long a delivery may wait for lesser work. A beat costs a core some microseconds.
const BEAT: Duration = Duration::from_micros(500);

/// How many beats follow the end of lesser work, so that jobs one after another need not wake the cores each time.
const BEATS_AFTER: usize = 10;

/// The process's cores are one set, whoever works on them; so is what beats on them. It rests when there is no lesser work.
static METRONOME: Metronome =
    Metronome { started: Once::new(), working: AtomicUsize::new(0), resting: Mutex::new(0), work_came: Condvar::new() };

#[derive(Debug)]
struct Metronome {
    started: Once,
    /// How many threads do lesser work.
    working: AtomicUsize,
    /// How many of its threads wait for lesser work.
    resting: Mutex<usize>,
    work_came: Condvar,
}

/// As long as one is there, the metronome beats.
#[derive(Debug)]
pub struct Beats(());

/// Makes the metronome beat on the cores of lesser work, if it was started.
pub fn beats() -> Beats {
    if METRONOME.working.fetch_add(1, Ordering::SeqCst) == 0 {
        // Whoever found no work a moment ago waits for it as soon as this lock can be had.
        if *METRONOME.resting() > 0 {
            METRONOME.work_came.notify_all();
        }
    }
    Beats(())
}

impl Drop for Beats {
    fn drop(&mut self) {
        METRONOME.working.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts the metronome unless that was done. Threads have the priority of the one that starts them: this must be done by one
/// that has not stepped back yet.
pub(super) fn start() {
    METRONOME.started.call_once(start_on_each_core);
}

fn start_on_each_core() {
    for &core in cores::of_lesser_work() {
        let beat = move || match cores::keep_to(&[core]) {
            Ok(()) => METRONOME.beat(),
            Err(error) => unheard(core, &error),
        };
        if let Err(error) = std::thread::Builder::new().name("metronome".into()).spawn(beat) {
            unheard(core, &error);
        }
    }
}

fn unheard(core: usize, error: &std::io::Error) {
    tracing::debug!(%error, core, "on this core, lesser work may keep deliveries waiting for milliseconds");
}

impl Metronome {
    fn is_needed(&self) -> bool {
        self.working.load(Ordering::SeqCst) > 0
    }

    fn resting(&self) -> MutexGuard<'_, usize> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::disallowed_methods, reason = "a thread of its own, which is there to sleep and wake")]
    fn beat(&self) {
        loop {
            let mut resting = self.resting();
            *resting += 1;
            while !self.is_needed() {
                resting = self.work_came.wait(resting).unwrap_or_else(PoisonError::into_inner);
            }
            *resting -= 1;
            drop(resting);
            let mut after = 0;
            while after < BEATS_AFTER {
                sleep(BEAT);
                after = if self.is_needed() { 0 } else { after + 1 };
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{read_dir, read_to_string};
    use std::time::Instant;

    use super::super::step_back;
    use super::*;

    /// Returns the scheduling policies of the metronome's threads, as the kernel has them.
    fn policies() -> Vec<String> {
        let threads = read_dir("/proc/self/task").expect("Linux").map(|thread| thread.expect("an entry").path());
        let stats = threads.filter_map(|thread| read_to_string(thread.join("stat")).ok());
        let beating = stats.filter(|stat| stat.contains("(metronome)"));
        // The 41st field.
        beating.map(|stat| stat.split_whitespace().nth(40).expect("a policy").to_owned()).collect()
    }

    #[allow(clippy::disallowed_methods, reason = "how long the test is patient")]
    fn wait_until(what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn every_core_of_lesser_work_has_a_thread_of_no_lesser_work_that_beats_while_there_is_any() {
        std::thread::spawn(step_back).join().expect("it ends");
        let cores = cores::of_lesser_work().len();
        wait_until("a thread for each core", || policies().len() == cores);
        assert_eq!(policies(), vec!["0"; cores], "lesser threads wake nobody");
        let held = beats();
        wait_until("all to beat", || *METRONOME.resting() == 0);
        drop(held);
        wait_until("all to rest", || *METRONOME.resting() == cores);
    }
}
