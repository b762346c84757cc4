//! The threads on which guests run: a fixed number, apart from the async runtime's workers.
//!
//! Jobs whose owner is known to be quick have threads of their own. Those of owners that take long, or of whom nothing is
//! known yet, share a few others, in turns; where the system has priorities, these come after everything else that wants
//! a core; and an owner whose job failed rests before the next. So a plugin that takes whatever it may slows down its own
//! webhook and others of its kind, and nobody else.

mod pace;
mod queue;

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use hookmill_plugin::priority::{offer_core, step_back};
use tokio::sync::{Semaphore, oneshot};

pub(crate) use self::pace::Pace;
use self::queue::{Kind, Queue};

/// Bytes of stack: the guest's own limit, the host's frames, and room to spare.
const STACK_BYTES: usize = 4 << 20;

/// Jobs that may wait for a thread; who comes later waits to hand the job over.
const QUEUE_LENGTH: usize = 4_096;

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    quick_came: Condvar,
    long_came: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came(&self, kind: Kind) -> &Condvar {
        match kind {
            Kind::Quick => &self.quick_came,
            Kind::Long => &self.long_came,
        }
    }

    /// Runs jobs of one kind until there are none and none will come.
    fn work(&self, kind: Kind) {
        let mut queue = self.queue();
        loop {
            let now = now();
            let job = queue.take(kind, now);
            if std::mem::take(&mut queue.turned) || (kind == Kind::Quick && queue.stopped) {
                self.long_came.notify_all();
            }
            let Some(job) = job else {
                if queue.stopped && queue.is_empty_for(kind) {
                    return;
                }
                queue = match queue.rests_until(now).filter(|_| kind == Kind::Long) {
                    Some(until) => {
                        let waited = self.came(kind).wait_timeout(queue, until.duration_since(now));
                        waited.unwrap_or_else(PoisonError::into_inner).0
                    }
                    None => self.came(kind).wait(queue).unwrap_or_else(PoisonError::into_inner),
                };
                continue;
            };
            drop(queue);
            let offers = (kind == Kind::Long).then(offer_core);
            // The job's own answer is lost with its panic, and whoever waits for it is told so.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job on a guest thread panicked");
            }
            drop(offers);
            queue = self.queue();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "spans of single jobs, which no clock of a test should bend")]
fn now() -> Instant {
    Instant::now()
}

/// Returns how many threads for long jobs stand beside so many for quick ones.
pub(crate) fn long_threads(quick: usize) -> usize {
    quick.div_ceil(2).max(1)
}

/// Runs jobs that may take long without ever holding up the async runtime.
pub(crate) struct GuestThreads {
    shared: Arc<Shared>,
    room: Semaphore,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for GuestThreads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestThreads").finish_non_exhaustive()
    }
}

impl GuestThreads {
    /// Starts threads for quick jobs, as many as this, and [half as many](long_threads) for long ones.
    pub(crate) fn start(quick: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let kinds = iter::repeat_n(Kind::Quick, quick.max(1)).chain(iter::repeat_n(Kind::Long, long_threads(quick)));
        let threads = kinds
            .map(|kind| {
                let shared = shared.clone();
                let name = format!("guest-{kind:?}").to_lowercase();
                std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
                    if kind == Kind::Long {
                        step_back();
                    }
                    shared.work(kind);
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { shared, room: Semaphore::new(QUEUE_LENGTH), threads: Mutex::new(threads) })
    }

    /// Runs `job`, whose owner has this pace, on one of the threads; none if it panicked or the threads have stopped.
    /// `failed` tells of a result whether the guest failed, after which its owner rests.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        pace: &Arc<Pace>,
        job: impl FnOnce() -> T + Send + 'static,
        failed: fn(&T) -> bool,
    ) -> Option<T> {
        let _place = self.room.acquire().await.ok()?;
        let (answer, answered) = oneshot::channel();
        let owner = pace.clone();
        let job = Box::new(move || {
            let begun = now();
            let result = job();
            let ended = now();
            owner.took(ended - begun);
            if failed(&result) {
                owner.failed(ended - begun, ended);
            }
            // Nobody waits any more if the engine is being torn down.
            let _unheard = answer.send(result).is_err();
        });
        let kind = {
            let mut queue = self.shared.queue();
            if queue.stopped {
                return None;
            }
            queue.push(pace.clone(), job)
        };
        self.shared.came(kind).notify_one();
        answered.await.ok()
    }

    /// Lets nobody rest any more, so that those who wait for the end of all jobs need not wait for that too.
    pub(crate) fn hurry(&self) {
        self.shared.queue().hurries = true;
        self.shared.long_came.notify_all();
    }

    /// Stops taking jobs and waits for those that are there.
    pub(crate) fn stop(&self) {
        self.hurry();
        self.shared.queue().stopped = true;
        self.shared.quick_came.notify_all();
        self.shared.long_came.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has stopped all the same.
            let _ended = thread.join().is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pace::paced;
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_long_jobs_stand_back_behind_all_else() {
        let niceness = || rustix::process::getpriority_process(None).ok();
        let threads = GuestThreads::start(1).expect("threads");
        for (average, expected) in [(0, Some(19)), (1_000, niceness()), (250_000_000, Some(19))] {
            assert_eq!(threads.run(&paced(average), niceness, |_| false).await, Some(expected), "{average} ns");
        }
    }

    #[tokio::test]
    async fn jobs_are_run_panics_are_told_and_stopped_threads_take_nothing() {
        let threads = GuestThreads::start(1).expect("threads");
        let pace = paced(0);
        assert_eq!(threads.run(&pace, || 7, |_| false).await, Some(7));
        #[allow(clippy::panic, reason = "what is tested")]
        let panicked = threads.run(&pace, || panic!("on purpose"), |_| false).await;
        assert_eq!(panicked, None::<()>);
        assert_eq!(threads.run(&pace, || 8, |_| false).await, Some(8));
        threads.stop();
        assert_eq!(threads.run(&pace, || 9, |_| false).await, None);
    }

    #[tokio::test]
    async fn an_owner_rests_after_a_job_that_failed_and_no_other() {
        let threads = GuestThreads::start(1).expect("threads");
        let (begun, pace) = (now(), paced(0));
        threads.run(&pace, || (), |()| false).await.expect("an answer");
        assert_eq!(pace.rests_until(begun), None);
        threads.run(&pace, || (), |()| true).await.expect("an answer");
        assert!(pace.rests_until(begun).is_some());
    }
}
