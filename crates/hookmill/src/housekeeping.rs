//! What goes on beside deliveries: timers, retention and the watch on the plugin directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::{Moment, RetentionPolicy};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::engine::Inner;
use crate::watch::{Scanned, Seen, Watcher};

/// How often old events are looked for, and how many go at once, so that writers never wait long.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
const RETENTION_BATCH: usize = 500;

/// After how long plugin files are tried again on which the host failed.
const SCAN_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// By how much more than steady time the wall's may go on between two looks before it counts as set.
const WALL_DRIFT_MAX: SignedDuration = SignedDuration::from_secs(2);

/// Until when events count as old, whatever happens to the wall's clock.
///
/// One that is set back counts at once, for what is recorded from then on bears its time. One that is set forward makes
/// all that is recorded seem older than it is, and it may be set back soon: it counts once it has stood for as long as
/// events are kept. So nothing is forgotten before its time, and what the clock has confused is kept longer.
#[derive(Debug)]
struct Age {
    retention: Duration,
    /// What the wall showed at the start of steady time, as far as it is believed.
    start: Timestamp,
    /// The same by a clock that was set forward, and since when it has stood.
    set: Option<(Timestamp, Moment)>,
}

impl Age {
    fn new(retention: Duration, now: Timestamp, steady: Moment) -> Self {
        Self { retention, start: back(now, steady.since_start()), set: None }
    }

    /// Returns the moment before which what was received is old; a span longer than time itself keeps everything.
    fn settled_before(&mut self, now: Timestamp, steady: Moment) -> Timestamp {
        let start = back(now, steady.since_start());
        let drift = start.duration_since(self.start);
        if drift <= WALL_DRIFT_MAX {
            (self.start, self.set) = (start, None);
        } else {
            let (set, since) =
                self.set.filter(|(set, _)| start.duration_since(*set) >= -WALL_DRIFT_MAX).unwrap_or((start, steady));
            self.set = Some((set, since));
            if steady.since(since) >= self.retention {
                (self.start, self.set) = (start, None);
            }
        }
        let believed = SignedDuration::try_from(steady.since_start()).ok();
        let believed = believed.and_then(|span| self.start.checked_add(span).ok()).unwrap_or(Timestamp::MIN);
        back(believed, self.retention)
    }
}

fn back(from: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| from.checked_sub(span).ok()).unwrap_or(Timestamp::MIN)
}

impl Inner {
    /// Wakes deliveries when their time has come, until the engine stops.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let due = self.scheduler().next_due();
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.timer.notified() => {}
                () = self.clock.sleep_until(due.unwrap_or_default()), if due.is_some() => self.pump(),
            }
        }
    }

    /// Forgets settled events when their time is over or room is short, until the engine stops.
    pub(crate) async fn keep_tidy(self: Arc<Self>, retention: Duration, bytes_max: Option<u64>) {
        let mut age = Age::new(retention, self.clock.now(), self.clock.steady());
        loop {
            let steady = self.clock.steady();
            let settled_before = age.settled_before(self.clock.now(), steady);
            let policy = RetentionPolicy { settled_before, bytes_max, batch: RETENTION_BATCH };
            while !self.stop.is_cancelled() {
                match self.store.retain(policy).await {
                    Ok(0) => break,
                    Ok(events) => tracing::debug!(events, "old events were forgotten"),
                    Err(error) => {
                        tracing::warn!(%error, "old events were not forgotten");
                        break;
                    }
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.clock.sleep_until(steady.after(RETENTION_EVERY)) => {}
            }
        }
    }

    /// Takes plugin files in as they change, until the engine stops.
    pub(crate) async fn keep_plugins(
        self: Arc<Self>,
        dir: PathBuf,
        watcher: Watcher,
        mut changes: mpsc::Receiver<()>,
        mut seen: Seen,
        mut scanned: Scanned,
    ) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                change = changes.recv() => if change.is_none() { break },
                () = tokio::time::sleep(SCAN_AGAIN_AFTER), if scanned == Scanned::TryAgain => {}
            }
            scanned = self.scan(&dir, &mut seen, false).await;
        }
        drop(watcher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const DAY: i64 = 86_400;

    /// Looks every minute for so many minutes with a clock that is off by `off` seconds; returns the last answer as
    /// seconds of a clock that is right.
    fn look(age: &mut Age, minutes: std::ops::Range<u64>, off: i64) -> i64 {
        let mut last = 0;
        for minute in minutes {
            let steady = Moment::new(Duration::from_secs(60 * minute));
            let now = Timestamp::from_second((60 * minute).cast_signed() + 10 * DAY + off).expect("in range");
            last = age.settled_before(now, steady).as_second() - 10 * DAY;
        }
        last
    }

    #[test]
    fn a_clock_that_is_set_makes_no_event_old_before_its_time() {
        let start = || {
            Age::new(Duration::from_secs(HOUR), Timestamp::from_second(10 * DAY).expect("in range"), Moment::default())
        };
        let mut age = start();
        assert_eq!(look(&mut age, 0..121, 0), 3600, "an hour before the second hour");
        assert_eq!(look(&mut age, 121..180, DAY), 179 * 60 - 3600, "a day forward changes nothing");
        assert_eq!(look(&mut age, 180..200, 0), 199 * 60 - 3600, "and back");
        assert_eq!(look(&mut age, 200..250, -DAY), 249 * 60 - 3600 - DAY, "a day back counts at once");

        let mut age = start();
        assert_eq!(look(&mut age, 0..60, DAY), 59 * 60 - 3600, "it has stood for an hour all but a minute");
        assert_eq!(look(&mut age, 60..61, DAY), DAY, "what came before it is old by now");
    }
}
