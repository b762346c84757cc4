//! The threads on which guests run: a fixed number, apart from the async runtime's workers.
//!
//! Jobs whose owner is known to be quick go first and may have all threads; those of owners that take long share half
//! of them, in turns. So a plugin that computes for as long as it may slows down its own webhook and others of its kind,
//! and nobody else.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

/// Bytes of stack: the guest's own limit, the host's frames, and room to spare.
const STACK_BYTES: usize = 4 << 20;

/// Jobs that may wait for a thread; who comes later waits to hand the job over.
const QUEUE_LENGTH: usize = 4_096;

/// Jobs of an owner that take longer than this on average are long ones. A fresh instance of the slowest well-behaved
/// guests, in Python, takes 2 ms.
const QUICK: Duration = Duration::from_millis(10);

type Job = Box<dyn FnOnce() + Send>;

/// How long the jobs of one owner take.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Nanoseconds, as a moving average over about eight jobs; 0 as long as none has ended.
    average: AtomicU64,
}

impl Pace {
    /// Tells whether the next job may be expected to end soon. Of an owner that nobody knows yet nothing is expected.
    fn is_quick(&self) -> bool {
        let average = self.average.load(Ordering::Relaxed);
        average > 0 && u128::from(average) <= QUICK.as_nanos()
    }

    fn took(&self, span: Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1);
        let before = self.average.load(Ordering::Relaxed);
        // Two jobs that end at once may lose one of their spans, which does no harm.
        let now = if before == 0 { span } else { before - before / 8 + span / 8 };
        self.average.store(now.max(1), Ordering::Relaxed);
    }
}

/// What waits for a thread.
#[derive(Default)]
struct Queue {
    quick: VecDeque<Job>,
    /// Owners of long jobs in the order of their turns, each with its jobs.
    long: VecDeque<(Arc<Pace>, VecDeque<Job>)>,
    long_running: usize,
    /// Whether the thread that looked last took a quick job, so that a long one is next.
    long_is_next: bool,
    stopped: bool,
}

impl Queue {
    fn push(&mut self, pace: &Arc<Pace>, job: Job) {
        if pace.is_quick() {
            return self.quick.push_back(job);
        }
        match self.long.iter_mut().find(|(owner, _)| Arc::ptr_eq(owner, pace)) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.long.push_back((pace.clone(), VecDeque::from([job]))),
        }
    }

    /// Takes the next job and whether it is a long one, of which `long_max` may run at a time.
    fn take(&mut self, long_max: usize) -> Option<(Job, bool)> {
        let long_may_run = self.long_running < long_max && !self.long.is_empty();
        if long_may_run && (self.long_is_next || self.quick.is_empty()) {
            self.long_is_next = false;
            return Some((self.take_long()?, true));
        }
        self.long_is_next = true;
        self.quick.pop_front().map(|job| (job, false))
    }

    fn take_long(&mut self) -> Option<Job> {
        let (owner, mut jobs) = self.long.pop_front()?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.long.push_back((owner, jobs));
        }
        self.long_running += 1;
        Some(job)
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs jobs until there are none and none will come.
    fn work(&self, long_max: usize) {
        let mut queue = self.queue();
        loop {
            let Some((job, long)) = queue.take(long_max) else {
                if queue.stopped && queue.long.is_empty() {
                    return;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            // The job's own answer is lost with its panic, and whoever waits for it is told so.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job on a guest thread panicked");
            }
            queue = self.queue();
            if long {
                queue.long_running -= 1;
                self.changed.notify_one();
            }
        }
    }
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
    /// Starts `count` threads, at least two: one is always left to quick jobs.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let count = count.max(2);
        let shared = Arc::new(Shared::default());
        let threads = (0..count)
            .map(|number| {
                let shared = shared.clone();
                let thread = std::thread::Builder::new().name(format!("guest-{number}")).stack_size(STACK_BYTES);
                thread.spawn(move || shared.work(count / 2))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { shared, room: Semaphore::new(QUEUE_LENGTH), threads: Mutex::new(threads) })
    }

    /// Runs `job`, whose owner has this pace, on one of the threads; none if it panicked or the threads have stopped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        pace: &Arc<Pace>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _place = self.room.acquire().await.ok()?;
        let (answer, answered) = oneshot::channel();
        let owner = pace.clone();
        let job = Box::new(move || {
            #[allow(
                clippy::disallowed_methods,
                reason = "a span of this job alone, which no clock of a test should bend"
            )]
            let begun = Instant::now();
            let result = job();
            owner.took(begun.elapsed());
            // Nobody waits any more if the engine is being torn down.
            let _unheard = answer.send(result).is_err();
        });
        {
            let mut queue = self.shared.queue();
            if queue.stopped {
                return None;
            }
            queue.push(pace, job);
        }
        self.shared.changed.notify_one();
        answered.await.ok()
    }

    /// Stops taking jobs and waits for those that are there.
    pub(crate) fn stop(&self) {
        self.shared.queue().stopped = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has stopped all the same.
            let _ended = thread.join().is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(average: u64) -> Arc<Pace> {
        Arc::new(Pace { average: AtomicU64::new(average) })
    }

    /// Queues jobs that note their name, runs them one after another, and returns the names; none of a long job ends
    /// before all are taken.
    fn order(jobs: &[(&Arc<Pace>, &'static str)], long_max: usize) -> Vec<&'static str> {
        let names = Arc::new(Mutex::new(Vec::new()));
        let mut queue = Queue::default();
        for (pace, name) in jobs {
            let (names, name) = (names.clone(), *name);
            queue.push(pace, Box::new(move || names.lock().expect("unpoisoned").push(name)));
        }
        while let Some((job, _)) = queue.take(long_max) {
            job();
        }
        std::mem::take(&mut *names.lock().expect("unpoisoned"))
    }

    #[test]
    fn long_jobs_take_turns_by_owner_and_leave_threads_to_quick_ones() {
        let (quick, slow, slower) = (paced(1_000), paced(50_000_000), paced(500_000_000));
        let jobs = [(&slow, "s1"), (&slow, "s2"), (&slower, "t1"), (&quick, "q1"), (&quick, "q2"), (&quick, "q3")];
        assert_eq!(order(&jobs, 1), ["q1", "s1", "q2", "q3"]);
        assert_eq!(order(&jobs, 3), ["q1", "s1", "q2", "t1", "q3", "s2"]);
    }

    #[test]
    fn an_owner_is_quick_once_its_jobs_were_and_long_when_they_are_no_more() {
        let pace = paced(0);
        assert!(!pace.is_quick());
        pace.took(Duration::from_micros(20));
        assert!(pace.is_quick());
        pace.took(Duration::from_millis(250));
        assert!(!pace.is_quick());
        (0..40).for_each(|_| pace.took(Duration::from_micros(20)));
        assert!(pace.is_quick());
    }

    #[tokio::test]
    async fn jobs_are_run_panics_are_told_and_stopped_threads_take_nothing() {
        let threads = GuestThreads::start(1).expect("threads");
        let pace = paced(0);
        assert_eq!(threads.run(&pace, || 7).await, Some(7));
        #[allow(clippy::panic, reason = "what is tested")]
        let panicked = threads.run(&pace, || panic!("on purpose")).await;
        assert_eq!(panicked, None::<()>);
        assert_eq!(threads.run(&pace, || 8).await, Some(8));
        threads.stop();
        assert_eq!(threads.run(&pace, || 9).await, None);
    }
}
