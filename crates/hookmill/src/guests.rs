//! The threads on which guests run: a fixed number, apart from the async runtime's workers.
//!
//! Jobs whose owner is known to be quick have threads of their own. Those of owners that take long, or of whom nothing is
//! known yet, share a few others, in turns; where the system has priorities, these come after everything else that wants
//! a core. So a plugin that computes for as long as it may slows down its own webhook and others of its kind, and nobody
//! else.

use std::collections::VecDeque;
use std::iter;
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
const QUICK: Duration = Duration::from_millis(4);

type Job = Box<dyn FnOnce() + Send>;

/// How long the jobs of one owner take.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Nanoseconds, as a moving average over about eight jobs; 0 as long as none has ended.
    average: AtomicU64,
}

impl Pace {
    /// Tells whether the next job may be expected to end soon. Of an owner that nobody knows yet nothing is expected.
    pub(crate) fn is_quick(&self) -> bool {
        let average = self.average.load(Ordering::Relaxed);
        average > 0 && u128::from(average) <= QUICK.as_nanos()
    }

    pub(crate) fn took(&self, span: Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1);
        let before = self.average.load(Ordering::Relaxed);
        // Two jobs that end at once may lose one of their spans, which does no harm.
        let now = if before == 0 { span } else { before - before / 8 + span / 8 };
        self.average.store(now.max(1), Ordering::Relaxed);
    }

    /// Says that a job crashed, which counts as a long one however soon that was: who crashes has no claim on a core that
    /// others want.
    pub(crate) fn crashed(&self) {
        self.took(QUICK * 16);
    }
}

/// What waits for a thread.
#[derive(Default)]
struct Queue {
    quick: VecDeque<(Arc<Pace>, Job)>,
    /// Owners of long jobs in the order of their turns, each with its jobs.
    long: VecDeque<(Arc<Pace>, VecDeque<Job>)>,
    /// Whether a job was moved from the quick ones to the long ones of which no thread was told yet.
    turned: bool,
    stopped: bool,
}

/// Which jobs a thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Quick,
    Long,
}

impl Queue {
    /// Adds a job; returns of which kind it is.
    fn push(&mut self, pace: Arc<Pace>, job: Job) -> Kind {
        if pace.is_quick() {
            self.quick.push_back((pace, job));
            return Kind::Quick;
        }
        match self.long.iter_mut().find(|(owner, _)| Arc::ptr_eq(owner, &pace)) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.long.push_back((pace, VecDeque::from([job]))),
        }
        Kind::Long
    }

    fn take(&mut self, kind: Kind) -> Option<Job> {
        match kind {
            Kind::Quick => self.take_quick(),
            Kind::Long => self.take_long(),
        }
    }

    fn take_quick(&mut self) -> Option<Job> {
        while let Some((pace, job)) = self.quick.pop_front() {
            if pace.is_quick() {
                return Some(job);
            }
            // Its owner turned out to take long while it waited.
            self.push(pace, job);
            self.turned = true;
        }
        None
    }

    fn take_long(&mut self) -> Option<Job> {
        let (owner, mut jobs) = self.long.pop_front()?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.long.push_back((owner, jobs));
        }
        Some(job)
    }

    /// Tells whether there is nothing to do for a thread of this kind, nor will be once nothing comes any more: quick jobs may
    /// yet turn into long ones.
    fn is_empty_for(&self, kind: Kind) -> bool {
        self.quick.is_empty() && (kind == Kind::Quick || self.long.is_empty())
    }
}

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
            let job = queue.take(kind);
            if std::mem::take(&mut queue.turned) || (kind == Kind::Quick && queue.stopped) {
                self.long_came.notify_all();
            }
            let Some(job) = job else {
                if queue.stopped && queue.is_empty_for(kind) {
                    return;
                }
                queue = self.came(kind).wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            // The job's own answer is lost with its panic, and whoever waits for it is told so.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job on a guest thread panicked");
            }
            queue = self.queue();
        }
    }
}

/// Returns how many threads for long jobs stand beside so many for quick ones.
pub(crate) fn long_threads(quick: usize) -> usize {
    quick.div_ceil(2).max(1)
}

/// Puts this thread behind all others that want a core.
fn step_back() {
    // A mere niceness would not do: whoever wakes then waits until the slice of milliseconds is over that the thread began
    // while nobody wanted the core. Elsewhere, priorities are those of the process.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let done = set_thread_priority_and_policy(thread_native_id(), thread_priority::ThreadPriority::Min, idle);
        if let Err(error) = done {
            tracing::debug!(%error, "threads of long guests have the priority of all others");
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

    /// Stops taking jobs and waits for those that are there.
    pub(crate) fn stop(&self) {
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
    use std::cell::Cell;

    use super::*;

    fn paced(average: u64) -> Arc<Pace> {
        Arc::new(Pace { average: AtomicU64::new(average) })
    }

    /// Queues jobs that note their name, runs those of one kind one after another, and returns the names.
    fn order(queue: &mut Queue, kind: Kind) -> Vec<&'static str> {
        let mut names = vec![];
        while let Some(job) = queue.take(kind) {
            job();
            names.extend(NAMES.take());
        }
        names
    }

    thread_local! {
        static NAMES: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    fn push(queue: &mut Queue, pace: &Arc<Pace>, name: &'static str) {
        queue.push(pace.clone(), Box::new(move || NAMES.set(Some(name))));
    }

    #[test]
    fn long_jobs_take_turns_by_owner_and_leave_threads_to_quick_ones() {
        let (quick, slow, slower) = (paced(1_000), paced(50_000_000), paced(500_000_000));
        let mut queue = Queue::default();
        for (pace, name) in
            [(&slow, "s1"), (&slow, "s2"), (&quick, "q1"), (&slower, "t1"), (&quick, "q2"), (&paced(0), "u1")]
        {
            push(&mut queue, pace, name);
        }
        assert_eq!(order(&mut queue, Kind::Quick), ["q1", "q2"]);
        assert_eq!(order(&mut queue, Kind::Long), ["s1", "t1", "u1", "s2"]);
    }

    #[test]
    fn a_job_whose_owner_turns_out_to_take_long_goes_to_the_long_ones() {
        let pace = paced(1_000);
        let mut queue = Queue::default();
        push(&mut queue, &pace, "a");
        push(&mut queue, &pace, "b");
        pace.took(Duration::from_millis(250));
        assert_eq!(order(&mut queue, Kind::Quick), [""; 0]);
        assert_eq!(order(&mut queue, Kind::Long), ["a", "b"]);
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
        pace.crashed();
        assert!(!pace.is_quick());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_long_jobs_stand_back_behind_all_else() {
        use thread_priority::unix::{
            NormalThreadSchedulePolicy as Policy, ThreadSchedulePolicy, thread_schedule_policy,
        };
        let threads = GuestThreads::start(1).expect("threads");
        for (average, expected) in [(0, Policy::Idle), (1_000, Policy::Other), (250_000_000, Policy::Idle)] {
            let policy = threads.run(&paced(average), || thread_schedule_policy().ok()).await.flatten();
            assert_eq!(policy, Some(ThreadSchedulePolicy::Normal(expected)), "{average} ns");
        }
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
