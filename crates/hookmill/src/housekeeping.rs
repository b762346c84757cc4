//! What goes on beside deliveries: timers, retention and the watch on the plugin directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmill_core::ports::{Clock, RetentionPolicy};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::engine::Inner;
use crate::watch::{Scanned, Seen, Watcher};

/// A clock that was set back must not keep a timer asleep for longer than this.
const TIMER_MAX: Duration = Duration::from_secs(30);

/// By how much the clock may go otherwise than time before it counts as set.
const CLOCK_DRIFT_MAX: SignedDuration = SignedDuration::from_secs(2);

/// How often old events are looked for, and how many go at once, so that writers never wait long.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
const RETENTION_BATCH: usize = 500;

/// After how long plugin files are tried again on which the host failed.
const SCAN_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Tells when the clock was set: it went on by another span than time did.
struct ClockWatch {
    wall: Timestamp,
    steady: Instant,
}

impl ClockWatch {
    #[allow(clippy::disallowed_methods, reason = "the steady time beside which the clock is held")]
    fn new(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), steady: Instant::now() }
    }

    /// Returns by how much the clock was set since this was last asked, if by more than it may drift.
    fn jump(&mut self, clock: &dyn Clock) -> Option<SignedDuration> {
        let before = std::mem::replace(self, Self::new(clock));
        let passed =
            SignedDuration::try_from(self.steady.duration_since(before.steady)).unwrap_or(SignedDuration::ZERO);
        let jump = self.wall.duration_since(before.wall).checked_sub(passed)?;
        (jump.abs() > CLOCK_DRIFT_MAX).then_some(jump)
    }
}

impl Inner {
    /// Wakes deliveries when their time has come, until the engine stops.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        let mut watch = ClockWatch::new(&*self.clock);
        loop {
            if let Some(jump) = watch.jump(&*self.clock) {
                tracing::warn!(
                    seconds = jump.as_secs(),
                    "the clock was set; what waits for a time waits as long as it would have"
                );
                self.scheduler().shift(jump);
                self.pump();
            }
            let due = self.scheduler().next_due();
            let wait = due.map_or(TIMER_MAX, |due| {
                let until: SignedDuration = due.duration_since(self.clock.now());
                Duration::try_from(until).unwrap_or_default().min(TIMER_MAX)
            });
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.timer.notified() => {}
                () = tokio::time::sleep(wait) => self.pump(),
            }
        }
    }

    /// Forgets settled events when their time is over or room is short, until the engine stops.
    pub(crate) async fn keep_tidy(self: Arc<Self>, retention: Duration, bytes_max: Option<u64>) {
        loop {
            let before =
                SignedDuration::try_from(retention).ok().and_then(|span| self.clock.now().checked_sub(span).ok());
            // A span longer than time itself keeps everything, as far as there is room.
            let settled_before = before.unwrap_or(Timestamp::MIN);
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
                () = tokio::time::sleep(RETENTION_EVERY) => {}
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
