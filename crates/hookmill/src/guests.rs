//! The threads on which guests run: a fixed number with a bounded queue, apart from the async runtime's workers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// Bytes of stack: the guest's own limit, the host's frames, and room to spare.
const STACK_BYTES: usize = 4 << 20;

/// Jobs that may wait for a thread; who comes later waits to hand the job over.
const QUEUE_LENGTH: usize = 1_024;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs that may take long without ever holding up the async runtime.
#[derive(Debug)]
pub(crate) struct GuestThreads {
    jobs: async_channel::Sender<Job>,
    threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl GuestThreads {
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let (jobs, queue) = async_channel::bounded::<Job>(QUEUE_LENGTH);
        let threads = (0..count.max(1))
            .map(|number| {
                let queue = queue.clone();
                std::thread::Builder::new().name(format!("guest-{number}")).stack_size(STACK_BYTES).spawn(move || {
                    while let Ok(job) = queue.recv_blocking() {
                        // The job's own answer is lost with its panic, and whoever waits for it is told so.
                        if catch_unwind(AssertUnwindSafe(job)).is_err() {
                            tracing::error!("a job on a guest thread panicked");
                        }
                    }
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { jobs, threads: std::sync::Mutex::new(threads) })
    }

    /// Runs `job` on one of the threads; none if it panicked or the threads have stopped.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits any more if the engine is being torn down.
            let _unheard = answer.send(job()).is_err();
        });
        self.jobs.send(job).await.ok()?;
        answered.await.ok()
    }

    /// Stops taking jobs and waits for those that run.
    pub(crate) fn stop(&self) {
        self.jobs.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has stopped all the same.
            let _ended = thread.join().is_ok();
        }
    }
}
