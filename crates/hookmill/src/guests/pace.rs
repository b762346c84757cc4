//! How long the jobs of one owner take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Jobs of an owner that take longer than this on average are long ones. A fresh instance of the slowest well-behaved
/// guests, in Python, takes 2 ms.
const QUICK: Duration = Duration::from_millis(4);

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

#[cfg(test)]
pub(super) fn paced(average: u64) -> std::sync::Arc<Pace> {
    std::sync::Arc::new(Pace { average: AtomicU64::new(average) })
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
