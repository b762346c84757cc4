//! The one place that reads the system's clocks.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hookmill_core::ports::{Clock, Moment};
use jiff::{SignedDuration, Timestamp};

/// When the process began to measure steady time, which the system does not count while it sleeps.
#[allow(clippy::disallowed_methods, reason = "this is the clock that everyone else is told to use")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing inside")]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everyone else is told to use")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn steady(&self) -> Moment {
        Moment::new(START.elapsed())
    }

    async fn sleep_until(&self, moment: Moment) {
        match START.checked_add(moment.since_start()) {
            Some(end) => tokio::time::sleep_until(end.into()).await,
            // Beyond the end of time as the system tells it.
            None => std::future::pending().await,
        }
    }
}

/// Returns how long it is from `now` until `at`; nothing if that is past.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

/// Returns what the wall will show at `moment`, as far as can be told now.
pub(crate) fn on_the_wall(clock: &dyn Clock, moment: Moment) -> Timestamp {
    let span = SignedDuration::try_from(moment.since(clock.steady())).unwrap_or(SignedDuration::MAX);
    clock.now().checked_add(span).unwrap_or(Timestamp::MAX)
}
