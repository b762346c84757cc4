//! A clock that tests set.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hookmill_core::ports::{Clock, Moment};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

/// A clock that goes as the system's does, until a test sets its wall or lets its time pass.
#[derive(Debug)]
pub struct SetClock {
    start: Instant,
    /// By how many seconds the wall was set.
    set: AtomicI64,
    /// How many seconds passed at once.
    passed: AtomicU64,
    changed: Notify,
}

impl Default for SetClock {
    #[allow(clippy::disallowed_methods, reason = "a clock is built on one")]
    fn default() -> Self {
        Self { start: Instant::now(), set: AtomicI64::new(0), passed: AtomicU64::new(0), changed: Notify::new() }
    }
}

impl SetClock {
    /// Sets the wall's time, on or back, as an operator or a server of time does; no time passes.
    pub fn set_by(&self, seconds: i64) {
        self.set.fetch_add(seconds, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Lets time pass at once, by both clocks.
    pub fn pass(&self, span: Duration) {
        self.passed.fetch_add(span.as_secs(), Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

#[async_trait]
impl Clock for SetClock {
    #[allow(clippy::disallowed_methods, reason = "a clock is built on one")]
    fn now(&self) -> Timestamp {
        let passed = self.passed.load(Ordering::SeqCst).cast_signed();
        Timestamp::now() + SignedDuration::from_secs(self.set.load(Ordering::SeqCst) + passed)
    }

    fn steady(&self) -> Moment {
        Moment::new(self.start.elapsed()).after(Duration::from_secs(self.passed.load(Ordering::SeqCst)))
    }

    async fn sleep_until(&self, moment: Moment) {
        loop {
            let changed = self.changed.notified();
            let left = moment.since(self.steady());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}
