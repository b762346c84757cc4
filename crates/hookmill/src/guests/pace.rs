//! How long the jobs of one owner take, and how long it rests after one that failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Jobs of an owner that take longer than this on average are long ones. A fresh instance of the slowest well-behaved
/// guests, in Python, takes 2 ms.
const QUICK: Duration = Duration::from_millis(4);

/// An owner whose job failed rests for so many times as long as that took, so that failing takes a fiftieth of a core at
/// most. Memory that a guest took or filled up to its limit costs others more than its time on a core alone: the system
/// hands it out and takes it back page by page, and meanwhile lets those wait that come before it.
const REST: u32 = 50;

/// But no longer than this, for what it also does well must wait as long.
const REST_MAX: Duration = Duration::from_secs(2);

/// How long the jobs of one owner take.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Nanoseconds, as a moving average over about eight jobs; 0 as long as none has ended.
    average: AtomicU64,
    /// Until when it rests after a job that failed.
    rests_until: Mutex<Option<Instant>>,
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

    /// Says that a job which took so long has failed at this moment.
    pub(super) fn failed(&self, span: Duration, now: Instant) {
        let until = now + (span * REST).min(REST_MAX);
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Returns until when its long jobs must wait; none if they need not.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner).filter(|until| *until > now)
    }
}

#[cfg(test)]
pub(super) fn paced(average: u64) -> std::sync::Arc<Pace> {
    std::sync::Arc::new(Pace { average: AtomicU64::new(average), ..Pace::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
